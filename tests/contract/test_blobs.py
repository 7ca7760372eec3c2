"""Blobs are kept whole or not at all."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.adapters import blobs as module
from xingliu.adapters.blobs import FileBlobs
from xingliu.control.errors import BlobMismatch, BlobTooLarge, DiskFull
from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import BlobId


def name_of(data: bytes) -> BlobId:
    return BlobId(hashlib.sha256(data).hexdigest())


@pytest.fixture
def store(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_what_was_saved_is_there_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("blobs")
    blob = name_of(b"".join(chunks))
    store = FileBlobs(folder)
    assert not store.has(blob)
    assert store.save(blob, iter(chunks), limit_bytes=1000) == sum(map(len, chunks))
    assert FileBlobs(folder).has(blob)
    assert (folder / blob).read_bytes() == b"".join(chunks)


def nothing_kept(tmp_path: Path) -> bool:
    return not list((tmp_path / "blobs").iterdir())


def test_bytes_that_do_not_hash_to_their_name_are_refused(store: FileBlobs, tmp_path: Path) -> None:
    with pytest.raises(BlobMismatch):
        store.save(name_of(b"other"), iter([b"data"]), limit_bytes=1000)
    assert nothing_kept(tmp_path)


def test_more_than_the_limit_is_refused_before_it_is_read_to_its_end(store: FileBlobs, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(BlobTooLarge):
        store.save(name_of(b""), endless(), limit_bytes=10_000)
    assert nothing_kept(tmp_path)


def test_an_upload_that_breaks_off_leaves_nothing(store: FileBlobs, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.save(name_of(b"halfwhole"), broken(), limit_bytes=1000)
    assert nothing_kept(tmp_path)


def test_the_rest_of_a_crash_is_cleared_away(store: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "blobs" / ".part-old").write_bytes(b"half")
    FileBlobs(tmp_path / "blobs")
    assert nothing_kept(tmp_path)


def test_a_full_disk_is_said_before_anything_is_written(
    store: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FREE_BYTES_MIN", 2**62)
    with pytest.raises(DiskFull):
        store.save(name_of(b"data"), iter([b"data"]), limit_bytes=1000)
    assert nothing_kept(tmp_path)


@pytest.mark.parametrize("name", ["../x", "", "A" * 64, "a" * 63])
def test_only_a_hash_is_a_name(store: FileBlobs, name: str) -> None:
    with pytest.raises(BadValue):
        store.has(BlobId(name))
