"""Errors are facts: the docstring's first line is the message, the fields are the facts, the edge chooses the status."""

from dataclasses import dataclass
from typing import ClassVar


class XingliuError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: ClassVar[str] = ""

    def __str__(self) -> str:
        doc = (type(self).__doc__ or "").strip().splitlines()[0]
        return doc.format_map(vars(self))

    def advice(self) -> str:
        """The way out, with the facts filled in."""
        return type(self).hint.format_map(vars(self))


_LISTED = {
    "job": "xl ps",
    "array": "xl ps",
    **{noun: f"xl {noun} ls" for noun in ("key", "node", "project", "queue", "schedule", "secret", "tenant", "user")},
}


@dataclass(eq=False)
class Unknown(XingliuError):
    """There is no {noun} {name}."""

    code: ClassVar[str] = "unknown"
    hint: ClassVar[str] = "It may not exist, or not be yours to see"
    noun: str
    name: str

    def advice(self) -> str:
        """With the command that lists such things, where there is one."""
        listed = f"; `{_LISTED[self.noun]}` lists what you can see" if self.noun in _LISTED else ""
        return f"{self.hint}{listed}."


@dataclass(eq=False)
class AlreadyExists(XingliuError):
    """There is already a {noun} {name}."""

    code: ClassVar[str] = "already_exists"
    hint: ClassVar[str] = "Choose another name, or use the one that exists."
    noun: str
    name: str


@dataclass(eq=False)
class BadValue(XingliuError):
    """{value!r} is not {expected}."""

    code: ClassVar[str] = "bad_value"
    hint: ClassVar[str] = "{example}"
    value: str
    expected: str
    example: str = ""
