"""What replicas leave behind: their logs, and the folders of their jobs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from xingliu.adapters.local import archiver
from xingliu.adapters.local.isolation import Isolation, Walls
from xingliu.adapters.local.places import Places
from xingliu.control.errors import PathOutside
from xingliu.control.ports import LogChunk
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import JobId, LeaseId

_SEGMENT = re.compile(r"log\.(\d+)")
_CHUNK_BYTES = 2**18


class LocalFiles:
    """The ReplicaFiles port on this machine's disk."""

    def __init__(self, places: Places, isolation: Isolation) -> None:
        self._places = places
        self._isolation = isolation

    def read_log(self, lease: LeaseId, *, offset: int, limit_bytes: int) -> LogChunk:
        for folder in (self._places.replica(lease), self._places.released(lease), self._places.replica(lease)):
            segments = _segments(folder)  # a third look, for one that was released between the first two
            if segments:
                return _read(segments, offset, limit_bytes)
        return LogChunk(max(offset, 0), b"")

    def archive(self, job: JobId, path: str) -> Iterator[bytes]:
        """The tar is written by a process that is confined to the job's folder and has become the project's uid."""
        root = self._places.job_files(job)
        relative = os.path.normpath(path or ".")
        if relative.startswith(("/", "..")) or "\0" in path:
            raise PathOutside(path)
        if not root.is_dir():
            raise Unknown("job folder", job)
        uid = root.stat().st_uid if self._isolation.walls is Walls.UID else -1
        command = [sys.executable, "-I", "-S", archiver.__file__, str(root), relative, str(uid)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        first = process.stdout.read(_CHUNK_BYTES)
        if not first:
            code = _end(process)
            if code == archiver.OUTSIDE:
                raise PathOutside(path)
            raise Unknown("file", f"{path} in the folder of job {job}")
        return _rest(process, first)


def _rest(process: subprocess.Popen[bytes], data: bytes) -> Iterator[bytes]:
    assert process.stdout is not None
    try:
        while data:
            yield data
            data = process.stdout.read(_CHUNK_BYTES)
    finally:
        process.kill()
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> int:
    process.communicate()
    return process.returncode


def _segments(folder: Path) -> list[tuple[int, Path]]:
    """(offset of its first byte, file), in order; empty where there is no log."""
    try:
        named = [(_SEGMENT.fullmatch(path.name), path) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted((int(match.group(1)), path) for match, path in named if match)


def _read(segments: list[tuple[int, Path]], offset: int, limit_bytes: int) -> LogChunk:
    end = segments[-1][0] + segments[-1][1].stat().st_size
    if offset < 0:
        offset = max(end + offset, 0)
    at = start = min(max(offset, segments[0][0]), end)
    parts: list[bytes] = []
    for first, path in segments:
        size = path.stat().st_size if path.exists() else 0
        if first <= at < first + size and limit_bytes > 0:
            with path.open("rb") as file:
                file.seek(at - first)
                parts.append(file.read(limit_bytes))
            at += len(parts[-1])
            limit_bytes -= len(parts[-1])
    return LogChunk(start, b"".join(parts))
