"""A snapshot that can be moved on: jobs end, jobs start, and what is free follows."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from xingliu.kernel.ids import JobId, NodeName, QueueName
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import NodeView, PendingJob, Place, Plan, RunningJob, Seat, Snapshot, StayPending
from xingliu.scheduling.room import Stock
from xingliu.scheduling.uses import Uses
from xingliu.workloads.dependencies import AfterKind

NO_GUESSES: Mapping[JobId, int] = {}


class VirtualCloud:
    """The cloud of one snapshot in virtual time. Nothing is submitted but by `submit`, and no node changes state.

    What ends has succeeded, unless it was being stopped: so ends that are waited for come, but for failures.
    """

    def __init__(self, snapshot: Snapshot, guessed_ends_us: Mapping[JobId, int] = NO_GUESSES) -> None:
        """`guessed_ends_us`: of those without a time limit; else they never end."""
        self._first = snapshot
        self._numbers = 0
        self.now_us = snapshot.now_us
        self._nodes = {node.name: node for node in snapshot.nodes}
        self._queues = {queue.name: queue for queue in snapshot.queues}
        self.pending = {job.id: job for job in snapshot.pending}
        self._running: dict[int, RunningJob] = {}  # by a number: what still lets go of one attempt may start another
        self._ends: list[tuple[int, JobId, int]] = []
        self._uses = Uses(snapshot.fair, snapshot.used, now_us=snapshot.now_us)
        self._starts: list[int] = []
        self._dependents: dict[str, set[JobId]] = {}
        self._freed: set[JobId] = set()
        self._in_arrays = Counter(job.array.id for job in snapshot.running if job.array is not None)
        for waits in snapshot.pending:
            self._join(waits)
        for job in snapshot.running:
            limit_us = guessed_ends_us.get(job.id, job.ends_us)
            self._run(job, limit_us if job.leaves_us is None else job.leaves_us)
            paid_us = max(self.now_us, job.started_us + snapshot.fair.entry_us)
            self._hold(job, paid_us=paid_us)

    @property
    def running(self) -> tuple[RunningJob, ...]:
        return tuple(self._running.values())

    @property
    def ends_us(self) -> list[int]:
        """When what runs ends, of all that does, in no order."""
        return [end_us for end_us, _, number in self._ends if number in self._running]

    @property
    def next_end_us(self) -> int | None:
        """When the next running job ends, None when none will; it may be past already."""
        while self._ends and self._ends[0][2] not in self._running:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    @property
    def next_start_us(self) -> int | None:
        """The next instant before which some job may not start."""
        while self._starts and self._starts[0] <= self.now_us:
            heapq.heappop(self._starts)
        return self._starts[0] if self._starts else None

    @property
    def next_us(self) -> int | None:
        """When something next happens by itself, None when nothing will."""
        return min((at_us for at_us in (self.next_end_us, self.next_start_us) if at_us is not None), default=None)

    def _join(self, job: PendingJob) -> None:
        """Note what it waits for."""
        if job.not_before_us is not None:
            heapq.heappush(self._starts, job.not_before_us)
        if job.array is not None:
            self._in_arrays[job.array.id] += 1
        for after in job.after:
            self._dependents.setdefault(after.id, set()).add(job.id)

    def _run(self, job: RunningJob, ends_us: int | None) -> None:
        self._numbers += 1
        self._running[self._numbers] = job
        if ends_us is not None:
            heapq.heappush(self._ends, (ends_us, job.id, self._numbers))

    def _hold(self, job: RunningJob, *, paid_us: int | None = None) -> None:
        first, *rest = (seat.charge for seat in job.seats) if job.seats else (Resources(),)
        charge = sum(rest, first)
        self._uses.open((job.id, job.started_us), (job.queue, job.user), charge, job.started_us, paid_us=paid_us)

    def snapshot(self, pending: Iterable[PendingJob] | None = None) -> Snapshot:
        """As it is now; with `pending`, as if only those waited."""
        return replace(
            self._first,
            now_us=self.now_us,
            nodes=tuple(self._nodes.values()),
            queues=tuple(self._queues.values()),
            pending=tuple(self.pending.values() if pending is None else pending),
            running=self.running,
            used=self._uses.now(self.now_us),
        )

    def submit(self, job: PendingJob) -> None:
        """From now on it waits."""
        self.pending[job.id] = job
        self._join(job)

    def follow(self, plan: Plan) -> None:
        """Start what is placed, each until its time limit, and `give_way`."""
        for place in plan.placements:
            self.start(place, comes_back=True)
        self.give_way(plan)

    def give_way(self, plan: Plan) -> None:
        """Keep what is claimed, and let what has to stop for others have its grace."""
        for decision in plan.decisions:
            if isinstance(decision, StayPending) and self.pending[decision.job].claim != decision.claim:
                self.pending[decision.job] = replace(self.pending[decision.job], claim=decision.claim)
        stopped = {evict.job: evict for evict in plan.evictions}
        for number, job in list(self._running.items()) if stopped else ():
            if job.id in stopped and job.leaves_us is None:
                del self._running[number]
                leaves_us = self.now_us + job.grace_us
                self._run(replace(job, leaves_us=leaves_us, leaves_for=stopped[job.id].preemptor), leaves_us)

    def start(self, place: Place, *, run_us: int | None = None, comes_back: bool = False, since_us: int | None = None) -> None:
        """Give the job its seats now; it ends after `run_us`, else when what is left of its time limit is over.

        Only one that `comes_back` may be stopped for others. `since_us`: it got them earlier, and that is told now.
        """
        job, since_us = self.pending.pop(place.job), self.now_us if since_us is None else since_us
        limit_us = None if job.time_left_us is None else since_us + job.time_left_us
        ends_us = limit_us if run_us is None else since_us + run_us
        again = replace(job, claim=None) if comes_back else None
        runs = RunningJob(job.id, job.name, job.queue, place.seats, limit_us, job.project, job.user, again, since_us)
        runs = runs if job.array is None else replace(runs, array=job.array)
        self._run(runs, ends_us)
        self._hold(runs)
        for seat in place.seats:
            self._nodes[seat.node] = _with_less(self._nodes[seat.node], seat)
            self._charge(job.queue, seat, sign=1)

    def advance(self, now_us: int) -> tuple[RunningJob, ...]:
        """Move to `now_us` and let everything end that ends until then."""
        ended: list[RunningJob] = []
        while (next_us := self.next_end_us) is not None and next_us <= now_us:
            self.now_us = max(self.now_us, next_us)
            ended.append(self._end_next())
        self.now_us = now_us
        return tuple(ended)

    def step(self) -> tuple[RunningJob, ...] | None:
        """Move to the next end, or to an instant that a job waits for, and let everything end that ends then.

        None when nothing more will happen. A job that is past its limit already ends now.
        """
        next_us = self.next_us
        return None if next_us is None else self.advance(max(self.now_us, next_us))

    def _end_next(self) -> RunningJob:
        gone = self._running.pop(heapq.heappop(self._ends)[2])
        self._uses.close((gone.id, gone.started_us), self.now_us)
        for seat in gone.seats:
            if seat.node in self._nodes:
                self._nodes[seat.node] = _with_more(self._nodes[seat.node], seat)
            self._charge(gone.queue, seat, sign=-1)
        if gone.leaves_for is not None and gone.again is not None:
            left_us = gone.again.time_left_us
            ran_us = self.now_us - gone.started_us
            left_us = None if left_us is None else max(0, left_us - ran_us)
            self.pending[gone.id] = replace(gone.again, time_left_us=left_us, ran_us=gone.again.ran_us + ran_us)
        else:
            self._over(gone)
        return gone

    def _over(self, gone: RunningJob) -> None:
        """Who waited for it, or for the last of its array, waits for that no more."""
        over: list[str] = [gone.id]
        if gone.array is not None:
            self._in_arrays[gone.array.id] -= 1
            over += [] if self._in_arrays[gone.array.id] else [gone.array.id]
        comes = {AfterKind.ANY} if gone.leaves_us is not None else {AfterKind.ANY, AfterKind.OK}
        for name in over:
            for job_id in self._dependents.get(name, ()):
                if (job := self.pending.get(job_id)) is not None:
                    left = tuple(one for one in job.after if one.id != name or one.kind not in comes)
                    self.pending[job_id] = replace(job, after=left)
                    self._freed.add(job_id)

    def take_freed(self) -> list[JobId]:
        """Who waits for less than when this was last asked."""
        freed, self._freed = sorted(self._freed), set()
        return freed

    def _charge(self, queue: QueueName, seat: Seat, *, sign: int) -> None:
        view = self._queues.get(queue)
        if view is not None:
            self._queues[view.name] = replace(view, in_use=view.in_use + seat.charge * sign)


def _with_less(node: NodeView, seat: Seat) -> NodeView:
    left = tuple(gpu for gpu in node.free_gpus if gpu not in seat.gpus)
    return replace(node, free=node.free - seat.resources, free_gpus=left)


def _with_more(node: NodeView, seat: Seat) -> NodeView:
    return replace(node, free=node.free + seat.resources, free_gpus=tuple(sorted({*node.free_gpus, *seat.gpus})))


def without(snapshot: Snapshot, gone: RunningJob) -> Snapshot:
    """The same cloud once that job was stopped and has ended."""
    stock = Stock.of(snapshot.nodes)
    freed: dict[NodeName, NodeView] = {}
    for seat in gone.seats:
        number = stock.numbers.get(seat.node)
        if number is not None:
            freed[seat.node] = _with_more(freed.get(seat.node, stock[number]), seat)
    nodes = stock.changed(list(freed.values()))
    over = {gone.id} | _whole_array(snapshot, gone)
    pending = tuple(_no_longer_after(job, over) if job.after else job for job in snapshot.pending)
    charge = sum((seat.charge for seat in gone.seats), Resources())
    queues = tuple(replace(view, in_use=view.in_use - charge) if view.name == gone.queue else view for view in snapshot.queues)
    running = tuple(job for job in snapshot.running if job is not gone)
    return replace(snapshot, nodes=nodes, queues=queues, pending=pending, running=running)


def _whole_array(snapshot: Snapshot, gone: RunningJob) -> set[str]:
    """The id of its array, if no other element of it runs or waits."""
    if gone.array is None:
        return set()
    others = [job.array for job in snapshot.running if job is not gone] + [job.array for job in snapshot.pending]
    return set() if any(array is not None and array.id == gone.array.id for array in others) else {gone.array.id}


def _no_longer_after(job: PendingJob, over: Collection[str]) -> PendingJob:
    """The job, which waits no more for those to end somehow. That they end well it will wait for in vain."""
    return replace(job, after=tuple(one for one in job.after if one.id not in over or one.kind is not AfterKind.ANY))
