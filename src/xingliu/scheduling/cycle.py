"""What one call of `decide` works with: the snapshot, indexed, and the line."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from xingliu.fleet.model import NodeState
from xingliu.kernel.ids import ArrayId, FlavorName, JobId, QueueName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.eviction import Evictions
from xingliu.scheduling.model import Evict, NodeView, PendingJob, Place, RunningJob, Seat, Snapshot
from xingliu.scheduling.orders import Order, Policy, order_along
from xingliu.scheduling.quota import Quotas, charge
from xingliu.scheduling.room import Amount, Room, Shelf, Spot, Taken, amount_asked, amount_free, amount_whole, suits
from xingliu.scheduling.shares import Shares
from xingliu.scheduling.turns import FairLine, Line, OneLine
from xingliu.workloads.model import Claim, GpuRequest


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job without seats.

    Attributes:
        admitted: the flavors of which its queues would have let it take some at its turn.
        claim: the room that is kept for it from now on, and `leaving`, who lets go of it.
        behind: the job of its queue that it may not pass.
        array_full: as many elements of its array as may have seats, or are promised some.
    """

    job: PendingJob
    admitted: tuple[FlavorName, ...]
    claim: Claim | None = None
    leaving: tuple[JobId, ...] = ()
    behind: JobId | None = None
    array_full: bool = False


class Cycle:
    """Lives as long as one `decide`.

    Attributes:
        line: the pending jobs in turn, and `borrowers`, those that would have to borrow and whose turn comes after all others.
        heads: of queues in which nothing passes, the job that all others wait behind; `put_off`: such queues whose head has
            to borrow, so that all of it comes with the borrowers.
        reserving: of queues in which what frees up is kept for a job that has waited long, that job; `reserved_now`: for how
            many nodes were looked for in this cycle.
        placed: those that got seats so far, and where.
        evicted: those that have to stop for others.
        leaving: who is stopping already, by the job it is stopping for.
        in_arrays: how many elements of each array have seats, or are promised some.
    """

    def __init__(self, snapshot: Snapshot, policy: Policy) -> None:
        self.snapshot, self.policy = snapshot, policy
        self.heads: dict[QueueName, JobId] = {}
        self.put_off: set[QueueName] = set()
        self.reserving: dict[QueueName, JobId] = {}
        self.reserved_now = 0
        self.room = Room(snapshot.nodes, policy.pick)
        self.quotas = Quotas(snapshot.queues, self.room.models, snapshot.running, lambda: self.capacity)
        self.borrowers: list[PendingJob] = []
        self._shares = Shares(snapshot.used, snapshot.fair, self.quotas.path, lambda: self.capacity)
        self._may_borrow = False
        self._orders: dict[QueueName, Order] = {}
        self.line = self._line(snapshot.pending)
        self.placed: list[tuple[PendingJob, Place]] = []
        self.evicted: list[Evict] = []
        self.leaving = _leaving_for(snapshot.running)
        self.in_arrays: Counter[ArrayId] = Counter(
            job.array.id for job in snapshot.running if job.array is not None and job.seats
        )
        for gone in snapshot.running:
            if gone.leaves_us is not None:
                self.quotas.leave(gone)
        self.evictions = Evictions(snapshot, self.room, self.quotas, policy.rule)
        self._flavors: dict[GpuRequest | None, tuple[FlavorName, ...]] = {}
        self._costs: dict[tuple[FlavorName, Amount, int], Resources] = {}

    def _line(self, jobs: Iterable[PendingJob]) -> Line:
        if self.policy.order.by_shares:
            return FairLine(jobs, self.order_of, self._shares, self.quotas.path)
        return OneLine(jobs, self.policy.order)

    def turns(self) -> Iterator[PendingJob]:
        """Everyone who waits, in turn; those who would have to borrow once more when all others were decided."""
        while (job := self.line.next()) is not None:
            yield job
        self.line, self._may_borrow = self._line(self.borrowers), True
        self.put_off.clear()
        while (job := self.line.next()) is not None:
            yield job

    def order_of(self, queue: QueueName) -> Order:
        """By which its jobs go: that of the whole cloud where all are in one line, else its own."""
        if not self.policy.order.by_shares:
            return self.policy.order
        if queue not in self._orders:
            self._orders[queue] = order_along(self.quotas.path(queue))
        return self._orders[queue]

    def own(self, job: PendingJob, costs: Sequence[tuple[FlavorName, Resources]]) -> tuple[FlavorName, ...]:
        """The flavors it may take now: without borrowing, until its turn among those who have to. A strict line has one turn."""
        may_borrow = self._may_borrow or not job.preemptible or self.policy.order.blocks
        return tuple(flavor for flavor, cost in costs if may_borrow or not self.quotas.borrows(job, cost))

    def array_full(self, job: PendingJob) -> bool:
        """Whether no further element of its array may have seats now."""
        most = None if job.array is None else job.array.max_parallel
        return job.array is not None and most is not None and self.in_arrays[job.array.id] >= most

    def enter_array(self, job: PendingJob) -> None:
        """One more of its array has seats, or is promised some."""
        if job.array is not None:
            self.in_arrays[job.array.id] += 1

    def flavors(self, gpu: GpuRequest | None) -> tuple[FlavorName, ...]:
        """Those whose nodes have what is asked for by kind; without GPUs, flavors that have none come first."""
        if gpu not in self._flavors:
            models = self.room.models
            found = [flavor for flavor, model in models.items() if suits(gpu, model)]
            self._flavors[gpu] = tuple(sorted(found, key=lambda flavor: (models[flavor] is not None, flavor)))
        return self._flavors[gpu]

    def cost(self, flavor: FlavorName, asked: Amount, replicas: int) -> Resources:
        """What the whole gang is charged to its queue."""
        key = (flavor, asked, replicas)
        if key not in self._costs:
            self._costs[key] = charge(flavor, asked) * replicas
        return self._costs[key]

    def could_start(self, job: PendingJob, costs: Sequence[tuple[FlavorName, Resources]]) -> bool:
        """Whether it fits a cloud that is empty and whole, and queues that hold nothing."""
        asked = amount_asked(job.request)
        return any(
            self.whole[flavor].count(asked, job.replicas) == job.replicas and self.quotas.block(job, cost, empty=True) is None
            for flavor, cost in costs
        )

    @cached_property
    def capacity(self) -> Resources:
        """All of the nodes that are not retired, by quota kind."""
        amounts: Counter[str] = Counter()
        for node in self.snapshot.nodes:
            if node.state is not NodeState.RETIRED:
                amounts.update(charge(node.flavor, amount_whole(node)))
        return Resources(amounts)

    @cached_property
    def whole(self) -> dict[FlavorName, Shelf]:
        """All nodes that are not retired, as if they were empty."""
        return self._shelves(amount_whole, lambda node: node.state is not NodeState.RETIRED)

    @cached_property
    def whole_ready(self) -> dict[FlavorName, Shelf]:
        """The ready nodes, as if they were empty."""
        return self._shelves(amount_whole, lambda node: node.state is NodeState.READY)

    @cached_property
    def free_elsewhere(self) -> dict[FlavorName, Shelf]:
        """What is free on nodes that are out of service: neither ready nor retired."""
        return self._shelves(amount_free, _out_of_service)

    @cached_property
    def out_of_service(self) -> dict[FlavorName, list[NodeView]]:
        found: dict[FlavorName, list[NodeView]] = {flavor: [] for flavor in self.room.models}
        for node in self.room.nodes:
            if _out_of_service(node):
                found[node.flavor].append(node)
        return found

    @cached_property
    def holders(self) -> Counter[FlavorName]:
        """How many jobs hold nodes of each flavor, those just placed included."""
        running = Counter(job.seats[0].flavor for job in self.snapshot.running if job.seats)
        return running + Counter(placed.seats[0].flavor for _, placed in self.placed)

    def _shelves(self, amount: Callable[[NodeView], Amount], counted: Callable[[NodeView], bool]) -> dict[FlavorName, Shelf]:
        spots: dict[FlavorName, list[Spot]] = {flavor: [] for flavor in self.room.models}
        for number, node in enumerate(self.room.nodes):
            if counted(node):
                spots[node.flavor].append(Spot(amount(node), number))
        return {flavor: Shelf(of_flavor) for flavor, of_flavor in spots.items()}


def _leaving_for(running: Iterable[RunningJob]) -> dict[JobId, list[RunningJob]]:
    found: dict[JobId, list[RunningJob]] = {}
    for job in running:
        if job.leaves_for is not None:
            found.setdefault(job.leaves_for, []).append(job)
    return found


def place(cycle: Cycle, job: PendingJob, flavor: FlavorName, taken: Sequence[Taken]) -> Place:
    """Seats for the whole gang on nodes that were taken for it."""
    asked = amount_asked(job.request)
    resources = Resources({CPU: asked.cpu_milli, MEMORY: asked.memory_bytes, gpu_of(flavor): asked.gpus * MILLI})
    cost, whole = charge(flavor, asked), cycle.cost(flavor, asked, job.replicas)
    cycle.quotas.take(job, whole)
    cycle.line.placed(job, whole)
    cycle.enter_array(job)
    seats = (Seat(rank, node.name, node.pool, flavor, resources, cost, gpus) for rank, (node, gpus) in enumerate(taken))
    placed = Place(job.id, tuple(seats), job.generation)
    cycle.placed.append((job, placed))
    return placed


def _out_of_service(node: NodeView) -> bool:
    return node.state not in (NodeState.READY, NodeState.RETIRED)
