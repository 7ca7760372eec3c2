"""`find`, taken apart: the shape of a question, for which a statement is made once, and its values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from xingliu.control.nouns import ID_PREFIX, storable

HIGHEST = "\U0010ffff"
WHOLE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """The shape: each condition is an attribute and how it is compared: `is`, `in`, `none`, `in-or-none`."""

    conditions: tuple[tuple[str, str], ...]
    above: bool
    below: bool
    limit: bool
    newest_first: bool


@dataclass(frozen=True, slots=True)
class Question:
    page: Page
    values: dict[str, Any]


class NothingMatches(Exception):
    """No row can match, so the database need not be asked."""


def ask(
    dialect: str,
    searchable: frozenset[str],
    where: Mapping[str, object] | None,
    *,
    above: object = None,
    below: object = None,
    limit: int | None = None,
    newest_first: bool = False,
) -> Question:
    """`above` and `below` bound the id, both excluded.

    Raises KeyError for an attribute that is not searchable, NothingMatches.
    """
    values: dict[str, Any] = {}
    conditions = []
    for name, wanted in (where or {}).items():
        if name not in searchable:
            raise KeyError(name)
        conditions.append((name, _condition(dialect, name, wanted, values)))
    for name, bound in (("above", above), ("below", below)):
        if bound is not None:
            values[name] = bound if _keepable(bound) else _nothing()
    if limit is not None:
        values["limit"] = min(limit, WHOLE_MAX)
    return Question(
        Page(tuple(conditions), above is not None, below is not None, limit is not None, newest_first),
        values,
    )


def _condition(dialect: str, name: str, wanted: object, values: dict[str, Any]) -> str:
    if wanted is None:
        return "none"
    if not isinstance(wanted, frozenset):
        values[f"w_{name}"] = _plain(wanted) if _keepable(wanted) else _nothing()
        if name == ID_PREFIX:
            values[f"w_{name}_end"] = f"{wanted}{HIGHEST}"
        return "is"
    among = [_plain(each) for each in wanted if each is not None and _keepable(each)]
    values[f"w_{name}"] = among if dialect == "postgresql" else json.dumps(among)
    return "in-or-none" if None in wanted else "in"


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _keepable(value: object) -> bool:
    """Whether a column could hold it at all."""
    if isinstance(value, str):
        return storable(value)
    return not isinstance(value, int) or abs(value) <= WHOLE_MAX


def _nothing() -> object:
    raise NothingMatches
