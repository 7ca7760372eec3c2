"""The conservation law: each device at each instant is in exactly one class, so the classes add up to capacity.

Two records that do not know of each other are held together: leased time is read off the leases, all other time off the
nodes' stories less what was occupied. What is occupied comes from a third record where there is one (`witnessed`, such as
the event log), else from the distinct keys and GPU indices of the leases. So a lease that is lost, doubled, on a device
another holds, above capacity or on a node that is none does not add up.

A sweep over the exact instants at which anything changes; nothing is sampled, nothing is rounded.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from xingliu.kernel.intervals import Interval
from xingliu.kernel.resources import MILLI
from xingliu.metering.model import DeviceClass, HeldInterval, LeasedAs, NodeSpan
from xingliu.metering.parts import leased, parts
from xingliu.metering.track import Track

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class PoolBalance:
    """One pool over one interval, in milli-units of its scheduled resource x microseconds.

    Attributes:
        capacity: from the nodes' stories alone.
        classes: leased, down, draining, idle.
        leased_as: the parts of leased.
        difference: what does not add up, taken at each instant and node without sign, so that no error hides another.
    """

    pool: str
    kind: str
    interval: Interval
    capacity: int
    classes: Mapping[DeviceClass, int]
    leased_as: Mapping[LeasedAs, int]
    difference: int


@dataclass(frozen=True, slots=True)
class Conservation:
    """The report: each pool over the whole window, and each pool in each hour of it (UTC), in order."""

    pools: tuple[PoolBalance, ...]
    hours: tuple[PoolBalance, ...]

    @property
    def holds(self) -> bool:
        return not any(balance.difference for balance in self.pools)


@dataclass(slots=True)
class _Tally:
    capacity: int = 0
    classes: Counter[DeviceClass] = field(default_factory=Counter)
    leased_as: Counter[LeasedAs] = field(default_factory=Counter)
    difference: int = 0

    def add(self, other: "_Tally", times: int = 1) -> None:
        self.capacity += other.capacity * times
        self.difference += other.difference * times
        for device_class, amount in other.classes.items():
            self.classes[device_class] += amount * times
        for part, amount in other.leased_as.items():
            self.leased_as[part] += amount * times


@dataclass(slots=True)
class _Story:
    """All that is told of one node."""

    spans: list[NodeSpan] = field(default_factory=list)
    held: list[HeldInterval] = field(default_factory=list)
    witnessed: list[HeldInterval] = field(default_factory=list)


class _Moment(NamedTuple):
    """One node while nothing about it changes. `capacity` is what the latest step made of it, `spans` what claims to hold."""

    capacity: list[NodeSpan]
    spans: list[NodeSpan]
    held: list[HeldInterval]
    parts: list[tuple[LeasedAs, HeldInterval]]
    witnessed: list[HeldInterval]


def conservation(
    spans: Iterable[NodeSpan],
    held: Iterable[HeldInterval],
    window: Interval,
    kinds: Mapping[str, str],
    *,
    witnessed: Iterable[HeldInterval] | None = None,
) -> Conservation:
    """Whether `held` and `spans` tell of the same time inside `window`, which ends no later than now.

    Args:
        spans: each node's story, without gaps or overlaps from its first instant on.
        kinds: the scheduled resource of every pool that is named; KeyError for one that is not.
        witnessed: leases as another record tells them; None where there is none.
    """
    held = list(held)
    hours: dict[tuple[str, int], _Tally] = {}
    for story in _stories(spans, held, held if witnessed is None else witnessed):
        for interval, moment in _moments(story, window):
            for pool, tally in _account(moment, kinds):
                hour = hours.setdefault((pool, interval.start_us // HOUR_US), _Tally())
                hour.add(tally, interval.length_us)
    totals: dict[str, _Tally] = {pool: _Tally() for pool in kinds}
    for (pool, _), tally in hours.items():
        totals[pool].add(tally)
    return Conservation(
        tuple(_balance(pool, kinds[pool], window, totals[pool]) for pool in sorted(totals)),
        tuple(_balance(pool, kinds[pool], _hour(number).within(window), hours[pool, number]) for pool, number in sorted(hours)),
    )


def _stories(spans: Iterable[NodeSpan], held: Iterable[HeldInterval], witnessed: Iterable[HeldInterval]) -> Iterable[_Story]:
    stories: dict[str, _Story] = defaultdict(_Story)
    for span in spans:
        stories[span.node].spans.append(span)
    for lease in held:
        stories[lease.node].held.append(lease)
    for lease in witnessed:
        stories[lease.node].witnessed.append(lease)
    return stories.values()


def _moments(story: _Story, window: Interval) -> Iterator[tuple[Interval, _Moment]]:
    """The stretches of the window in which nothing changes, no longer than to the next full hour."""
    until_us = window.end_us
    ordered = sorted(story.spans, key=lambda span: span.start_us)
    own = [Interval(span.start_us, until_us if span.end_us is None else span.end_us) for span in ordered]
    steps = [Interval(span.start_us, after.start_us) for span, after in pairwise(ordered)] + own[-1:]
    tracks = (
        Track(zip(steps, ordered, strict=True), window),
        Track(zip(own, ordered, strict=True), window),
        Track(((leased(lease, until_us), lease) for lease in story.held), window),
        Track(((part[1], (part[0], lease)) for lease in story.held for part in parts(lease, until_us)), window),
        Track(((leased(lease, until_us), lease) for lease in story.witnessed), window),
    )
    edges = {us for track in tracks for us in track.edges()}
    if not edges:
        return
    edges.update(range((min(edges) // HOUR_US + 1) * HOUR_US, max(edges), HOUR_US))
    for start_us, end_us in pairwise(sorted(edges)):
        capacity, spans, held, of_leases, witnessed = tracks
        moment = _Moment(
            capacity.at(start_us), spans.at(start_us), held.at(start_us), of_leases.at(start_us), witnessed.at(start_us)
        )
        yield Interval(start_us, end_us), moment


def _account(moment: _Moment, kinds: Mapping[str, str]) -> Iterator[tuple[str, _Tally]]:
    """The classes of one node in milli-units, by the pools that anything about it names."""
    spans, leases = (*moment.capacity, *moment.spans), (*moment.held, *moment.witnessed)
    for pool in {span.pool for span in spans} | {lease.pool for lease in leases}:
        kind = kinds[pool]
        tally = _Tally(capacity=sum(_capacity(span, kind) for span in moment.capacity if span.pool == pool))
        held = sum(lease.resources[kind] for lease in moment.held if lease.pool == pool)
        free = max(0, tally.capacity - _occupied([lease for lease in moment.witnessed if lease.pool == pool], kind))
        for span in moment.spans:
            if span.pool == pool and _capacity(span, kind):
                tally.classes[span.device_class] += free
        tally.classes[DeviceClass.LEASED] += held
        for part, lease in moment.parts:
            if lease.pool == pool:
                tally.leased_as[part] += lease.resources[kind]
        tally.difference = abs(tally.classes.total() - tally.capacity) + abs(tally.leased_as.total() - held)
        if moment.spans != moment.capacity:
            claims = [_capacity(span, kind) for span in spans if span.pool == pool]
            tally.difference = max(tally.difference, held, *claims, 0)
        yield pool, tally


def _capacity(span: NodeSpan, kind: str) -> int:
    return 0 if span.device_class is DeviceClass.NOT_CAPACITY else span.capacity[kind]


def _occupied(leases: list[HeldInterval], kind: str) -> int:
    """What leases take of a node when each is counted once and each GPU index too."""
    by_key = {lease.key: lease for lease in leases}.values()
    indices = {gpu for lease in by_key if lease.resources[kind] for gpu in lease.gpus}  # only leases of GPUs have some
    return len(indices) * MILLI + sum(lease.resources[kind] for lease in by_key if not lease.gpus)


def _hour(number: int) -> Interval:
    return Interval(number * HOUR_US, (number + 1) * HOUR_US)


def _balance(pool: str, kind: str, interval: Interval, tally: _Tally) -> PoolBalance:
    classes: dict[DeviceClass, int] = {of: tally.classes[of] for of in DeviceClass if of is not DeviceClass.NOT_CAPACITY}
    leased_as = {part: tally.leased_as[part] for part in LeasedAs}
    return PoolBalance(pool, kind, interval, tally.capacity, classes, leased_as, tally.difference)
