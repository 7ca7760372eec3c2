"""Packed working folders, unpacked for each attempt where they can do no harm."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local import LocalCloud, local_cloud

from xingliu.kernel.ids import BlobId
from xingliu.workloads.records import Phase


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path / "home") as cloud:
        yield cloud


def member(name: str, data: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def keep(cloud: LocalCloud, data: bytes) -> BlobId:
    blob = BlobId(hashlib.sha256(data).hexdigest())
    (cloud.home / "blobs" / blob).write_bytes(data)
    return blob


def test_it_is_the_current_folder_and_belongs_to_the_job(cloud: LocalCloud) -> None:
    data = packed(member("a/b.txt", b"hello", mode=0o644, uid=0, gid=0), member("run.sh", b"echo ran", mode=0o755))
    record = cloud.run("cat a/b.txt; ./run.sh; echo more >> a/b.txt; id -u; stat -c %u a/b.txt", blob=keep(cloud, data))
    assert record.exit_code == 0
    said = cloud.log().split()
    assert said[:1] == ["helloran"]
    assert said[1] == said[2]


def test_one_that_is_not_on_the_node_fails_the_launch(cloud: LocalCloud) -> None:
    record = cloud.run("true", blob=BlobId("0" * 64))
    assert record.phase is Phase.LAUNCH_FAILED
    assert "working folder" in record.message


@pytest.mark.parametrize(
    "data", [b"no archive", gzip.compress(b"no archive" * 1000), packed(member("a", b"x" * 10**6))[:-100]], ids=len
)
def test_one_that_is_damaged_fails_the_launch_before_anything_runs(cloud: LocalCloud, data: bytes) -> None:
    record = cloud.run("touch /job/ran", blob=keep(cloud, data))
    assert record.phase is Phase.LAUNCH_FAILED
    assert "cannot be unpacked" in record.message
    assert record.started_us is None
    assert not (cloud.home / "jobs" / "j1" / "files" / "ran").exists()


HOSTILE = {
    "climbing": [member("../../escaped", b"x")],
    "absolute": [member("/tmp/escaped-from-xingliu", b"x")],
    "through a link": [member("link", type=tarfile.SYMTYPE, linkname="/"), member("link/etc/escaped", b"x")],
    "a device": [member("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_one_reaches_no_further_than_its_sandbox(
    cloud: LocalCloud, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    cloud.run("true", blob=keep(cloud, packed(*members)))
    assert not [path for path in cloud.home.rglob("escaped*") if "scratch/work" not in str(path)]
    assert not Path("/tmp/escaped-from-xingliu").exists()
    assert not Path("/etc/escaped").exists()
