"""Which files of a working folder go along with a job.

Patterns are git's (`.gitignore` semantics): the last that matches decides, `!` takes one back. Those of the folder's own
`.xlignore` come after the ones every folder starts with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pathspec import GitIgnoreSpec

from xingliu.kernel.errors import XingliuError

IGNORE_FILE = ".xlignore"
PACKED_BYTES_MAX = 512 * 10**6
IGNORE_FILE_BYTES_MAX = 64 * 1024
ALWAYS_IGNORED = (
    ".git/",
    ".hg/",
    ".svn/",
    "__pycache__/",
    "*.py[co]",
    ".venv/",
    "venv/",
    "node_modules/",
    ".ipynb_checkpoints/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".DS_Store",
    "*.egg-info/",
)


@dataclass(eq=False)
class BadIgnoreRule(XingliuError):
    """Line {line} of {source} is not a pattern: {text}"""

    code: ClassVar[str] = "bad_ignore_rule"
    hint: ClassVar[str] = "Write one pattern a line, as in a .gitignore: data/, *.bin, !keep.bin."
    source: str
    line: int
    text: str


class IgnoreRules:
    """Patterns in order. Paths are relative to the folder, with `/` between their parts."""

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self._spec = GitIgnoreSpec.from_lines([*ALWAYS_IGNORED, *lines])

    def ignores(self, path: str, *, folder: bool) -> bool:
        """Whether it stays behind; an ignored folder need not be looked into."""
        return self._spec.match_file(f"{path}/" if folder else path)


def read_rules(text: str, source: str = IGNORE_FILE) -> IgnoreRules:
    """The rules an ignore file adds. Raises BadIgnoreRule."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            raise BadIgnoreRule(source, number, line[:80]) from None
    return IgnoreRules(lines)


def select(paths: Iterable[str], rules: IgnoreRules) -> list[str]:
    """The files that go along, sorted. What is in an ignored folder stays behind, whatever a later `!` says (as in git)."""
    behind: dict[str, bool] = {"": False}

    def stays_behind(folder: str) -> bool:
        if folder not in behind:
            behind[folder] = stays_behind(folder.rpartition("/")[0]) or rules.ignores(folder, folder=True)
        return behind[folder]

    return sorted(path for path in paths if not stays_behind(path.rpartition("/")[0]) and not rules.ignores(path, folder=False))
