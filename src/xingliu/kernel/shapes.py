"""The shapes of plain values: words, texts, lists and mappings."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from xingliu.kernel.keytables import Bad, Entry, Shape
from xingliu.kernel.problems import shorten

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
NAME_HINT = "Use at most 63 small letters, digits and dashes, with a letter or digit at both ends."
_NAME_SCHEMA = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}


def _read_boolean(entry: Entry) -> bool:
    if not isinstance(entry.value, bool):
        raise entry.not_a("true or false")
    return entry.value


BOOLEAN = Shape(_read_boolean, {"type": "boolean"})


def whole(least: int, most: int) -> Shape:
    """A whole number."""

    def read(entry: Entry) -> int:
        value = entry.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise entry.not_a(f"a whole number from {least} to {most}")
        return value

    return Shape(read, {"type": "integer", "minimum": least, "maximum": most})


def text(pattern: str, what: str, hint: str = "", *, length_max: int) -> Shape:
    """Text that matches `pattern` whole; `what` says so in words."""
    compiled = re.compile(pattern)

    def read(entry: Entry) -> str:
        value = entry.value
        if not isinstance(value, str) or len(value) > length_max or not compiled.fullmatch(value):
            raise entry.not_a(what, hint)
        return value

    return Shape(read, {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": length_max})


def name(what: str) -> Shape:
    """A DNS-like name of `what`."""

    def read(entry: Entry) -> str:
        if not isinstance(entry.value, str) or not NAME.match(entry.value):
            raise entry.not_a(f"a name for {what}", NAME_HINT)
        return entry.value

    return Shape(read, _NAME_SCHEMA)


def script(bytes_max: int) -> Shape:
    """Shell text that is not blank."""

    def read(entry: Entry) -> str:
        value = entry.value
        if not isinstance(value, str) or not value.strip():
            raise entry.not_a("a shell command", "Write one command, or several lines after `|`; quote what reads as a number.")
        if len(value.encode()) > bytes_max:
            raise entry.wrong(f"it is longer than {bytes_max // 1024} KiB", "Put it into a file of the workdir and call that.")
        return value

    return Shape(read, {"type": "string", "minLength": 1, "maxLength": bytes_max})


def choice(words: type[StrEnum] | Sequence[str], refused: Mapping[str, tuple[str, str]] | None = None) -> Shape:
    """One of `words`, as an enum's member where they are an enum. `refused` words have their own message and hint."""
    known = {str(word): word for word in words}

    def read(entry: Entry) -> str:
        value = entry.value
        if isinstance(value, str) and refused and value in refused:
            raise entry.wrong(*refused[value])
        if not isinstance(value, str) or value not in known:
            raise entry.not_a(f"one of {', '.join(known)}")
        return known[value]

    return Shape(read, {"enum": list(known)}, str)


def list_of(shape: Shape, *, most: int, what: str) -> Shape:
    """A list, read as a tuple."""

    def read(entry: Entry) -> tuple[object, ...]:
        if not isinstance(entry.value, list):
            raise entry.not_a(f"a list of {what}", "Write it as [first, second], or one a line after a dash.")
        if len(entry.value) > most:
            raise entry.wrong(f"there are more than {most} {what}")
        return tuple(_read_parts(shape, [entry.at(number, value) for number, value in enumerate(entry.value)]))

    def write(found: Any) -> list[object]:
        return [shape.write(one) for one in found]

    return Shape(read, {"type": "array", "items": shape.schema, "maxItems": most}, write, shape.inner)


def mapping_of(shape: Shape, *, most: int, what: str, key: str, key_hint: str) -> Shape:
    """A mapping with free keys, each matching the pattern `key` whole."""
    compiled = re.compile(key)

    def read(entry: Entry) -> dict[str, object]:
        if not isinstance(entry.value, Mapping):
            raise entry.not_a(f"a mapping of {what}", "Write one `NAME: value` a line, further in than the key.")
        if len(entry.value) > most:
            raise entry.wrong(f"there are more than {most} {what}")
        parts = [entry.at(step, value) for step, value in entry.value.items()]
        bad = [part for part in parts if not compiled.fullmatch(str(part.path[-1]))]
        for part in bad:
            part.note(f"'{shorten(str(part.path[-1]))}' cannot be a key of {what}", key_hint)
        values = _read_parts(shape, parts)
        if bad:
            raise Bad
        return dict(zip(entry.value, values, strict=True))

    def write(found: Any) -> dict[str, object]:
        return {step: shape.write(value) for step, value in found.items()}

    schema = {
        "type": "object",
        "propertyNames": {"pattern": f"^(?:{key})$"},
        "additionalProperties": shape.schema,
        "maxProperties": most,
    }
    return Shape(read, schema, write)


def _read_parts(shape: Shape, parts: Sequence[Entry]) -> list[object]:
    """Every part's meaning. Raises Bad after the last when any had a problem."""
    found: list[object] = []
    for part in parts:
        try:
            found.append(shape.read(part))
        except Bad:
            continue
    if len(found) < len(parts):
        raise Bad
    return found
