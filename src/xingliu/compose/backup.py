"""`xl backup` and `xl restore`: the store, the working folders jobs were sent with, and their folders, in one file.

The key file that opens secrets is never in it, nor the admin's key (`client.json`), nor logs of replicas.
"""

import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from xingliu.compose.errors import AlreadyUp
from xingliu.compose.settings import UpSettings
from xingliu.compose.supervise import find_up
from xingliu.kernel.errors import XingliuError

STORE_MEMBER = "store.jsonl"
FOLDERS = ("blobs", "jobs")


@dataclass(eq=False)
class NotABackup(XingliuError):
    """{file} is not a backup of a cloud: {why}"""

    code: ClassVar[str] = "not_a_backup"
    hint: ClassVar[str] = "Give a file that `xl backup` wrote."
    file: Path
    why: str


@dataclass(eq=False)
class HomeNotEmpty(XingliuError):
    """{home} already holds a cloud."""

    code: ClassVar[str] = "home_not_empty"
    hint: ClassVar[str] = "Restore into another folder with --home, or move this one away first."
    home: Path


def backup(settings: UpSettings, file: Path) -> Path:
    """Write the backup whole or not at all; the cloud may be up. Raises StoreUnavailable, OSError."""
    # SQLAlchemy takes 0.2 s to import, and `xl up` imports this module.
    from xingliu.adapters.sql.backup import dump  # noqa: PLC0415

    file = file.absolute()
    partial = file.with_name(file.name + ".partial")
    try:
        with _private(partial) as out, tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
            with tempfile.TemporaryFile(dir=file.parent) as lines:
                for line in dump(settings.url_of_store):
                    lines.write(line)
                _add(tar, STORE_MEMBER, lines)
            for folder in FOLDERS:
                if (settings.home / folder).is_dir():
                    tar.add(settings.home / folder, arcname=folder, filter=_plain)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return file


def restore(settings: UpSettings, file: Path) -> None:
    """Fill an empty home and an empty store. Raises HomeNotEmpty, AlreadyUp, NotABackup, BrokenBackup, StoreNotEmpty."""
    from xingliu.adapters.sql.backup import load  # noqa: PLC0415 - as in `backup`

    up = find_up(settings)
    if up is not None:
        raise AlreadyUp(settings.home, up.url, up.pid)
    if any((settings.home / name).exists() for name in ("store.db", *FOLDERS)):
        raise HomeNotEmpty(settings.home)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tarfile.open(file, mode="r:gz") as tar:
            first = tar.next()
            lines = tar.extractfile(first) if first is not None and first.name == STORE_MEMBER else None
            if lines is None:
                raise NotABackup(file, f"it does not begin with {STORE_MEMBER}")
            load(settings.url_of_store, _lines(lines))
            for member in tar:
                if member.name.split("/", 1)[0] in FOLDERS:
                    _extract(tar, member, settings.home)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise NotABackup(file, str(error)) from error


def _lines(lines: IO[bytes]) -> Iterator[bytes]:
    yield from lines


def _private(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = content.tell()
    member.mode = 0o600
    content.seek(0)
    tar.addfile(member, content)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files, folders and links; sockets and devices that a job made are left out."""
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, home: Path) -> None:
    """Owners and modes stay, since each project's folders belong to its uid; leading out of the home is refused.

    Checked here, since Python's own filters are not in every 3.11.
    """
    if not (home / member.name).parent.resolve().is_relative_to(home.resolve()) or ".." in Path(member.name).parts:
        raise tarfile.ExtractError(f"{member.name} leads out of the home")
    tar.extraction_filter = _unchanged
    tar.extract(member, home, set_attrs=True, numeric_owner=True)


def _unchanged(member: tarfile.TarInfo, _home: str) -> tarfile.TarInfo:
    return member
