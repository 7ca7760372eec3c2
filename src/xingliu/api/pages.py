"""Lists are cut into pages: `limit` items, and `next` to ask for what comes after them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

LIMIT_MAX = 500
CURSOR_LONGEST = 300
LATEST_US = 2**53

T = TypeVar("T")
V = TypeVar("V")

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Items in one page.")]
After = Annotated[str | None, Query(max_length=CURSOR_LONGEST, description="`next` of the page before.")]
Instant = Annotated[int | None, Query(ge=0, le=LATEST_US, description="Microseconds UTC since 1970.")]


class Page(BaseModel, Generic[T]):
    """Some items, and where the next ones begin; null where there are none."""

    items: list[T]
    next: str | None = None


def page_of(found: Sequence[V], limit: int, cursor: Callable[[V], str], show: Callable[[V], T]) -> Page[T]:
    """A page of what was found, of which one more than `limit` was asked for."""
    items = found[:limit]
    return Page(items=[show(value) for value in items], next=cursor(items[-1]) if len(found) > limit else None)
