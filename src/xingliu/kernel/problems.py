"""What is wrong with a document: each problem with its place, all of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from xingliu.kernel.errors import XingliuError

Path = tuple[str | int, ...]
PROBLEMS_MAX = 50
_SHOWN_MAX = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right.

    Attributes:
        line, column: from 1, both None for a document that did not come as text.
        key: where it is, such as `restart.on_events[1]`; empty for the document as a whole.
        message: one sentence without the file and the line.
        hint: the way out, or empty.
    """

    line: int | None
    column: int | None
    key: str
    message: str
    hint: str = ""

    def facts(self) -> Mapping[str, object]:
        """As JSON types, for problem documents."""
        return {"line": self.line, "column": self.column, "key": self.key, "message": self.message, "hint": self.hint}


@dataclass(eq=False)
class InvalidDocument(XingliuError):
    """{source} cannot be used."""

    code: ClassVar[str] = "invalid_spec"
    source: str
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self._place(problem)}: {problem.message}" for problem in self.problems)

    def advice(self) -> str:
        """The hints, one a line, each once."""
        return "\n".join(dict.fromkeys(problem.hint for problem in self.problems if problem.hint))

    def _place(self, problem: Problem) -> str:
        return self.source if problem.line is None else f"{self.source} line {problem.line}"


def show_path(path: Path) -> str:
    """`("restart", "on_events", 1)` as `restart.on_events[1]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shorten(step)}" if text else shorten(step)
    return text


def show_value(value: object) -> str:
    """A value as a message may quote it: short, on one line, printable."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping of keys"
    if isinstance(value, list):
        return "a list"
    return shorten(repr(value))


def shorten(text: str) -> str:
    """At most 60 printable characters of it."""
    printable = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: _SHOWN_MAX + 1])
    return printable if len(printable) <= _SHOWN_MAX else printable[:_SHOWN_MAX] + "..."
