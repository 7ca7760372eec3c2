"""A trace played on a fleet: jobs arrive, `decide` places them, they run as long as they ran, and end."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from xingliu.forecast.estate import Estate
from xingliu.forecast.shaping import Arrival
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId, NodeName
from xingliu.scheduling.model import PendingJob, Place, Plan, Snapshot, StayPending
from xingliu.workloads.model import PendingReason

FIRST_SHOWN = 2
THEN_TIMES = 4
TELL_EVERY = 256

Decide = Callable[[Snapshot], Plan]
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides, and which waiting jobs it cannot tell apart but by their turn.

    `alike`: of jobs with the same key, a later one is never placed before an earlier one. It makes long queues cheap:
    of each kind only the first few are shown to `decide`, more as they are placed. None shows all of them always.
    """

    decide: Decide
    alike: Callable[[PendingJob], Hashable] | None = None


def same_request(job: PendingJob) -> Hashable:
    """For policies that go by whose job it is, its priority and submission, and what it asks for."""
    return job.queue, job.project, job.user, job.priority, job.preemptible, job.replicas, job.request, job.held


@dataclass(frozen=True, slots=True)
class Stay:
    """How it went for one job.

    Attributes:
        started_us: None when it never started; then `reason` says why, else it is empty.
        seats: its nodes, each with the indices of its GPUs there.
    """

    arrival: Arrival
    started_us: int | None
    seats: tuple[tuple[NodeName, tuple[int, ...]], ...] = ()
    reason: str = ""

    @property
    def submitted_us(self) -> int:
        return self.arrival.job.submitted_us

    @property
    def ended_us(self) -> int | None:
        return None if self.started_us is None else self.started_us + self.arrival.run_us

    @property
    def wait_us(self) -> int | None:
        return None if self.started_us is None else self.started_us - self.submitted_us


@dataclass(frozen=True, slots=True)
class Played:
    """A trace on one fleet. `stays` in the order of submission; `decisions` is how often `decide` was called."""

    estate: Estate
    stays: tuple[Stay, ...]
    decisions: int


def play(arrivals: Sequence[Arrival], estate: Estate, policy: Policy, tell: Tell = lambda done, of: None) -> Played:
    """Play a trace to its end. `tell` hears now and then how many jobs have arrived or ended, of how many such events.

    `decide` is called at every instant at which something ended or arrived, except where it could do nothing new: when
    nobody waits, or when nothing ended and all who came are like one that waits already.
    """
    return _Play(arrivals, estate, policy, tell).run()


class _Play:
    def __init__(self, arrivals: Sequence[Arrival], estate: Estate, policy: Policy, tell: Tell) -> None:
        self._coming = sorted(arrivals, key=lambda arrival: (arrival.job.submitted_us, arrival.job.id))
        self._by_id = {arrival.job.id: arrival for arrival in self._coming}
        self._estate, self._policy, self._tell = estate, policy, tell
        start_us = self._coming[0].job.submitted_us if self._coming else 0
        self._cloud = VirtualCloud(Snapshot(0, 0, start_us, estate.nodes, estate.queues, ()))
        self._lines: dict[Hashable, dict[JobId, PendingJob]] = {}
        self._stays: dict[JobId, Stay] = {}
        self._arrived = self._ended = self._decisions = self._told = 0

    def run(self) -> Played:
        while (now_us := self._next_us()) is not None:
            ended = len(self._cloud.advance(now_us))
            self._ended += ended
            new_kind = self._arrive(now_us)
            if self._lines and (ended or new_kind):
                self._decide()
            self._progress()
        self._give_up()
        stays = tuple(self._stays[arrival.job.id] for arrival in self._coming)
        return Played(self._estate, stays, self._decisions)

    def _next_us(self) -> int | None:
        coming = self._coming[self._arrived].job.submitted_us if self._arrived < len(self._coming) else None
        ending = self._cloud.next_end_us
        return min((at_us for at_us in (coming, ending) if at_us is not None), default=None)

    def _arrive(self, now_us: int) -> bool:
        """Everyone who comes now joins a line; whether one of them is the first of its kind."""
        new_kind = False
        while self._arrived < len(self._coming) and self._coming[self._arrived].job.submitted_us <= now_us:
            job = self._coming[self._arrived].job
            key = self._policy.alike(job) if self._policy.alike else job.id
            new_kind |= key not in self._lines
            self._lines.setdefault(key, {})[job.id] = job
            self._cloud.submit(job)
            self._arrived += 1
        return new_kind

    def _decide(self) -> None:
        plan = self._plan_of_enough()
        for decision in plan.decisions:
            if isinstance(decision, Place):
                self._start(decision)
            elif decision.wait.reason is PendingReason.EXCEEDS_LIMIT:
                self._drop(decision)

    def _plan_of_enough(self) -> Plan:
        """The plan for all who wait, found by showing the first few of each kind, more where all shown were placed."""
        shown = dict.fromkeys(self._lines, FIRST_SHOWN)
        while True:
            plan = self._policy.decide(self._cloud.snapshot(self._first(shown)))
            self._decisions += 1
            placed = {decision.job for decision in plan.decisions if isinstance(decision, Place)}
            short = [
                key
                for key, line in self._lines.items()
                if shown[key] < len(line) and all(job in placed for job in islice(line, shown[key]))
            ]
            if not short:
                return plan
            for key in short:
                shown[key] *= THEN_TIMES

    def _first(self, shown: Mapping[Hashable, int]) -> Iterator[PendingJob]:
        return (job for key, line in self._lines.items() for job in islice(line.values(), shown[key]))

    def _start(self, place: Place) -> None:
        arrival = self._by_id[place.job]
        self._leave(arrival.job)
        self._cloud.start(place, run_us=arrival.run_us)
        seats = tuple((seat.node, seat.gpus) for seat in place.seats)
        self._stays[place.job] = Stay(arrival, self._cloud.now_us, seats)

    def _drop(self, stay: StayPending) -> None:
        """It can never start, nor can any like it that wait with it."""
        arrival = self._by_id[stay.job]
        self._leave(arrival.job)
        del self._cloud.pending[stay.job]
        self._stays[stay.job] = Stay(arrival, None, reason=stay.wait.sentence)

    def _leave(self, job: PendingJob) -> None:
        key = self._policy.alike(job) if self._policy.alike else job.id
        line = self._lines[key]
        del line[job.id]
        if not line:
            del self._lines[key]

    def _give_up(self) -> None:
        """Nothing runs any more and nothing comes: who still waits never starts."""
        while self._cloud.pending:
            plan = self._policy.decide(self._cloud.snapshot(islice(self._cloud.pending.values(), 1000)))
            for decision in plan.decisions:
                reason = decision.wait.sentence if isinstance(decision, StayPending) else "It was still waiting at the end."
                self._stays[decision.job] = Stay(self._by_id[decision.job], None, reason=reason)
                del self._cloud.pending[decision.job]

    def _progress(self) -> None:
        done = self._arrived + self._ended
        if done - self._told >= TELL_EVERY:
            self._told = done
            self._tell(done, 2 * len(self._coming))
