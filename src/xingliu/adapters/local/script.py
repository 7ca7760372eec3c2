"""What a replica's shell is told: its environment, its working folder, `setup`, then `run`.

All of it goes through fd 3, a file in memory, and is read only by the shell, which already is the project's: an
environment given to root's sandbox tools would let a job's LD_PRELOAD into them, and a command line is for all to see.
Bash reads it as its BASH_ENV and then has `run` as its own command line, so that a single command replaces the shell.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xingliu.kernel.errors import XingliuError
from xingliu.kernel.units import show_bytes

UNPACKED_BYTES_MAX = 20 * 10**9
_ARGUMENT_BYTES_MAX = 100_000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IN_SETUP = """\
trap 'xl_code=$?; echo "setup failed with exit code $xl_code" >&2; exit $xl_code' EXIT
set -e
eval "$XL_SETUP"
set +e
trap - EXIT
unset XL_SETUP
"""
_EXPORTS_END = ": end of exports"
_RUN = 'eval "$XL_RUN"'


@dataclass(eq=False)
class BadVariable(XingliuError):
    """{name!r} cannot be the name of an environment variable."""

    code: ClassVar[str] = "bad_variable"
    hint: ClassVar[str] = "Use letters, digits and underscores, not starting with a digit."
    name: str


@dataclass(frozen=True, slots=True)
class Script:
    """The shell's command line, and what it reads from fd 3."""

    argv: list[str]
    environment: dict[str, str]
    prelude: str


def write_script(shell: str, run: str, setup: str | None, environment: Mapping[str, str], unpack_into: str | None) -> Script:
    """Raises BadVariable."""
    lines = []
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise BadVariable(name)
        lines.append(f"export {name}={shlex.quote(value)}")
    lines.append(_EXPORTS_END)
    if unpack_into is not None:
        lines.append(_unpack(unpack_into))
    text = run
    bash = Path(shell).name == "bash"
    if setup is not None or not bash or len(run.encode()) > _ARGUMENT_BYTES_MAX:
        lines.append(f"XL_RUN={shlex.quote(run)}")
        text = _RUN
    if setup is not None:
        lines.append(f"XL_SETUP={shlex.quote(setup)}")
        text = _IN_SETUP + text
    lines.append("exec 3<&- 5<&-\nprintf r >&4\nexec 4>&-\n")
    prelude = "\n".join(lines)
    if bash:
        plain = {"BASH_ENV": "/proc/self/fd/3"}
        return Script([shell, "--noprofile", "--norc", "-c", text, "run"], plain, "unset BASH_ENV\n" + prelude)
    return Script([shell, "-c", f". /proc/self/fd/3\n{text}", "run"], {}, prelude)


def exports_of(prelude: str) -> str:
    """The environment's part of what a replica's shell reads."""
    return prelude.partition(f"\n{_EXPORTS_END}\n")[0]


def _unpack(into: str) -> str:
    """Unpack fd 5 in the sandbox itself, as the project, so that whatever is in it reaches no further than the job would."""
    limit = show_bytes(UNPACKED_BYTES_MAX)
    sentence = f"the working folder cannot be unpacked: it is damaged, larger than {limit}, or the disk is full"
    packed = f"gzip -dc <&5 | head -c {UNPACKED_BYTES_MAX} | tar --no-same-owner -xf - -C {shlex.quote(into)}"
    return f"{packed} || {{ echo {shlex.quote(sentence)} >&2; exit 1; }}"
