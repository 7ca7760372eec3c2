"""Through a document of JSON types along a type: every part is checked, and may be changed on the way."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from xingliu.kernel.coding import IS
from xingliu.kernel.problems import Path, show_path, show_value
from xingliu.kernel.resources import Resources


@dataclass(eq=False)
class Misfit(Exception):
    """Something in a document is not what its type says; `where` such as `nodes[3].free`."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where or 'it'}: {self.message}"


Leaf = Callable[[Any, object, Path], object]


def same(_hint: Any, value: object, _path: Path) -> object:
    """The leaf that changes nothing."""
    return value


def walk(hint: Any, value: object, leaf: Leaf = same, path: Path = ()) -> Any:
    """The document again, each single text or number replaced by what `leaf` makes of it. Raises Misfit.

    `leaf` is told the type as it was declared (a NewType where there is one), the value and its path. Fields that are
    absent stay so where they have a default.
    """
    kinds = [each for each in get_args(hint) if each is not NoneType] if get_origin(hint) in (Union, UnionType) else [hint]
    if value is None and NoneType in get_args(hint):
        return None
    if len(kinds) > 1:
        return _one_of({each.__name__: each for each in kinds}, value, leaf, path)
    (kind,) = kinds
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        parts = _fitting(value, list, "a list", path)
        return [walk(inner[0], part, leaf, (*path, number)) for number, part in enumerate(parts)]
    if origin is Mapping or kind is Resources:
        of = int if kind is Resources else inner[1]
        return {key: walk(of, part, leaf, (*path, key)) for key, part in _mapping(value, path).items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return _fields(kind, _mapping(value, path), leaf, path)
    return leaf(kind, _single(kind, value, path), path)


def _one_of(kinds: Mapping[str, type], value: object, leaf: Leaf, path: Path) -> Any:
    parts = _mapping(value, path)
    name = parts.get(IS)
    if not isinstance(name, str) or name not in kinds:
        raise _misfit((*path, IS), f"{show_value(name)} is none of {', '.join(kinds)}")
    rest = {key: part for key, part in parts.items() if key != IS}
    return {IS: name, **_fields(kinds[name], rest, leaf, path)}


def _fields(kind: type, parts: Mapping[str, object], leaf: Leaf, path: Path) -> dict[str, object]:
    hints = get_type_hints(kind)
    known = {each.name: each for each in fields(kind)}
    for name in parts:
        if name not in known:
            raise _misfit((*path, name), "this version knows no such key")
    for name, each in known.items():
        if name not in parts and not _has_default(each):
            raise _misfit((*path, name), "it is missing")
    return {name: walk(hints[name], part, leaf, (*path, name)) for name, part in parts.items()}


def _has_default(each: "Field[Any]") -> bool:
    return each.default is not MISSING or each.default_factory is not MISSING


def _single(kind: Any, value: object, path: Path) -> object:
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind is object:
        return value
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        words = [member.value for member in kind]
        if value not in words:
            raise _misfit(path, f"{show_value(value)} is none of {', '.join(words)}")
        return value
    if isinstance(value, bool) is not (kind is bool):
        raise _misfit(path, f"{show_value(value)} is not {_WORDS[kind]}")
    return _fitting(value, kind, _WORDS[kind], path)


_WORDS: dict[Any, str] = {str: "text", int: "a whole number", bool: "true or false"}


def _mapping(value: object, path: Path) -> dict[str, object]:
    found: dict[str, object] = _fitting(value, dict, "a mapping of keys", path)
    return found


def _fitting(value: object, kind: type, word: str, path: Path) -> Any:
    if not isinstance(value, kind):
        raise _misfit(path, f"{show_value(value)} is not {word}")
    return value


def _misfit(path: Path, message: str) -> Misfit:
    return Misfit(show_path(path), message)
