"""How much queues and users held lately, as time passes and jobs come and go.

Whoever opens a lease is charged for `entry_us` of it at once, and as time passes no more until that is used up; what is left
of it comes back when the lease ends sooner. So a burst is seen in the very cycle that starts it, and nobody pays in the end
for more than was held.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.fading import Fading
from xingliu.scheduling.model import Used

Who = tuple[QueueName, UserId]


def closed(used: Used, charge: Resources, since_us: int, ended_us: int, rules: FairShare) -> Used:
    """What is on record once something is held no more: as of then, or later where the record is later already."""
    fading, now_us = Fading(rules.half_life_us), max(used.as_of_us, ended_us)
    era = fading.era(now_us)
    span = fading.weight(ended_us, era) - fading.weight(since_us, era)
    amounts = {
        kind: max(0, fading.faded(used.amounts[kind], used.as_of_us, now_us) + fading.held(charge[kind] * span, now_us))
        for kind in {*used.amounts, *charge}
    }
    return Used(used.queue, used.user, Resources(amounts), now_us)


@dataclass(frozen=True, slots=True)
class _Held:
    """Something that is held: it counts from `since_us` on, and until `paid_us` at once."""

    who: Who
    charge: Resources
    since_us: int
    paid_us: int


@dataclass(slots=True)
class _Account:
    """What one user holds in one queue, added up: `grows` with time, by kind; `weighted` is counted already."""

    grows: Counter[str] = field(default_factory=Counter)
    weighted: Counter[str] = field(default_factory=Counter)

    def add(self, charge: Resources, *, grows: int, weight: int) -> None:
        for kind, amount in charge.items():
            self.grows[kind] += amount * grows
            self.weighted[kind] += amount * weight


class Uses:
    """What is on record and what is held now. Reading it costs by who held something, not by how much is held.

    What is held has a key of its own. Time goes on; where it goes back, or a half-life is over, all is added up anew.
    """

    def __init__(self, rules: FairShare, used: Iterable[Used] = (), *, now_us: int = 0) -> None:
        self._rules, self._fading = rules, Fading(rules.half_life_us)
        self._records: dict[Who, Used] = {(one.queue, one.user): one for one in used}
        self._held: dict[object, _Held] = {}
        self._begin(now_us)

    def _begin(self, now_us: int) -> None:
        """Add up anew."""
        self._now_us, self._era = now_us, self._fading.era(now_us)
        self._accounts: dict[Who, _Account] = defaultdict(_Account)
        self._young: list[tuple[int, int, object]] = []
        for number, (key, held) in enumerate(self._held.items()):
            self._add(number, key, held)
        self._numbers = len(self._held)

    def _add(self, number: int, key: object, held: _Held) -> None:
        young = held.paid_us > self._now_us
        if young:
            heapq.heappush(self._young, (held.paid_us, number, key))
        self._count(held, young=young, sign=1)

    def _count(self, held: _Held, *, young: bool, sign: int) -> None:
        """What is young counts until it is paid for; the rest from when it began, and grows."""
        weight = self._fading.weight(held.paid_us, self._era) if young else 0
        weight -= self._fading.weight(held.since_us, self._era)
        self._accounts[held.who].add(held.charge, grows=0 if young else sign, weight=weight * sign)

    def obey(self, rules: FairShare) -> None:
        """From now on by these rules, what was held before included."""
        if rules != self._rules:
            self._rules, self._fading = rules, Fading(rules.half_life_us)
            self._held = {
                key: _Held(held.who, held.charge, held.since_us, held.since_us + rules.entry_us)
                for key, held in self._held.items()
            }
            self._begin(self._now_us)

    def record(self, used: Used) -> None:
        """This is on record now of that user in that queue."""
        self._records[used.queue, used.user] = used

    def forget(self, key: str) -> None:
        """What had this key is on record no more."""
        queue, _, user = key.partition(":")
        self._records.pop((QueueName(queue), UserId(user)), None)

    def open(self, key: object, who: Who, charge: Resources, since_us: int, *, paid_us: int | None = None) -> None:
        """Something began to be held; once for each key. `paid_us`: it counts until then already, and is on record as such."""
        if key in self._held:
            return
        if since_us > self._now_us:
            self._advance(since_us)
        entry = (since_us, since_us + self._rules.entry_us) if paid_us is None else (paid_us, paid_us)
        self._held[key] = _Held(who, charge, *entry)
        self._numbers += 1
        self._add(self._numbers, key, self._held[key])

    def drop(self, key: object) -> None:
        """It is held no more, and is on record."""
        held = self._held.pop(key, None)
        if held is not None:
            self._count(held, young=held.paid_us > self._now_us, sign=-1)

    def close(self, key: object, ended_us: int) -> None:
        """It is held no more, and goes on record."""
        held = self._held.get(key)
        if held is not None:
            self.drop(key)
            before = self._records.get(held.who, Used(*held.who, Resources(), ended_us))
            self.record(closed(before, held.charge, held.since_us, ended_us, self._rules))

    def now(self, now_us: int) -> tuple[Used, ...]:
        """As of now, of everybody who held anything worth counting."""
        self._advance(now_us)
        found = (self._read(who, now_us) for who in {**self._records, **self._accounts})
        return tuple(used for used in found if used.amounts)

    def _advance(self, now_us: int) -> None:
        if now_us < self._now_us or self._fading.era(now_us) != self._era:
            self._begin(now_us)
            return
        self._now_us = now_us
        while self._young and self._young[0][0] <= now_us:
            paid_us, _, key = heapq.heappop(self._young)
            held = self._held.get(key)
            if held is not None and held.paid_us == paid_us:
                weight = -self._fading.weight(paid_us, self._era)
                self._accounts[held.who].add(held.charge, grows=1, weight=weight)

    def _read(self, who: Who, now_us: int) -> Used:
        fading, weight = self._fading, self._fading.weight(now_us, self._era)
        amounts: Counter[str] = Counter()
        if (used := self._records.get(who)) is not None:
            for kind, amount in used.amounts.items():
                amounts[kind] += fading.faded(amount, min(used.as_of_us, now_us), now_us)
        if (account := self._accounts.get(who)) is not None:
            for kind, amount in account.grows.items():
                amounts[kind] += fading.held(amount * weight + account.weighted[kind], now_us)
        return Used(*who, Resources(amounts), now_us)
