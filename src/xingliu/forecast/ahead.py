"""One run forward for all who wait: when each starts, and what that rests on."""

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import islice

from xingliu.fleet.model import NodeState
from xingliu.forecast.history import Guess, History, Kind
from xingliu.forecast.lines import Lines
from xingliu.forecast.model import Basis, Expectation, Outlook
from xingliu.forecast.playing import by_submission, same_request
from xingliu.forecast.telling import endless, far, hopeless, started, waits_for_endless
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId, NodeName, QueueName
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Part, PendingJob, Place, Plan, RunningJob, Snapshot, StayPending
from xingliu.scheduling.orders import order_along
from xingliu.scheduling.quota import Quotas
from xingliu.scheduling.room import Amount, amount_asked, amount_free, covers, suits
from xingliu.scheduling.running import Running
from xingliu.workloads.model import NEVER_STARTS, PendingReason, Wait

DECISIONS_MIN = 60
DECISIONS_MAX = 1000
WORK_MAX = 500_000  # nodes and jobs over all decisions: about three seconds
REACH = 9

Decide = Callable[[Snapshot], Plan]
HOPELESS = frozenset({PendingReason.HELD, *NEVER_STARTS})
NO_HISTORY = History()


def look_ahead(snapshot: Snapshot, decide: Decide, history: History = NO_HISTORY, *, only: JobId | None = None) -> Outlook:
    """When each pending job starts: `decide` now, and again whenever something ends or becomes possible by time alone.

    What runs ends at its time limit; without one, when jobs like it in `history` did; else never. At most DECISIONS_MAX
    times is decided, fewer where nodes and jobs are many, never fewer than DECISIONS_MIN. Where instants are more than
    that, half of the decisions are in steps that grow with the distance, so that they reach e**REACH times as far as the
    first, and half at equal numbers of ends. `only` that job is answered, if it is given.
    """
    return _Run(snapshot, decide, history, only).run()


class _Run:
    def __init__(self, snapshot: Snapshot, decide: Decide, history: History, only: JobId | None) -> None:
        self._snapshot, self._decide, self._history = snapshot, decide, history
        self._quotas = Quotas(snapshot.queues, {}, Running(), Resources)
        self._guesses = {job.id: guess for job in snapshot.running if (guess := self._guess(job)) is not None}
        self._cloud = VirtualCloud(snapshot, {job.id: self._end_us(job) for job in snapshot.running if job.id in self._guesses})
        self._open: dict[JobId, Hashable] = {}
        self._alike: dict[Hashable, list[JobId]] = {}
        self._of_kind: dict[Hashable, PendingJob] = {}
        self._lines, self._claims, self._waits = Lines(), dict[JobId, None](), dict[Hashable, Wait]()
        self._after = {job.id: job.after for job in snapshot.pending if job.after}
        for job in snapshot.pending:
            self._join(job)
            self._alike.setdefault(self._kind(job), []).append(job.id)
            if only in (None, job.id):
                self._open[job.id] = self._kind(job)
        self._found: dict[JobId, Expectation] = {}
        self._ended: dict[JobId, tuple[int, RunningJob]] = {}
        self._tainted: set[JobId | NodeName | QueueName] = set()
        size = 1 + len(snapshot.nodes) + len(snapshot.running) + 2 * len(self._alike)
        self._left = max(DECISIONS_MIN, min(DECISIONS_MAX, WORK_MAX // size))
        self._exact = len(snapshot.running) + 2 * len(snapshot.pending) <= self._left
        self._share = self._left // (2 * REACH)
        ends_us = sorted(self._cloud.ends_us)
        self._marks = deque(reversed(ends_us[:: -1 - 2 * len(ends_us) // self._left]))
        self._from_us = snapshot.now_us
        self._wakes = self._first_wakes()
        heapq.heapify(self._wakes)

    def run(self) -> Outlook:
        first_us = self._soonest_us()
        while self._decide_here() and self._left and (next_us := self._next_us()) is not None:
            if next_us > self._cloud.now_us:
                self._from_us = self._cloud.now_us
            self._ended.clear()
            for gone in self._cloud.advance(next_us):
                self._end(gone)
            for freed in self._cloud.take_freed():
                self._free(self._cloud.pending[freed])
        self._give_up()
        return Outlook(self._snapshot.version, self._snapshot.now_us, first_us, self._found)

    def _soonest_us(self) -> int | None:
        """When something ends, or may be done that was too early before; now, where that was earlier."""
        while self._wakes and self._wakes[0] <= self._cloud.now_us:
            heapq.heappop(self._wakes)
        found = [at_us for at_us in (self._cloud.next_us, *self._wakes[:1]) if at_us is not None]
        return max(self._cloud.now_us, min(found)) if found else None

    def _next_us(self) -> int | None:
        soonest_us, now_us = self._soonest_us(), self._cloud.now_us
        if soonest_us is None or self._exact or soonest_us <= now_us:
            return soonest_us
        while self._marks and self._marks[0] <= now_us:
            self._marks.popleft()
        step_us = now_us + (now_us - self._snapshot.now_us) // self._share
        return max(soonest_us, min([step_us, *islice(self._marks, 1)]))

    def _first_wakes(self) -> list[int]:
        after_us = self._snapshot.fair.reserve_after_us
        waited = () if after_us is None else (job.submitted_us + after_us for job in self._snapshot.pending)
        return [*waited, *(job.started_us + self._quotas.min_runtime_us(job.queue) for job in self._snapshot.running)]

    def _decide_here(self) -> bool:
        """Decide at this instant; where every instant is decided, again after others were stopped, as the next cycle would.

        False: all is answered.
        """
        while self._open and self._left > 0:
            plan, asked = self._lines.plan(self._plan, among=self._who_may_start())
            self._left = max(0, self._left - asked)
            self._follow(plan)
            if not (self._exact and (plan.evictions or plan.placements)):
                break
        return bool(self._open)

    def _who_may_start(self) -> list[Hashable] | None:
        """Kinds whose parts some node has room for, and one of each that ask for the same with the same right, for whom others
        may be stopped. All of them in the first decision, which tells who can never start, and where every instant is decided.
        """
        if self._exact or self._cloud.now_us == self._snapshot.now_us:
            return None
        nodes = self._cloud.snapshot(()).nodes
        free = {(node.gpu, amount_free(node)) for node in nodes if node.state is NodeState.READY}
        found: list[Hashable] = []
        fitting, seen = dict[tuple[Part, ...], bool](), set[Hashable]()
        for kind, job in self._of_kind.items():
            if kind in self._lines:
                if job.parts not in fitting:
                    fitting[job.parts] = all(_has_room(free, part) for part in job.parts)
                right = job.queue, job.priority, job.preemptible, job.parts
                if fitting[job.parts] or right not in seen:
                    found.append(kind)
                seen.add(right)
        return found

    def _plan(self, first: Iterable[JobId]) -> Plan:
        """The plan for those, and for everyone for whom room is kept."""
        shown = dict.fromkeys([*self._claims, *first])
        return self._decide(self._cloud.snapshot(self._cloud.pending[job] for job in shown))

    def _follow(self, plan: Plan) -> None:
        for place in plan.placements:
            self._start(place)
        self._cloud.give_way(plan)
        for stay in plan.decisions:
            if isinstance(stay, StayPending) and stay.job in self._cloud.pending:
                self._stay(stay)

    def _start(self, place: Place) -> None:
        """It starts when the last of those ended that made room for it."""
        job, nodes = self._cloud.pending[place.job], {seat.node for seat in place.seats}
        basis = Basis.TIME_LIMITS if self._tainted.isdisjoint((job.queue, *nodes)) else Basis.HISTORY
        made_room = [pair for pair in self._ended.values() if any(seat.node in nodes for seat in pair[1].seats)]
        made_room = made_room or list(self._ended.values())
        since_us = self._since_us(job, made_room)
        guess = self._guess(job)
        if self._open.pop(job.id, None) is not None:
            self._found[job.id] = self._started(place, since_us, made_room, basis)
        self._leave(job.id)
        self._guesses.pop(job.id, None)
        if guess is not None:
            self._guesses[job.id] = guess
        if guess is not None or basis is Basis.HISTORY:
            self._tainted.add(job.id)
        run_us = None if guess is None else guess.run_us - job.ran_us
        self._cloud.start(place, run_us=run_us, comes_back=True, since_us=since_us)
        heapq.heappush(self._wakes, since_us + self._quotas.min_runtime_us(job.queue))

    def _since_us(self, job: PendingJob, made_room: Iterable[tuple[int, RunningJob]]) -> int:
        """When there was room for it, all it waits for had ended and its time had come."""
        others = [self._ended[JobId(one.id)][0] for one in self._after.get(job.id, ()) if one.id in self._ended]
        found = [*(ended_us for ended_us, _ in made_room), *others]
        return max([job.not_before_us or 0, *found]) if found else self._cloud.now_us

    def _started(self, place: Place, at_us: int, made_room: Sequence[tuple[int, RunningJob]], basis: Basis) -> Expectation:
        if self._cloud.now_us == self._snapshot.now_us and not made_room:
            return Expectation(self._snapshot.now_us, "now", Basis.NOW, seats=place.seats)
        within_us = 0 if self._exact else self._cloud.now_us - self._from_us
        last_first = [job for _, job in sorted(made_room, key=lambda pair: (-pair[0], pair[1].id))]
        job = replace(self._cloud.pending[place.job], after=self._after.get(place.job, ()))
        return started(job, place, at_us, last_first, self._guesses, basis, within_us)

    def _stay(self, stay: StayPending) -> None:
        """Room is kept for it, or it can never start, nor can any like it that wait with it."""
        kind = self._kind(self._cloud.pending[stay.job])
        self._waits[kind] = stay.wait
        self._claims.pop(stay.job, None)
        if stay.claim is not None:
            self._claims[stay.job] = None
        if stay.wait.reason in HOPELESS:
            for job in self._alike.get(kind, [stay.job]):
                self._forget(job, stay.wait)

    def _forget(self, job: JobId, wait: Wait) -> None:
        if self._cloud.pending.pop(job, None) is not None:
            self._leave(job)
        if self._open.pop(job, None) is not None:
            self._found[job] = hopeless(wait)

    def _end(self, gone: RunningJob) -> None:
        """It is over, or it was stopped for another and waits again."""
        self._ended[gone.id] = max(self._snapshot.now_us, self._end_us(gone)), gone
        if gone.id in self._guesses and gone.leaves_us is None:
            self._tainted.add(gone.id)
        if gone.id in self._tainted:
            self._tainted.update((gone.queue, *(seat.node for seat in gone.seats)))
        if gone.id in self._cloud.pending:
            self._join(self._cloud.pending[gone.id])

    def _free(self, job: PendingJob) -> None:
        """It waits for less, so it is of another kind now."""
        kind = self._kind(job)
        self._lines.leave(job.id)
        self._join(job)
        self._alike.setdefault(kind, []).append(job.id)
        if job.id in self._open:
            self._open[job.id] = kind

    def _end_us(self, job: RunningJob) -> int:
        if job.leaves_us is not None or job.ends_us is not None:
            return job.leaves_us if job.leaves_us is not None else job.ends_us or 0
        return job.started_us + self._guesses[job.id].run_us - (0 if job.again is None else job.again.ran_us)

    def _kind(self, job: PendingJob) -> Hashable:
        """Jobs of one kind go by submission, the last two parts of any order's key: the parts before are alike too."""
        return same_request(job), order_along(self._quotas.path(job.queue)).key(job)[:-2]

    def _join(self, job: PendingJob) -> None:
        self._lines.join(job.id, self._kind(job), by_submission(job))
        self._of_kind.setdefault(self._kind(job), job)
        if job.claim is not None:
            self._claims[job.id] = None

    def _leave(self, job: JobId) -> None:
        self._lines.leave(job)
        self._claims.pop(job, None)

    def _guess(self, job: PendingJob | RunningJob) -> Guess | None:
        """How long it runs in all, where nothing else says when it ends."""
        if isinstance(job, PendingJob):
            return self._history.guess(Kind.of(job), job.ran_us) if job.time_left_us is None else None
        if job.ends_us is not None or job.leaves_us is not None:
            return None
        before_us = 0 if job.again is None else job.again.ran_us
        return self._history.guess(Kind.of(job), self._snapshot.now_us - job.started_us + before_us)

    def _give_up(self) -> None:
        """No more is decided, or nothing ends any more: what is open has no expected start."""
        if not self._left:
            self._found |= dict.fromkeys(
                self._open, far(self._snapshot.now_us, self._cloud.now_us if self._exact else self._from_us)
            )
            return
        of_kind = {kind: self._unknown(job, self._waits[kind]) for job, kind in self._open.items()}
        self._found |= {job: of_kind[kind] for job, kind in self._open.items()}

    def _unknown(self, job_id: JobId, wait: Wait) -> Expectation:
        """Everything that ends has ended and it still waits: for one of which nobody knows, or for what no end brings."""
        if wait.reason is PendingReason.NODES_UNHEALTHY:
            return hopeless(wait)
        job = self._cloud.pending[job_id]
        if wait.reason is PendingReason.DEPENDENCY_WAITING:
            return waits_for_endless(sorted(other.id for other in self._cloud.running if self._awaited(job, other)), wait)
        models = {node.flavor: node.gpu for node in self._snapshot.nodes}

        def in_the_way(other: RunningJob) -> bool:
            if other.ends_us is not None or other.id in self._guesses:
                return False
            if wait.reason is PendingReason.WAITING_FOR_QUOTA:
                return other.queue == job.queue
            return any(suits(part.request.gpu, models.get(seat.flavor)) for part in job.parts for seat in other.seats)

        return endless(sorted(other.id for other in self._cloud.running if in_the_way(other)), wait)

    def _awaited(self, job: PendingJob, other: RunningJob) -> bool:
        """Whether it waits for that one, or for its array, and nobody knows when that ends."""
        named = {one.id for one in job.after}
        known = other.ends_us is not None or other.id in self._guesses
        return not known and (other.id in named or (other.array is not None and other.array.id in named))


def _has_room(free: Iterable[tuple[str | None, Amount]], part: Part) -> bool:
    """Whether some node has room for one replica."""
    asked = amount_asked(part.request)
    return any(suits(part.request.gpu, gpu) and covers(amount, asked) for gpu, amount in free)
