"""Values of the domain as JSON and back, driven by type hints alone.

Exact for whole numbers of any size. A field that the text lacks takes its default, so that old rows outlive new fields;
that is why a new field of a stored type needs a default, or a migration. Where a type is one of several dataclasses, the
text says which under `IS`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from xingliu.kernel.resources import Resources

Step = Callable[[Any], Any]
IS = "is"
_PLAIN: tuple[Any, ...] = (str, int, bool, bytes, object, NoneType)
_to_text = json.JSONEncoder(separators=(",", ":")).encode
_scan = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Coding:
    """How values of one type become JSON types and come back; None where they are the same."""

    encode: Step | None
    decode: Step | None


def bare(hint: Any) -> Any:
    """The type behind NewType and `| None`."""
    if isinstance(hint, NewType):
        return bare(hint.__supertype__)
    if get_origin(hint) in (Union, UnionType):
        inner = [each for each in get_args(hint) if each is not NoneType]
        return bare(inner[0]) if len(inner) == 1 else hint
    return hint


def is_scalar(hint: Any) -> bool:
    """Whether a database has a column type for it; all else is kept as JSON text."""
    kind = bare(hint)
    return kind in (str, int, bool, bytes) or (isinstance(kind, type) and issubclass(kind, StrEnum))


@cache
def coding(hint: Any) -> Coding:
    """Raises TypeError for a type it was not made for."""
    kind = bare(hint)
    found = _coding_of(kind)
    if kind is hint or isinstance(hint, NewType):
        return found
    return Coding(_unless_none(found.encode), _unless_none(found.decode))


def _coding_of(kind: Any) -> Coding:
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return Coding(None, None)
    if origin in (Union, UnionType):
        return _coding_of_one({each.__name__: each for each in inner})
    if origin is Mapping and inner[0] is str:
        return Coding(*(_each_value(step) for step in _both(inner[1])))
    if origin is tuple and inner[1:] == (...,):
        return Coding(*(_each_item(step, make) for step, make in zip(_both(inner[0]), (list, tuple), strict=True)))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Coding(str, {member.value: member for member in kind}.__getitem__)
    if kind is Resources:
        return Coding(dict, Resources)
    if is_dataclass(kind) and isinstance(kind, type):
        return _coding_of_dataclass(kind)
    raise TypeError(f"no JSON form for {kind!r}")


def _coding_of_one(kinds: Mapping[str, type]) -> Coding:
    """One of several dataclasses, told apart by name."""
    steps = {name: _coding_of_dataclass(kind) for name, kind in kinds.items()}

    def encode(value: Any) -> dict[str, Any]:
        name = type(value).__name__
        step = steps[name].encode
        assert step is not None, "a dataclass always has one"
        return {IS: name, **step(value)}

    def decode(document: Mapping[str, Any]) -> Any:
        step = steps[document[IS]].decode
        assert step is not None, "a dataclass always has one"
        return step(document)

    return Coding(encode, decode)


def _both(hint: Any) -> tuple[Step | None, Step | None]:
    inner = coding(hint)
    return inner.encode, inner.decode


def _unless_none(step: Step | None) -> Step | None:
    return None if step is None else lambda value: None if value is None else step(value)


def _each_value(step: Step | None) -> Step:
    return dict if step is None else lambda values: {key: step(value) for key, value in values.items()}


def _each_item(step: Step | None, make: Step) -> Step:
    return make if step is None else lambda values: make([step(value) for value in values])


def _coding_of_dataclass(kind: type) -> Coding:
    hints = get_type_hints(kind)
    steps = [(each.name, coding(hints[each.name])) for each in fields(kind)]

    def encode(value: Any) -> dict[str, Any]:
        document = {}
        for name, step in steps:
            item = getattr(value, name)
            document[name] = item if step.encode is None else step.encode(item)
        return document

    names = [name for name, _ in steps]
    decoders = [(place, step.decode) for place, (_, step) in enumerate(steps) if step.decode is not None]

    def decode(document: Mapping[str, Any]) -> Any:
        """The quick way while the text has every field, as it has unless it is older than one of them."""
        try:
            arguments = [document[name] for name in names]
        except KeyError:
            return decode_old(document)
        for place, step in decoders:
            arguments[place] = step(arguments[place])
        return kind(*arguments)

    def decode_old(document: Mapping[str, Any]) -> Any:
        there = {name: step.decode for name, step in steps if name in document}
        return kind(**{name: document[name] if step is None else step(document[name]) for name, step in there.items()})

    return Coding(encode, decode)


def to_text(hint: Any) -> Step:
    """A function from a value of that type to JSON text, ASCII only; None stays None."""
    encode = coding(hint).encode
    return lambda value: None if value is None else _to_text(value if encode is None else encode(value))


def of_text(hint: Any) -> Step:
    """The way back from `to_text`."""
    decode = coding(hint).decode
    if decode is None:
        return lambda text: None if text is None else _scan(text)[0]
    return lambda text: None if text is None else decode(_scan(text)[0])
