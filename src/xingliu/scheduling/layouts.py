"""Which flavor each part of a job could have, and on which nodes its parts fit together."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from xingliu.kernel.ids import FlavorName
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Part
from xingliu.scheduling.room import NOTHING, Amount, Shelf, Spot, both, covers, less

LAYOUTS_MAX = 64

EVERY = 1 << 62

Nodes = list[list[int]]
Shelves = Mapping[FlavorName, Shelf]
Freed = Mapping[FlavorName, Mapping[int, Amount]]


class Ask(NamedTuple):
    """What one part asks: `amount` on each of `replicas` nodes of `flavor`."""

    flavor: FlavorName
    amount: Amount
    replicas: int


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A flavor for each part of a job: what each then asks, and what the whole gang is charged to its queue."""

    asks: tuple[Ask, ...]
    cost: Resources

    @property
    def flavors(self) -> tuple[FlavorName, ...]:
        return tuple(ask.flavor for ask in self.asks)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What a job asks for and where it could be: one and the same for all jobs of a cycle that have equal parts.

    `layouts`: in order of preference, whatever is free; of several parts, none with a flavor of too few nodes for one of them.
    """

    parts: tuple[Part, ...]
    layouts: tuple[Layout, ...]

    def layout_of(self, flavors: Sequence[FlavorName]) -> Layout | None:
        return next((layout for layout in self.layouts if layout.flavors == tuple(flavors)), None)


def combined(choices: Sequence[Sequence[Ask]]) -> Iterator[tuple[Ask, ...]]:
    """One choice for each part in every way, at most LAYOUTS_MAX of them: those nearest to everyone's first choice first."""
    if not all(choices):
        return
    first = (0,) * len(choices)
    heap, seen = [(0, first)], {first}
    for _ in range(LAYOUTS_MAX):
        if not heap:
            return
        far, picks = heapq.heappop(heap)
        yield tuple(choice[pick] for choice, pick in zip(choices, picks, strict=True))
        for place, pick in enumerate(picks):
            further = (*picks[:place], pick + 1, *picks[place + 1 :])
            if pick + 1 < len(choices[place]) and further not in seen:
                seen.add(further)
                heapq.heappush(heap, (far + 1, further))


def fit_together(shelves: Shelves, asks: Sequence[Ask]) -> bool:
    """Whether all of them fit at once."""
    if not all(shelves[ask.flavor].count(ask.amount, ask.replicas) == ask.replicas for ask in asks):
        return False
    return len({ask.flavor for ask in asks}) == len(asks) or spread(shelves, asks) is not None


def asked_of_each(layout: Layout, nodes: Nodes) -> dict[int, Amount]:
    """What all parts together ask of each node."""
    asked: dict[int, Amount] = {}
    for ask, numbers in zip(layout.asks, nodes, strict=True):
        for number in numbers:
            asked[number] = both(asked.get(number, NOTHING), ask.amount)
    return asked


def spread(shelves: Shelves, asks: Sequence[Ask], freed: Freed | None = None) -> Nodes | None:
    """For each part its nodes, by number and in order, or None where no way was found to have them all.

    `freed`: what is free on nodes where that is more than the shelves say; they are taken first. Each part takes the nodes
    with the least to spare, the largest part first; where that leaves too few for another, nodes that spoil nothing for
    others are taken first. With two parts of one flavor a way is found if there is one; with more it may be missed.
    """
    if len(asks) == 1 and not freed:
        spots = shelves[asks[0].flavor].tightest(asks[0].amount, asks[0].replicas)
        return [sorted(spot.node for spot in spots)] if len(spots) == asks[0].replicas else None
    found = _Spread(shelves, asks, freed or {}).run(careful=False)
    if found is None and len(asks) > 1:
        found = _Spread(shelves, asks, freed or {}).run(careful=True)
    return found


class _Spread:
    """One try. `_left`: what is free now on nodes that are freed or were taken by a part."""

    def __init__(self, shelves: Shelves, asks: Sequence[Ask], freed: Freed) -> None:
        self._shelves, self._asks, self._freed = shelves, asks, freed
        self._left = {ask.flavor: dict(freed.get(ask.flavor, {})) for ask in asks}

    def run(self, *, careful: bool) -> Nodes | None:
        found: Nodes = [[] for _ in self._asks]
        parts = sorted(range(len(self._asks)), key=lambda part: (self._asks[part].amount, part), reverse=True)
        for done, part in enumerate(parts, 1):
            ask = self._asks[part]
            others = [self._asks[other].amount for other in parts[done:] if self._asks[other].flavor == ask.flavor]
            chosen = self._choose(ask, others if careful else [])
            if chosen is None:
                return None
            found[part] = sorted(spot.node for spot in chosen)
            self._left[ask.flavor] |= {spot.node: less(spot.free, ask.amount) for spot in chosen}
        return found

    def _choose(self, ask: Ask, others: Sequence[Amount]) -> list[Spot] | None:
        """The best nodes for it; where there are `others`, those that spoil the least for them."""
        left, freed = self._left[ask.flavor], self._freed.get(ask.flavor, {})
        most = EVERY if others else ask.replicas + len(left)
        spots = [spot for spot in self._shelves[ask.flavor].tightest(ask.amount, most) if spot.node not in left]
        spots += [Spot(free, node) for node, free in left.items() if covers(free, ask.amount)]
        spots.sort(key=lambda spot: (_spoilt(spot.free, ask.amount, others), spot.node not in freed, spot))
        return spots[: ask.replicas] if len(spots) >= ask.replicas else None


def _spoilt(free: Amount, taken: Amount, others: Sequence[Amount]) -> int:
    """How many of the others have room on a node now and no longer once that is taken."""
    return sum(covers(free, other) and not covers(less(free, taken), other) for other in others)
