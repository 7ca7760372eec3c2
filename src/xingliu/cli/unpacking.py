"""Writing a job's files here. The archive comes from a folder that a job could fill as it liked, so nothing of it is trusted.

What would lead out of the copy is left out: absolute names, `..`, links to elsewhere, devices. Python's own filters would
refuse the whole copy for one such link, and are not in every 3.11.
"""

import os
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass
class Copied:
    """What was written, and the names that were left out."""

    files: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)


def unpack(tar: tarfile.TarFile, asked: str, target: Path) -> Copied:
    """Write the members at `target`, in place of the name that was asked for. Raises TarError, EOFError, OSError."""
    copied = Copied()
    for member in tar:
        place = inside(member.name, asked)
        if not _write(tar, member, place, asked, target):
            copied.left_out.append(str(place))
        elif member.isfile() or member.islnk():
            copied.files, copied.bytes = copied.files + 1, copied.bytes + member.size
    return copied


def inside(name: str, asked: str) -> PurePosixPath:
    """A member's place below what was asked for, however the archive begins its names."""
    place, root = PurePosixPath(name), PurePosixPath(asked)
    for start in (root, PurePosixPath(root.name)):
        if start.parts and place.is_relative_to(start):
            return place.relative_to(start)
    return place


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: PurePosixPath, asked: str, target: Path) -> bool:
    """Whether it was written."""
    path = target / place
    if not _stays(place, target):
        return False
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.isfile():
        return _write_file(tar, member, path)
    if member.issym():
        return _write_link(member.linkname, path, target)
    first = inside(member.linkname, asked)
    if not member.islnk() or not _stays(first, target) or not (target / first).is_file():
        return False
    shutil.copyfile(target / first, path)
    return True


def _stays(place: PurePosixPath, target: Path) -> bool:
    """Whether the place is below `target`, also through the links that were written so far."""
    if place.is_absolute() or ".." in place.parts:
        return False
    return not place.parts or (target / place).parent.resolve().is_relative_to(target.resolve())


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bool:
    """A new file, never through a link that stands in its place."""
    content = tar.extractfile(member)
    if content is None or path.is_symlink():
        return False
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755 if member.mode & 0o100 else 0o644), "wb") as file:
        shutil.copyfileobj(content, file)
    return True


def _write_link(leads_to: str, path: Path, target: Path) -> bool:
    """A link, if it leads to another place of the copy."""
    within = (path.parent / leads_to).resolve().is_relative_to(target.resolve())
    if not within or Path(leads_to).is_absolute() or path.is_symlink() or path.exists():
        return False
    path.symlink_to(leads_to)
    return True
