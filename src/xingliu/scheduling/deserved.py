"""What queues, and the users of one, used lately, what they deserve of it, and so what they are owed: for people to read.

These are the numbers by which the fair order goes: of queues side by side, that goes first which is owed most by its weight.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import QueueView, Used
from xingliu.scheduling.shares import held_us

PPM = 10**6
Amounts = Mapping[str, int]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Share:
    """One part of what all held lately, each counted by the kind of which it held most of the cloud.

    Attributes:
        kind: the quota kind that it held most of; `used` and `deserved` are of it, in milli-units x microseconds, faded.
        used_ppm, deserved_ppm: of the whole, in millionths.
    """

    kind: str
    used: int
    deserved: int
    used_ppm: int
    deserved_ppm: int

    @property
    def owed(self) -> int:
        """What it deserves more than it used; below zero where it used more."""
        return self.deserved - self.used


def shares_of_queues(
    queues: Iterable[QueueView], used: Iterable[Used], waiting: Set[QueueName], capacity: Resources
) -> dict[QueueName, Share]:
    """Every queue's, with the queues below it. `waiting`: those in which somebody waits.

    A queue deserves its weight's part of what its parent deserves, against those beside it that are active: in which, or
    below which, somebody waits or held anything lately. Who is not active deserves nothing.
    """
    views = {view.name: view for view in queues}
    amounts: dict[QueueName, Counter[str]] = {name: Counter() for name in views}
    for one in used:
        for name in _path(views, one.queue):
            amounts[name].update(one.amounts)
    active = {name for name, held in amounts.items() if held} | {name for at in waiting for name in _path(views, at)}
    weights: Counter[QueueName | None] = Counter()
    for name in active:
        weights[views[name].parent] += views[name].weight
    deserved = {name: Fraction(1) if name in active else Fraction(0) for name in views}
    for name in active:
        for at in _path(views, name):
            deserved[name] *= Fraction(views[at].weight, weights[views[at].parent])
    roots = [amounts[view.name] for view in views.values() if view.parent is None]
    return _shares(amounts, deserved, roots, capacity)


def shares_of_users(queue: QueueName, used: Iterable[Used], waiting: Set[UserId], capacity: Resources) -> dict[UserId, Share]:
    """Of what the jobs of one queue held, its users who wait or held anything deserve equal parts."""
    amounts: dict[UserId, Counter[str]] = defaultdict(Counter)
    for one in used:
        if one.queue == queue:
            amounts[one.user].update(one.amounts)
    for user in waiting:
        amounts[user].update({})
    deserved = dict.fromkeys(amounts, Fraction(1, max(1, len(amounts))))
    return _shares(amounts, deserved, amounts.values(), capacity)


def _path(views: Mapping[QueueName, QueueView], name: QueueName) -> list[QueueName]:
    """The queue and those above it; nothing where nobody knows it."""
    found = []
    at = views.get(name)
    while at is not None:
        found.append(at.name)
        at = views.get(at.parent) if at.parent is not None else None
    return found


def _shares(
    amounts: Mapping[Name, Amounts], deserved: Mapping[Name, Fraction], whole: Iterable[Amounts], capacity: Resources
) -> dict[Name, Share]:
    parts = list(whole)
    together: Counter[str] = Counter()
    for part in parts:
        together.update(part)
    all_us = sum(held_us(part, capacity) for part in parts)
    usual = _kind(together, capacity) or next(iter(sorted(capacity, reverse=True)), "")
    found = {}
    for name, held in amounts.items():
        kind = _kind(held, capacity) or usual
        found[name] = Share(
            kind,
            held.get(kind, 0),
            int(deserved[name] * all_us * capacity[kind]),
            held_us(held, capacity) * PPM // all_us if all_us else 0,
            int(deserved[name] * PPM),
        )
    return found


def _kind(held: Amounts, capacity: Resources) -> str:
    """Of which most of the cloud was held; empty where nothing was."""
    kinds = [kind for kind, amount in held.items() if amount and capacity[kind]]
    return max(sorted(kinds), key=lambda kind: Fraction(held[kind], capacity[kind]), default="")
