"""What replicas leave behind: logs by offset, job folders as archives."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local import ACME_UID, LocalCloud, launch, local_cloud

from xingliu.control.errors import PathOutside
from xingliu.control.ports import LogChunk
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import JobId, LeaseId

LEASE, JOB = LeaseId("j1.main.0.1"), JobId("j1")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path / "home") as cloud:
        yield cloud


def write_log(cloud: LocalCloud, *segments: tuple[int, bytes]) -> None:
    folder = cloud.home / "ended" / LEASE
    folder.mkdir()
    for start, data in segments:
        (folder / f"log.{start}").write_bytes(data)


READS: dict[str, tuple[int, int, LogChunk]] = {
    "from the start": (20, 100, LogChunk(20, b"abcdefghij")),
    "what was rotated away is skipped": (3, 100, LogChunk(20, b"abcdefghij")),
    "across segments": (23, 4, LogChunk(23, b"defg")),
    "at a boundary": (25, 2, LogChunk(25, b"fg")),
    "at the end": (30, 100, LogChunk(30, b"")),
    "past the end": (99, 100, LogChunk(30, b"")),
    "counted from the end": (-3, 100, LogChunk(27, b"hij")),
    "more from the end than there is": (-99, 3, LogChunk(20, b"abc")),
}


@pytest.mark.parametrize(("offset", "limit_bytes", "chunk"), READS.values(), ids=READS)
def test_a_log_is_read_by_offset(cloud: LocalCloud, offset: int, limit_bytes: int, chunk: LogChunk) -> None:
    write_log(cloud, (20, b"abcde"), (25, b"fgh"), (28, b"ij"))
    assert cloud.parts.files.read_log(LEASE, offset=offset, limit_bytes=limit_bytes) == chunk


def test_a_log_that_is_not_there_is_empty(cloud: LocalCloud) -> None:
    assert cloud.parts.files.read_log(LEASE, offset=0, limit_bytes=10) == LogChunk(0, b"")


@pytest.fixture
def folder(cloud: LocalCloud) -> Path:
    cloud.run("mkdir -p a/b /job/out/deep; echo one > /job/out/one; echo two > /job/out/deep/two; echo top > /job/top")
    return cloud.home / "jobs" / "j1" / "files"


def archived(cloud: LocalCloud, path: str) -> dict[str, bytes | str | None]:
    data = b"".join(cloud.parts.files.archive(JOB, path))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found: dict[str, bytes | str | None] = {}
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            found[member.name] = file.read() if file else member.linkname or None
        return found


def test_a_file_a_folder_and_all_of_it(cloud: LocalCloud, folder: Path) -> None:
    assert archived(cloud, "out/one") == {"one": b"one\n"}
    assert archived(cloud, "out") == {"out": None, "out/deep": None, "out/deep/two": b"two\n", "out/one": b"one\n"}
    assert archived(cloud, "out/../top") == {"top": b"top\n"}
    assert set(archived(cloud, ".")) >= {"./top", "./out/one"} or set(archived(cloud, ".")) >= {"top", "out/one"}


@pytest.mark.parametrize("path", ["..", "../..", "out/../../x", "/etc/passwd", "/"])
def test_a_path_that_leads_out_is_refused(cloud: LocalCloud, folder: Path, path: str) -> None:
    with pytest.raises(PathOutside):
        cloud.parts.files.archive(JOB, path)


def test_what_is_not_there_is_unknown(cloud: LocalCloud, folder: Path) -> None:
    with pytest.raises(Unknown):
        cloud.parts.files.archive(JOB, "nothing")
    with pytest.raises(Unknown):
        cloud.parts.files.archive(JobId("j9"), ".")


LINKS = {"absolute": "/etc/passwd", "climbing": "../../../../../../../etc/passwd", "a folder": "/etc"}


@pytest.mark.parametrize("target", LINKS.values(), ids=LINKS)
def test_a_link_that_leads_out_is_refused_and_inside_a_folder_stays_a_link(cloud: LocalCloud, folder: Path, target: str) -> None:
    (folder / "out" / "link").symlink_to(target)
    for path in ("out/link", "out/link/passwd"):
        with pytest.raises((PathOutside, Unknown)):
            cloud.parts.files.archive(JOB, path)
    assert archived(cloud, "out")["out/link"] == target


def test_what_its_own_project_could_not_read_is_left_out(cloud: LocalCloud, folder: Path) -> None:
    (folder / "out" / "roots").write_text("private")
    (folder / "out" / "roots").chmod(0o600)
    found = archived(cloud, "out")
    assert "out/roots" not in found
    assert "out/one" in found


def test_a_folder_swapped_for_a_link_all_the_time_gives_nothing_away(cloud: LocalCloud, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "one").write_text("private")
    for path in (tmp_path, outside, outside / "one"):
        path.chmod(0o777)
    swap = "while :; do ln -sfn fake x; ln -sfn real x; done"
    script = f"cd /job; mkdir real; echo inner > real/one; ln -s {outside} fake; echo go; {swap}"
    cloud.start(launch("j1.main.1.1", script, uid=ACME_UID))
    cloud.until_log("go", "j1.main.1.1")
    for _ in range(10):
        try:
            assert b"private" not in b"".join(cloud.parts.files.archive(JOB, "x/one"))
        except (PathOutside, Unknown):
            continue
