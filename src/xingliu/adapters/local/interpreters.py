"""Python interpreters that jobs may name."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xingliu.adapters.local.places import Places
from xingliu.kernel.errors import XingliuError

VISIBLE = ("/usr", "/bin", "/lib", "/lib64", "/opt")
_VERSION_TIMEOUT_S = 10


@dataclass(eq=False)
class NoSuchInterpreter(XingliuError):
    """This node has no Python interpreter {asked}; it has {present}."""

    code: ClassVar[str] = "no_such_interpreter"
    hint: ClassVar[str] = "Name one of those under `python:`, or ask the operator to add one."
    asked: str
    present: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One interpreter.

    Attributes:
        name: what a job file may say, beside its version or its path.
        prefixes: the folders it needs that a sandbox does not show anyway: its own and its base's.
    """

    name: str
    path: Path
    version: str
    prefixes: tuple[Path, ...] = ()

    def answers_to(self, asked: str) -> bool:
        wanted = asked.removeprefix("python")
        return asked in (self.name, str(self.path)) or self.version == wanted or self.version.startswith(f"{wanted}.")


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Those of this machine, the first that answers wins."""

    present: tuple[Interpreter, ...]

    def find(self, asked: str | None, *, declared: bool = False) -> Interpreter | None:
        """The one asked for; asked for none, the first, if there is any. Raises NoSuchInterpreter.

        A path that is not known may only lie where every job sees it anyway, unless the operator `declared` it: showing
        a job the folders around a path of its own choice would show it what it must not see.
        """
        for interpreter in self.present:
            if asked is None or interpreter.answers_to(asked):
                return interpreter
        if asked is None:
            return None
        path = Path(asked)
        visible = Path(os.path.normpath(asked)).is_relative_to("/usr") or Path(os.path.normpath(asked)).is_relative_to("/opt")
        if path.is_absolute() and (declared or visible) and path.is_file() and os.access(path, os.X_OK):
            return Interpreter(asked, path, "", _prefixes(path) if declared else ())
        names = ", ".join(sorted({f"{one.name} ({one.version})" for one in self.present}))
        raise NoSuchInterpreter(asked, names or "none")

    def facts(self) -> list[dict[str, str]]:
        return [{"name": one.name, "path": str(one.path), "version": one.version} for one in self.present]


def find_interpreters(places: Places) -> Interpreters:
    """What the operator linked in `pythons/` and the node's own; the node's `python3` is the default."""
    found = [("python3", Path("/usr/bin/python3")), ("python3", Path("/usr/local/bin/python3"))]
    for folder in (Path("/usr/bin"), Path("/usr/local/bin")):
        found += [(path.name, path) for path in folder.glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)]
    if places.pythons.is_dir():
        found += [(link.name, link.readlink() if link.is_symlink() else link) for link in sorted(places.pythons.iterdir())]
    base = Path(getattr(sys, "_base_executable", sys.executable))
    found += [(base.name, base), ("xingliu", Path(sys.executable))]
    present: dict[Path, Interpreter] = {}
    for name, path in found:
        if path not in present and path.is_absolute() and os.access(path, os.X_OK) and (version := _version(path)):
            present[path] = Interpreter(name, path, version, _prefixes(path))
    return Interpreters(tuple(present.values()))


def _version(path: Path) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = re.match(rb"Python (\d+\.\d+\.\d+)", done.stdout)
    return said.group(1).decode() if said else ""


def _prefixes(path: Path) -> tuple[Path, ...]:
    """Only real prefixes, with a standard library in them: never a folder that merely lies above some `bin`."""
    folders = [path.parent.parent]
    settings = folders[0] / "pyvenv.cfg"
    if settings.is_file():
        home = re.search(r"^home\s*=\s*(.+)$", settings.read_text(), re.MULTILINE)
        folders += [Path(home.group(1).strip()).parent] if home else []
    folders.append(path.resolve().parent.parent)
    needed = [folder for folder in dict.fromkeys(folders) if not str(folder).startswith(VISIBLE)]
    return tuple(folder for folder in needed if any((folder / "lib").glob("python3*")))


def folder_of(interpreter: Interpreter, run: Path) -> Path:
    """A folder in which `python` and `python3` are this interpreter: its own, or one of links that is made for it.

    A virtual environment's own folder is needed: an interpreter reached through a link does not find its environment.
    """
    own = interpreter.path.parent
    same = all((own / name).exists() and (own / name).resolve() == interpreter.path.resolve() for name in ("python", "python3"))
    if same:
        return own
    links = run / "pythons" / str(interpreter.path).strip("/").replace("/", "-")
    if not links.is_dir():
        half = links.with_name(links.name + ".new")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for name in ("python", "python3"):
            (half / name).symlink_to(interpreter.path)
        for folder in (half, half.parent):
            folder.chmod(0o755)
        half.rename(links)
    return links
