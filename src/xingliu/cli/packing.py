"""Packing a working folder: the same content gives the same bytes, so it is stored once."""

import gzip
import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar, cast

from xingliu.kernel.errors import XingliuError
from xingliu.workloads.packing import IGNORE_FILE, IGNORE_FILE_BYTES_MAX, PACKED_BYTES_MAX, IgnoreRules, read_rules, select

ENTRIES_MAX = 200_000
_LEVEL = 6

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


@dataclass(eq=False)
class NoFolder(XingliuError):
    """There is no folder {path}."""

    code: ClassVar[str] = "no_folder"
    hint: ClassVar[str] = "`workdir` is relative to the job file; write the folder to send along, such as `.`."
    path: str


@dataclass(eq=False)
class LinkLeadsOut(XingliuError):
    """{path} is a link to {target}, which is not in the folder that is sent along."""

    code: ClassVar[str] = "link_leads_out"
    hint: ClassVar[str] = "Copy the file into the folder, make the link relative, or name it in .xlignore."
    path: str
    target: str


@dataclass(eq=False)
class CannotPack(XingliuError):
    """{path} cannot be packed: {why}"""

    code: ClassVar[str] = "cannot_pack"
    hint: ClassVar[str] = "Put it right, or name it in .xlignore, and run the command again."
    path: str
    why: str


@dataclass(eq=False)
class FolderTooLarge(XingliuError):
    """The working folder is more than {limit}. Largest: {largest}."""

    code: ClassVar[str] = "folder_too_large"
    hint: ClassVar[str] = (
        "Name what the job does not need in .xlignore (patterns as in .gitignore), and keep data where jobs can read it."
    )
    limit: str
    largest: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed folder; `path` is a temporary file that whoever asked for it removes."""

    path: Path
    sha256: str
    bytes: int
    files: int


def pack(root: Path, progress: Progress = lambda done, total: None) -> Packed:
    """Pack `root` as tar.gz. Raises NoFolder, LinkLeadsOut, CannotPack, FolderTooLarge, BadIgnoreRule.

    Owners, times and file modes beyond "executable" are left out; so are sockets, pipes and devices.
    """
    if not root.is_dir():
        raise NoFolder(str(root))
    names = find(root)
    descriptor, path = tempfile.mkstemp(prefix="xl-pack-", suffix=".tar.gz")
    try:
        with os.fdopen(descriptor, "wb") as file:
            out = _Hashed(file)
            _write(root, names, out, progress)
        return Packed(Path(path), out.sha256.hexdigest(), out.bytes, len(names))
    except _Full:
        Path(path).unlink()
        raise FolderTooLarge("512 MB packed", _largest(root, names)) from None
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def find(root: Path) -> list[str]:
    """The files and links that go along, relative to `root`, sorted. Raises CannotPack, FolderTooLarge, BadIgnoreRule."""
    rules = _rules(root)
    return select(_walk(root, rules), rules)


def _rules(root: Path) -> IgnoreRules:
    path = root / IGNORE_FILE
    try:
        text = path.read_bytes()[: IGNORE_FILE_BYTES_MAX + 1] if path.is_file() else b""
    except OSError as error:
        raise CannotPack(IGNORE_FILE, _why(error)) from None
    if len(text) > IGNORE_FILE_BYTES_MAX:
        raise CannotPack(IGNORE_FILE, f"it is larger than {IGNORE_FILE_BYTES_MAX // 1024} KiB")
    return read_rules(text.decode(errors="replace"))


def _walk(root: Path, rules: IgnoreRules) -> Iterator[str]:
    """Every file and link outside ignored folders."""

    def refuse(error: OSError) -> None:
        raise CannotPack(os.path.relpath(error.filename, root), _why(error))

    count = 0
    for folder, folders, files in os.walk(root, onerror=refuse):
        inside = os.path.relpath(folder, root)
        prefix = "" if inside == "." else f"{inside}/"
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and not rules.ignores(prefix + name, folder=True))
        yield from (prefix + name for name in (*files, *links) if _goes_along(Path(folder, name)))
        count += len(files) + len(links)
        if count > ENTRIES_MAX:
            raise FolderTooLarge(f"{ENTRIES_MAX} files", inside)


def _goes_along(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


class _Full(Exception):
    """The limit is reached."""


class _Hashed:
    """A file to write to that counts and hashes what it is given; once full, it takes no more and says so once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.bytes = 0
        self._full = False

    def write(self, data: bytes) -> int:
        """Raises _Full."""
        if self._full:
            return len(data)
        self.bytes += len(data)
        if self.bytes > PACKED_BYTES_MAX:
            self._full = True
            raise _Full
        self.sha256.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _write(root: Path, names: list[str], out: _Hashed, progress: Progress) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=cast(IO[bytes], out), mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar,
    ):
        for number, name in enumerate(names):
            progress(number, len(names))
            _add(tar, root, name)
        progress(len(names), len(names))


def _add(tar: tarfile.TarFile, root: Path, name: str) -> None:
    path = root / name
    entry = tarfile.TarInfo(name)
    try:
        name.encode()
        if path.is_symlink():
            entry.type, entry.linkname = tarfile.SYMTYPE, _target(root, path, name)
            entry.mode = 0o777
            tar.addfile(entry)
        else:
            _add_file(tar, entry, path)
    except UnicodeEncodeError:
        raise CannotPack(ascii(name), "its name is not UTF-8") from None
    except OSError as error:
        raise CannotPack(name, _why(error)) from None


def _add_file(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        entry.size = facts.st_size
        entry.mode = 0o755 if facts.st_mode & stat.S_IXUSR else 0o644
        tar.addfile(entry, file)


def _target(root: Path, path: Path, name: str) -> str:
    """Where a link leads, which has to be inside `root` wherever that is unpacked. Raises LinkLeadsOut, CannotPack."""
    target = path.readlink()
    lexical = os.path.normpath(PurePosixPath(name).parent / target)
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except RuntimeError:
        raise CannotPack(name, "it is a link that leads back to itself") from None
    if target.is_absolute() or lexical.split("/")[0] == ".." or not inside:
        raise LinkLeadsOut(name, str(target))
    return str(target)


def _largest(root: Path, names: list[str]) -> str:
    sizes = sorted(((_size(root / name), name) for name in names), reverse=True)[:3]
    return ", ".join(f"{name} ({size // 10**6} MB)" for size, name in sizes)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _why(error: OSError) -> str:
    return error.strerror or str(error)
