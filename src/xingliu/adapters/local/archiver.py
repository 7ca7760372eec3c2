"""Writes a tar of one path of a job's folder to standard output, from a place where nothing else can be reached.

Run as `python -I -S archiver.py FOLDER PATH UID`: with a uid it makes the folder its root, for good, and becomes that
uid, so that no link and no race in a folder that a job may change at any time leads outside. Standard library only.
"""

import os
import sys
import tarfile
from pathlib import Path
from typing import IO

ABSENT, OUTSIDE = 3, 4
STEPS_MAX = 1000


def confine(folder: str, uid: int) -> None:
    os.chdir(folder)
    if uid >= 0:
        os.chroot(".")
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def follow(path: str) -> Path | None:
    """Where `path` leads, links followed, relative to the current folder; None where it climbs out of that folder.

    A link that climbs or is absolute leads out, even where a confined root would catch it.
    """
    at: list[str] = []
    ahead = list(reversed(Path(path).parts))
    for _ in range(STEPS_MAX):
        if not ahead:
            return Path(*at)
        part = ahead.pop()
        if part.startswith("/") or (part == ".." and not at):
            return None
        if part == "..":
            at.pop()
            continue
        here = Path(*at, part)
        if here.is_symlink():
            ahead += reversed(here.readlink().parts)
        else:
            at.append(part)
    return None


def write(path: Path, name: str, out: IO[bytes]) -> None:
    """Links inside are kept as links; what cannot be read or disappears meanwhile is left out."""
    with tarfile.open(fileobj=out, mode="w|") as tar:
        _add(tar, path, name)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        info = tar.gettarinfo(str(path), arcname=name)
        if info is None:
            return
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        if info.isreg():
            with path.open("rb") as file:
                info.size = os.fstat(file.fileno()).st_size
                tar.addfile(info, _Exactly(file, info.size))
            return
        tar.addfile(info)
        inside = sorted(path.iterdir()) if info.isdir() else []
    except OSError:
        return
    for below in inside:
        _add(tar, below, f"{name}/{below.name}")


class _Exactly:
    """A file that is read as long as it was said to be, though it may be cut or grow meanwhile."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, count: int = -1) -> bytes:
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted)
        data += b"\0" * (wanted - len(data))
        self._left -= wanted
        return data


def main(folder: str, path: str, uid: int) -> int:
    confine(folder, uid)
    found = follow(path)
    if found is None:
        return OUTSIDE
    if not found.exists():
        return ABSENT
    write(found, Path(path).name or ".", sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
