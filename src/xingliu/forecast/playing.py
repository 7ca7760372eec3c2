"""A trace played on a fleet: jobs arrive, `decide` places them, they run as long as they ran, and end."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from xingliu.forecast.coming import Coming, Tell
from xingliu.forecast.estate import Estate
from xingliu.forecast.lines import Lines
from xingliu.forecast.shaping import Arrival
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId, NodeName
from xingliu.scheduling.model import PendingJob, Plan, RunningJob, Snapshot, StayPending
from xingliu.workloads.model import NEVER_STARTS

Decide = Callable[[Snapshot], Plan]


def by_submission(job: PendingJob) -> tuple[int, JobId]:
    return job.submitted_us, job.id


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides, and which waiting jobs it cannot tell apart but by their `turn`: lower goes first.

    `alike`: of jobs with the same key, a later one is never placed before an earlier one. It makes long queues cheap:
    of each kind only the first few are shown to `decide`, more as they are placed. None shows all of them always.
    """

    decide: Decide
    alike: Callable[[PendingJob], Hashable] | None = None
    turn: Callable[[PendingJob], Any] = by_submission


def same_request(job: PendingJob) -> Hashable:
    """For policies that go by whose job it is, its priority and submission, and what it asks for."""
    array = None if job.array is None else job.array.id
    return (
        job.queue,
        job.project,
        job.user,
        job.priority,
        job.preemptible,
        job.parts,
        job.held,
        array,
        job.after,
        job.not_before_us,
    )


Seats = tuple[tuple[NodeName, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One time that a job had its nodes; `seats`: each node with the indices of the GPUs held there."""

    start_us: int
    end_us: int
    seats: Seats


@dataclass(frozen=True, slots=True)
class Stay:
    """How it went for one job.

    Attributes:
        runs: one, or more where it was stopped for others and came back; none when it never started.
        reason: why it never started, else empty.
    """

    arrival: Arrival
    runs: tuple[Run, ...]
    reason: str = ""

    @property
    def submitted_us(self) -> int:
        return self.arrival.job.submitted_us

    @property
    def started_us(self) -> int | None:
        """When it first had its nodes."""
        return self.runs[0].start_us if self.runs else None

    @property
    def ended_us(self) -> int | None:
        return self.runs[-1].end_us if self.runs else None

    @property
    def wait_us(self) -> int | None:
        """How long it stood in line, all times together; None when it never started."""
        return sum(end_us - begin_us for begin_us, end_us in self.in_line()) if self.runs else None

    def in_line(self) -> Iterator[tuple[int, int]]:
        """From when to when it waited, as often as it did; nothing for one that never started."""
        begin_us = self.submitted_us
        for run in self.runs:
            yield begin_us, run.start_us
            begin_us = run.end_us


@dataclass(frozen=True, slots=True)
class Played:
    """A trace on one fleet. `stays` in the order of submission; `decisions` is how often `decide` was called."""

    estate: Estate
    stays: tuple[Stay, ...]
    decisions: int


def play(arrivals: Sequence[Arrival], estate: Estate, policy: Policy, tell: Tell = lambda done, of: None) -> Played:
    """Play a trace to its end. `tell` hears how far it is, as `Coming` says.

    `decide` is called at every instant at which something ended or arrived, except where it could do nothing new: when
    nobody waits, or when nothing ended and all who came are like one that waits already.
    """
    return _Play(arrivals, estate, policy, tell).run()


class _Play:
    def __init__(self, arrivals: Sequence[Arrival], estate: Estate, policy: Policy, tell: Tell) -> None:
        self._coming = Coming(arrivals, tell)
        self._estate, self._policy = estate, policy
        start_us = self._coming.next_us or 0
        self._cloud = VirtualCloud(Snapshot(0, 0, start_us, estate.nodes, estate.queues, (), fair=estate.fair))
        self._lines = Lines()
        self._claims: dict[JobId, None] = {}
        self._may_stop = any(arrival.job.preemptible for arrival in arrivals)
        self._left_us = {arrival.job.id: arrival.run_us for arrival in arrivals}
        self._runs: dict[JobId, list[Run]] = {}
        self._reasons: dict[JobId, str] = {}
        self._decisions = 0

    def run(self) -> Played:
        while (now_us := self._next_us()) is not None:
            gone = self._cloud.advance(now_us)
            for job in gone:
                self._end(job)
            new_kind = self._arrive(now_us)
            if self._lines and (gone or new_kind):
                self._decide()
        self._give_up()
        return Played(self._estate, tuple(map(self._stay, self._coming.all)), self._decisions)

    def _stay(self, arrival: Arrival) -> Stay:
        job_id = arrival.job.id
        return Stay(arrival, tuple(self._runs.get(job_id, ())), self._reasons.get(job_id, ""))

    def _next_us(self) -> int | None:
        next_ends_us = self._cloud.next_end_us
        return min((at_us for at_us in (self._coming.next_us, next_ends_us) if at_us is not None), default=None)

    def _end(self, gone: RunningJob) -> None:
        """It is done; or it was stopped for another, and goes on later from where it was."""
        seats = tuple((seat.node, seat.gpus) for seat in gone.seats)
        run = Run(gone.started_us, self._cloud.now_us, seats)
        if run.end_us > run.start_us:
            self._runs.setdefault(gone.id, []).append(run)
        self._left_us[gone.id] -= run.end_us - run.start_us
        if self._left_us[gone.id]:
            self._join(self._cloud.pending[gone.id])
        else:
            self._coming.note()

    def _key(self, job: PendingJob) -> Hashable:
        return self._policy.alike(job) if self._policy.alike else job.id

    def _arrive(self, now_us: int) -> bool:
        """Everyone who comes now joins a line; whether one of them is the first of its kind."""
        new_kind = False
        for job in (arrival.job for arrival in self._coming.until(now_us)):
            new_kind |= self._key(job) not in self._lines
            self._cloud.submit(job)
            self._join(job)
        return new_kind

    def _join(self, job: PendingJob) -> None:
        self._lines.join(job.id, self._key(job), self._policy.turn(job))

    def _decide(self) -> None:
        """Where jobs may be stopped for others, what was just placed may be too: then once more, as the next cycle would."""
        while self._lines and self._act(self._plan_of_enough()) and self._may_stop:
            pass

    def _act(self, plan: Plan) -> bool:
        """Whether something was placed and nothing has to make room first."""
        for place in plan.placements:
            comes_back = self._cloud.pending[place.job].preemptible
            self._leave(place.job)
            self._cloud.start(place, run_us=self._left_us[place.job], comes_back=comes_back)
        self._cloud.give_way(plan)
        for decision in plan.decisions:
            if isinstance(decision, StayPending):
                self._note(decision)
        return bool(plan.placements) and not plan.evictions

    def _note(self, stay: StayPending) -> None:
        """Room is kept for it, or it can never start, nor can any like it that wait with it."""
        self._claims.pop(stay.job, None)
        if stay.claim is not None:
            self._claims[stay.job] = None
        if stay.wait.reason in NEVER_STARTS and stay.job not in self._runs:
            self._leave(stay.job)
            del self._cloud.pending[stay.job]
            self._reasons[stay.job] = stay.wait.sentence

    def _plan_of_enough(self) -> Plan:
        plan, asked = self._lines.plan(self._plan)
        self._decisions += asked
        return plan

    def _plan(self, first: Iterable[JobId]) -> Plan:
        """The plan for those, and for everyone for whom room is kept."""
        shown = dict.fromkeys([*self._claims, *first])
        return self._policy.decide(self._cloud.snapshot(self._cloud.pending[job_id] for job_id in shown))

    def _leave(self, job_id: JobId) -> None:
        self._lines.leave(job_id)
        self._claims.pop(job_id, None)

    def _give_up(self) -> None:
        """Nothing runs any more and nothing comes: who still waits never starts."""
        while self._cloud.pending:
            plan = self._policy.decide(self._cloud.snapshot(islice(self._cloud.pending.values(), 1000)))
            for decision in plan.decisions:
                reason = decision.wait.sentence if isinstance(decision, StayPending) else "It was still waiting at the end."
                self._reasons[decision.job] = reason
                del self._cloud.pending[decision.job]
