"""Packed working folders on disk, each in a file named by the SHA-256 of its bytes."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from xingliu.control.errors import BlobMismatch, BlobTooLarge, DiskFull
from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import BlobId
from xingliu.kernel.units import show_bytes

FREE_BYTES_MIN = 10**9
_NAME = re.compile(r"[0-9a-f]{64}")


class FileBlobs:
    """The BlobStore port in one folder. A blob is there whole or not at all, also after a crash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in folder.glob(".part-*"):
            part.unlink(missing_ok=True)

    def has(self, blob: BlobId) -> bool:
        return self._path(blob).is_file()

    def save(self, blob: BlobId, chunks: Iterator[bytes], *, limit_bytes: int) -> int:
        path = self._path(blob)
        self.check_space()
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".part-", delete=False) as part:
                try:
                    size, got = _copy(chunks, part.fileno(), limit_bytes)
                    if got != blob:
                        raise BlobMismatch(blob, got)
                    os.fsync(part.fileno())
                    Path(part.name).rename(path)
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise
            _flush(self._folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(show_bytes(shutil.disk_usage(self._folder).free), show_bytes(FREE_BYTES_MIN)) from error
            raise
        return size

    def check_space(self) -> None:
        """Raises DiskFull where nothing new should be kept."""
        free = shutil.disk_usage(self._folder).free
        if free < FREE_BYTES_MIN:
            raise DiskFull(show_bytes(free), show_bytes(FREE_BYTES_MIN))

    def _path(self, blob: BlobId) -> Path:
        if not _NAME.fullmatch(blob):
            raise BadValue(blob, "a SHA-256", "64 hexadecimal digits, lower case.")
        return self._folder / blob


def _copy(chunks: Iterator[bytes], fd: int, limit_bytes: int) -> tuple[int, str]:
    """(bytes written, their SHA-256). Raises BlobTooLarge, OSError."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            raise BlobTooLarge(limit_bytes)
        digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(fd, rest) :]
    return size, digest.hexdigest()


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
