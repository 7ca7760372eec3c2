"""Arrays: one job file, many jobs, each with an index of its own."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import ArrayId, ProjectId, QueueName, TenantId, UserId

ELEMENTS_MAX = 10_000
INDEX_MAX = 1_000_000
_SPAN = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?\Z")
_EXAMPLE = "Write 0-199, 0-199:2 for every second, or 1,3,5-9."


@dataclass(frozen=True, slots=True)
class Span:
    """The indices from `first` to `last`, both included, `step` apart."""

    first: int
    last: int
    step: int = 1

    def __len__(self) -> int:
        return (self.last - self.first) // self.step + 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1, self.step))


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """What an element knows of its array: its own index, how many elements there are, and how many may run at once."""

    id: ArrayId
    index: int
    size: int
    max_parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """Many jobs that were submitted as one. `indices` as people write them."""

    id: ArrayId
    tenant: TenantId
    project: ProjectId
    user: UserId
    queue: QueueName
    name: str
    indices: str
    size: int
    submitted_us: int
    max_parallel: int | None = None


def read_spans(text: str) -> tuple[Span, ...]:
    """`0-199`, `0-199:2`, `1,3,5-9` as spans. Raises BadValue: not indices, too many or too large, one named twice."""
    spans = tuple(_span(part.strip(), text) for part in text.split(",")) if len(text) <= 100_000 else ()
    size = sum(map(len, spans))
    if not 0 < size <= ELEMENTS_MAX:
        raise BadValue(text[:60], f"an array of at most {ELEMENTS_MAX} elements", _EXAMPLE)
    if len(set(indices_of(spans))) < size:
        raise BadValue(text[:60], "an array that names each index once", _EXAMPLE)
    return spans


def _span(part: str, text: str) -> Span:
    match = _SPAN.match(part)
    first, last, step = (int(match.group(place) or 0) for place in (1, 2, 3)) if match else (0, 0, 0)
    if match is None or (match.group(3) and not step):
        raise BadValue(text[:60], "indices", _EXAMPLE)
    if match.group(2) is None:
        last = first
    if last < first or last > INDEX_MAX:
        raise BadValue(text[:60], f"indices that rise, from 0 to {INDEX_MAX}", _EXAMPLE)
    last -= (last - first) % (step or 1)
    return Span(first, last, step if step and last > first else 1)


def write_spans(spans: Iterable[Span]) -> str:
    """The text that reads back as exactly these."""
    return ",".join(_written(span) for span in spans)


def _written(span: Span) -> str:
    if span.first == span.last:
        return str(span.first)
    return f"{span.first}-{span.last}{f':{span.step}' if span.step > 1 else ''}"


def indices_of(spans: Iterable[Span]) -> list[int]:
    """Every index, in the order in which they were written."""
    return [index for span in spans for index in span]
