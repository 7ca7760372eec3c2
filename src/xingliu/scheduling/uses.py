"""How much queues and users held lately, as time passes and jobs come and go.

What was held is forgotten by half each half-life. Whoever opens a lease is charged for `entry_us` of it at once, and as time
passes no more until that is used up; what is left of it comes back when the lease ends sooner. So a burst is seen in the
very cycle that starts it, and nobody pays more than was held. Only the order of jobs rests on these numbers: they are rounded.
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Used

Amounts = dict[str, float]
Young = tuple[int, int, Resources]


def faded(amount: float, span_us: int, rules: FairShare) -> float:
    """What is left of an amount after a while."""
    return amount * math.exp2(-span_us / rules.half_life_us)


def held_for(span_us: int, rules: FairShare) -> float:
    """Microseconds that holding something for so long, until now, counts for now."""
    return rules.half_life_us / math.log(2) * -math.expm1(-span_us * math.log(2) / rules.half_life_us)


def lease_use(opened_us: int, now_us: int, rules: FairShare, *, ended: bool) -> float:
    """Microseconds that an open lease counts for at `now_us`, or that one counts for which ends there."""
    span_us = now_us - opened_us
    entry = faded(rules.entry_us, max(0, span_us), rules)
    if span_us >= rules.entry_us:
        return entry + held_for(span_us - rules.entry_us, rules)
    return max(0.0, entry - (rules.entry_us - span_us)) if ended else entry


def closed(used: Used, charge: Resources, opened_us: int, ended_us: int, rules: FairShare) -> Used:
    """What is on record once a lease has ended: as of then, or later where the record is later already."""
    as_of_us = max(used.as_of_us, ended_us)
    counts = faded(lease_use(opened_us, ended_us, rules, ended=True), as_of_us - ended_us, rules)
    kinds = {*used.amounts, *charge}
    amounts = {kind: faded(used.amounts[kind], as_of_us - used.as_of_us, rules) + charge[kind] * counts for kind in kinds}
    return Used(used.queue, used.user, _rounded(amounts), as_of_us)


def _rounded(amounts: Mapping[str, float]) -> Resources:
    return Resources({kind: round(amount) for kind, amount in amounts.items()})


@dataclass(slots=True)
class _Account:
    """One user in one queue: amounts as of an instant, what goes on being held, and what is charged ahead until when."""

    as_of_us: int
    amounts: Amounts = field(default_factory=dict)
    rate: Amounts = field(default_factory=dict)
    young: list[Young] = field(default_factory=list)

    def advance(self, now_us: int, rules: FairShare) -> None:
        while self.young and self.young[0][0] <= now_us:
            self._pass(self.young[0][0], rules)
            self._add(self.rate, heapq.heappop(self.young)[2], 1)
        self._pass(now_us, rules)

    def _pass(self, now_us: int, rules: FairShare) -> None:
        span_us = now_us - self.as_of_us
        if span_us <= 0:
            return
        left, counts = math.exp2(-span_us / rules.half_life_us), held_for(span_us, rules)
        for kind in {*self.amounts, *self.rate}:
            self.amounts[kind] = self.amounts.get(kind, 0.0) * left + self.rate.get(kind, 0.0) * counts
        self.as_of_us = now_us

    def open(self, number: int, charge: Resources, opened_us: int, rules: FairShare) -> None:
        """It may have been opened before the instant the amounts are of."""
        self.advance(opened_us, rules)
        self._add(self.amounts, charge, lease_use(opened_us, self.as_of_us, rules, ended=False))
        if opened_us + rules.entry_us > self.as_of_us:
            heapq.heappush(self.young, (opened_us + rules.entry_us, number, charge))
        else:
            self._add(self.rate, charge, 1)

    def close(self, charge: Resources, opened_us: int, ended_us: int, rules: FairShare) -> None:
        self.advance(ended_us, rules)
        until_us = opened_us + rules.entry_us
        found = next((one for one in self.young if one[0] == until_us and one[2] == charge), None)
        if found is None:
            self._add(self.rate, charge, -1)
            return
        self.young.remove(found)
        heapq.heapify(self.young)
        self._add(self.amounts, charge, -max(0, until_us - self.as_of_us))

    def _add(self, to: Amounts, charge: Resources, times: float) -> None:
        for kind, amount in charge.items():
            to[kind] = max(0.0, to.get(kind, 0.0) + amount * times)


class Uses:
    """Everybody's use, moved on. Times may not go back by more than what is settled late: what is earlier counts as now."""

    def __init__(self, rules: FairShare, used: Iterable[Used] = ()) -> None:
        self._rules = rules
        self._numbers = 0
        self._accounts: dict[tuple[QueueName, UserId], _Account] = {
            (one.queue, one.user): _Account(one.as_of_us, dict(one.amounts)) for one in used
        }

    def open(self, queue: QueueName, user: UserId, charge: Resources, opened_us: int) -> None:
        """A lease began to be held."""
        account = self._accounts.setdefault((queue, user), _Account(opened_us))
        self._numbers += 1
        account.open(self._numbers, charge, opened_us, self._rules)

    def close(self, queue: QueueName, user: UserId, charge: Resources, opened_us: int, ended_us: int) -> None:
        """A lease that was opened at `opened_us` is held no more."""
        if (account := self._accounts.get((queue, user))) is not None:
            account.close(charge, opened_us, ended_us, self._rules)

    def now(self, now_us: int) -> tuple[Used, ...]:
        """As of now, of whoever held anything worth counting."""
        found = []
        for (queue, user), account in self._accounts.items():
            account.advance(now_us, self._rules)
            if amounts := _rounded(account.amounts):
                found.append(Used(queue, user, amounts, now_us))
        return tuple(found)
