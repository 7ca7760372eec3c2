"""A trace played under policies that place everyone anew at each event, as the simulators of papers do.

At every submission, end and wake all that runs is put back into the line with what it attained and what remains, `decide`
is asked about the empty fleet, and what it places runs until the next event. Stopping and starting cost nothing.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from xingliu.forecast.coming import Coming, Tell
from xingliu.forecast.estate import Estate
from xingliu.forecast.lines import FIRST_SHOWN, Lines
from xingliu.forecast.playing import Played, Run, Seats, Stay, same_request
from xingliu.forecast.shaping import Arrival
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId
from xingliu.scheduling.eviction import stop_nothing
from xingliu.scheduling.model import PendingJob, Place, Plan, Snapshot, StayPending
from xingliu.scheduling.orders import Order
from xingliu.scheduling.orders import Policy as SchedulingPolicy
from xingliu.scheduling.policy import decide as decide_for_real
from xingliu.scheduling.room import Pick, Shelf

Decide = Callable[[Snapshot, SchedulingPolicy], Plan]
_Turn = tuple[Any, bool, int]  # its rank; whether it waits; then lower goes first


@dataclass(frozen=True, slots=True)
class Standing:
    """A job that is not done: how long it ran already and has still to run, microseconds, and its GPUs over all nodes."""

    arrival: Arrival
    ran_us: int = 0

    @property
    def left_us(self) -> int:
        return self.arrival.run_us - self.ran_us

    @property
    def gpus(self) -> int:
        return self.arrival.gpus

    @property
    def attained_us(self) -> int:
        """GPU-microseconds."""
        return self.ran_us * self.gpus


@dataclass(frozen=True, slots=True)
class _Holding:
    since_us: int
    seats: Seats


def until_it_ends(standing: Standing) -> int:
    return standing.left_us


@dataclass(frozen=True, slots=True)
class Anew:
    """A policy under which everyone is placed anew.

    Attributes:
        rank: lower goes first. Of one rank, who runs goes before who waits, who was stopped comes next, and then who came
            to that rank first; of those who come to it at one instant, who was submitted first.
        next_wake: for how long one that runs may go on until all is decided anew, though nothing ends or arrives.
        pick: which nodes are taken, of those that fit.
    """

    name: str
    rank: Callable[[Standing], Any]
    next_wake: Callable[[Standing], int] = until_it_ends
    pick: Pick = Shelf.first


def least_attained(limits_s: Sequence[int], name: str = "least-attained") -> Anew:
    """Queues by GPU-seconds attained, first come first served in each: one that reaches a limit goes on in the next queue.

    Source: Tiresias (NSDI'19), discretised two-dimensional least attained service. It wakes when the next one that runs
    reaches its limit, at a whole number of seconds of its run time.
    """

    def queue(standing: Standing) -> int:
        return sum(standing.attained_us >= limit_s * SECOND_US for limit_s in limits_s)

    def next_wake(standing: Standing) -> int:
        number = queue(standing)
        if number == len(limits_s) or not standing.gpus:
            return standing.left_us
        return ceil(Fraction(limits_s[number], standing.gpus)) * SECOND_US - standing.ran_us

    return Anew(name, queue, next_wake)


SRTF = Anew("SRTF", lambda standing: standing.left_us)
SRSF = Anew("SRSF", lambda standing: standing.left_us * standing.gpus)
LAS_2D = least_attained((3250, 7200), "2D-LAS")


def play_anew(
    arrivals: Sequence[Arrival],
    estate: Estate,
    policy: Anew,
    tell: Tell = lambda done, of: None,
    decide: Decide = decide_for_real,
) -> Played:
    """Play a trace to its end. `tell` hears how far it is, as `Coming` says."""
    return _Play(arrivals, estate, policy, tell, decide).run()


class _Play:
    def __init__(self, arrivals: Sequence[Arrival], estate: Estate, policy: Anew, tell: Tell, decide: Decide) -> None:
        self._coming = Coming(arrivals, tell)
        self._estate, self._policy, self._decide = estate, policy, decide
        self._order = SchedulingPolicy(Order(policy.name, self._turn), pick=policy.pick, rule=stop_nothing)
        self._kinds: dict[JobId, Hashable] = {arrival.job.id: same_request(arrival.job) for arrival in arrivals}
        self._came = {arrival.job.id: number for number, arrival in enumerate(self._coming.all)}
        self._lines = Lines()
        self._standings: dict[JobId, Standing] = {}
        self._turns: dict[JobId, _Turn] = {}
        self._running: dict[JobId, _Holding] = {}
        self._runs: dict[JobId, list[Run]] = {}
        self._now_us = 0
        self._wake_us: int | None = None
        self._decisions = self._numbers = 0

    def run(self) -> Played:
        while (next_us := self._next_us()) is not None:
            ran = self._stop_all(next_us)
            self._arrive()
            self._place(ran)
        reasons = self._never()
        stays = (Stay(each, tuple(self._runs.get(each.job.id, ())), reasons.get(each.job.id, "")) for each in self._coming.all)
        return Played(self._estate, tuple(stays), self._decisions)

    def _turn(self, job: PendingJob) -> tuple[object, ...]:
        return self._turns[job.id]

    def _next_us(self) -> int | None:
        return min((at_us for at_us in (self._coming.next_us, self._wake_us) if at_us is not None), default=None)

    def _stop_all(self, now_us: int) -> dict[JobId, _Holding]:
        """Move on to `now_us`; who is done goes, and all others that ran go back into the line, at the end of a new rank."""
        passed_us, self._now_us = now_us - self._now_us, now_us
        ran, self._running = self._running, {}
        for job_id in sorted(ran, key=self._came.__getitem__):
            standing = self._standings[job_id]
            standing = self._standings[job_id] = Standing(standing.arrival, standing.ran_us + passed_us)
            if standing.left_us:
                self._join(standing, self._turns[job_id])
            else:
                self._note(job_id, ran.pop(job_id))
                del self._standings[job_id], self._turns[job_id]
                self._coming.note()
        return ran

    def _arrive(self) -> None:
        for arrival in self._coming.until(self._now_us):
            self._standings[arrival.job.id] = standing = Standing(arrival)
            self._join(standing)

    def _join(self, standing: Standing, before: _Turn | None = None) -> None:
        """Into the line at its rank: where it was in it, or at its end if it comes to it now."""
        rank, job_id = self._policy.rank(standing), standing.arrival.job.id
        turn = before if before is not None and before[0] == rank else (rank, True, self._number())
        self._turns[job_id] = turn
        self._lines.join(job_id, self._kinds[job_id], turn)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _place(self, ran: Mapping[JobId, _Holding]) -> None:
        """Have everyone decided on the empty fleet; who is placed goes to the front of its rank, then who was stopped now."""
        if not self._lines:
            self._wake_us = None
            return
        before = Counter(self._kinds[job_id] for job_id in ran)
        plan, asked = self._lines.plan(self._plan, {kind: count + FIRST_SHOWN for kind, count in before.items()})
        self._decisions += asked
        for place in plan.placements:
            self._start(place, ran.get(place.job))
        for job_id in reversed([job_id for job_id in ran if job_id not in self._running]):
            self._note(job_id, ran[job_id])
            rank, waits, _ = self._turns[job_id]
            if not waits:
                self._lines.leave(job_id)
                self._turns[job_id] = turn = (rank, True, -self._number())
                self._lines.join(job_id, self._kinds[job_id], turn)
        self._wake_us = min((self._now_us + self._may_run_us(job_id) for job_id in self._running), default=None)

    def _plan(self, first: Iterable[JobId]) -> Plan:
        pending = tuple(self._standings[job_id].arrival.job for job_id in first)
        return self._decide(Snapshot(0, 0, self._now_us, self._estate.nodes, self._estate.queues, pending), self._order)

    def _start(self, place: Place, before: _Holding | None) -> None:
        """It has its nodes until the next event; where they are those it had before, that is one run."""
        seats = tuple((seat.node, seat.gpus) for seat in place.seats)
        if before is None or before.seats != seats:
            if before is not None:
                self._note(place.job, before)
            before = _Holding(self._now_us, seats)
        self._running[place.job] = before
        self._lines.leave(place.job)
        rank, waits, _ = self._turns[place.job]
        if waits:
            self._turns[place.job] = (rank, False, self._number())

    def _may_run_us(self, job_id: JobId) -> int:
        standing = self._standings[job_id]
        return min(standing.left_us, self._policy.next_wake(standing))

    def _note(self, job_id: JobId, held: "_Holding") -> None:
        self._runs.setdefault(job_id, []).append(Run(held.since_us, self._now_us, held.seats))

    def _never(self) -> dict[JobId, str]:
        """Why who is left never started: nothing runs any more and nothing comes."""
        plan = self._plan(self._standings)
        stay = (decision for decision in plan.decisions if isinstance(decision, StayPending))
        return {decision.job: decision.wait.sentence for decision in stay}
