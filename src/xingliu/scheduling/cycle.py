"""What one call of `decide` works with: the snapshot, indexed, and the line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from xingliu.fleet.model import NodeState
from xingliu.kernel.ids import FlavorName, JobId, QueueName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.eviction import Evictions
from xingliu.scheduling.layouts import Ask, Layout, Nodes, Shape, combined, fit_together, spread
from xingliu.scheduling.model import Evict, Part, PendingJob, Place, Seat, Snapshot
from xingliu.scheduling.orders import Order, Policy, order_along
from xingliu.scheduling.quota import Quotas, charge
from xingliu.scheduling.room import Room, Shelf, amount_asked, suits
from xingliu.scheduling.running import Running, flavors_of
from xingliu.scheduling.shares import Shares
from xingliu.scheduling.turns import FairLine, Line, OneLine
from xingliu.workloads.model import Claim, GpuRequest


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job without seats.

    Attributes:
        admitted: the layouts that its queues would have let it take at its turn.
        claim: the room that is kept for it from now on, and `leaving`, who lets go of it.
        behind: the job of its queue that it may not pass.
        array_full: as many elements of its array as may have seats, or are promised some.
    """

    job: PendingJob
    admitted: tuple[Layout, ...]
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
        running: what runs.
        in_arrays: how many elements of each array have seats, or are promised some.
    """

    def __init__(self, snapshot: Snapshot, policy: Policy) -> None:
        self.snapshot, self.policy = snapshot, policy
        self.heads: dict[QueueName, JobId] = {}
        self.put_off: set[QueueName] = set()
        self.reserving: dict[QueueName, JobId] = {}
        self.reserved_now = 0
        self.room = Room(snapshot.nodes, policy.pick)
        self.running = Running.of(snapshot.running)
        self.quotas = Quotas(snapshot.queues, self.room.models, self.running, lambda: self.capacity)
        self.borrowers: list[PendingJob] = []
        self._shares = Shares(snapshot.used, snapshot.fair, self.quotas.path, lambda: self.capacity)
        self._may_borrow = False
        self._orders: dict[QueueName, Order] = {}
        self._own_waits = [job for job in snapshot.pending if not job.may_start(snapshot.now_us)]
        self.line = self._line(job for job in snapshot.pending if job.may_start(snapshot.now_us))
        self.placed: list[tuple[PendingJob, Place]] = []
        self.evicted: list[Evict] = []
        self.in_arrays = self.running.in_arrays.copy()
        for gone in self.running.leaving:
            self.quotas.leave(gone)
        self.evictions = Evictions(snapshot.now_us, self.running, self.room, self.quotas, policy.rule)
        self._flavors: dict[GpuRequest | None, tuple[FlavorName, ...]] = {}
        self._shapes: dict[tuple[Part, ...], Shape] = {}
        self._apart: set[Layout] = set()

    def _line(self, jobs: Iterable[PendingJob]) -> Line:
        if self.policy.order.by_shares:
            return FairLine(jobs, self.order_of, self._shares, self.quotas.path)
        return OneLine(jobs, self.policy.order)

    def turns(self) -> Iterator[PendingJob]:
        """Everyone who waits, in turn; those who would have to borrow once more when all others were decided.

        Last, those who may not start whatever is free: they are in nobody's way.
        """
        while (job := self.line.next()) is not None:
            yield job
        self.line, self._may_borrow = self._line(self.borrowers), True
        self.put_off.clear()
        while (job := self.line.next()) is not None:
            yield job
        yield from sorted(self._own_waits, key=lambda job: (job.submitted_us, job.id))

    def order_of(self, queue: QueueName) -> Order:
        """By which its jobs go: that of the whole cloud where all are in one line, else its own."""
        if not self.policy.order.by_shares:
            return self.policy.order
        if queue not in self._orders:
            self._orders[queue] = order_along(self.quotas.path(queue))
        return self._orders[queue]

    def own(self, job: PendingJob, layouts: Sequence[Layout]) -> list[Layout]:
        """The layouts it may take now: without borrowing, until its turn among those who have to. A strict line has one turn."""
        may_borrow = self._may_borrow or not job.preemptible or self.policy.order.blocks
        return [layout for layout in layouts if may_borrow or not self.quotas.borrows(job, layout.cost)]

    def leads(self, job: PendingJob, shape: Shape) -> bool:
        """Whether nothing of its queue passes it while it waits. One that never starts, or is at its user's limit, is passed."""
        if not self.order_of(job.queue).blocks or not self.could_start(job, shape):
            return False
        return not all(self.quotas.at_own_limit(job, layout.cost) for layout in shape.layouts)

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

    def shape(self, job: PendingJob) -> Shape:
        """What it asks for, and where it could be."""
        found = self._shapes.get(job.parts)
        if found is None:
            choices = [self._choices(part) for part in job.parts]
            if len(choices) > 1:
                choices = [[ask for ask in asks if fit_together(self.whole, [ask])] for asks in choices]
            layouts = tuple(Layout(asks, _cost(asks)) for asks in combined(choices))
            found = self._shapes[job.parts] = Shape(job.parts, layouts)
        return found

    def _choices(self, part: Part) -> list[Ask]:
        """What one part asks, of each flavor it may have."""
        asked = amount_asked(part.request)
        return [Ask(flavor, asked, part.replicas) for flavor in self.flavors(part.request.gpu)]

    def nodes_for(self, layout: Layout) -> Nodes | None:
        """Nodes for each part, that all have the room now, where `Room.fits` said that each has by itself.

        What did not fit together is remembered: the room only shrinks.
        """
        if len(layout.asks) == 1:
            return [self.room.pick(*layout.asks[0])]
        if layout in self._apart:
            return None
        found = spread(self.room.shelves, layout.asks)
        if found is None:
            self._apart.add(layout)
        return found

    def could_start(self, job: PendingJob, shape: Shape) -> bool:
        """Whether it fits a cloud that is empty and whole, and queues that hold nothing."""
        return any(
            fit_together(self.whole, layout.asks) and self.quotas.block(job, layout.cost, empty=True) is None
            for layout in shape.layouts
        )

    @cached_property
    def capacity(self) -> Resources:
        """All of the nodes that are not retired, by quota kind."""
        amounts: Counter[str] = Counter()
        for (flavor, amount), count in self.room.nodes.whole_counts.items():
            amounts.update(charge(flavor, amount) * count)
        return Resources(amounts)

    @property
    def whole(self) -> dict[FlavorName, Shelf]:
        """All nodes that are not retired, as if they were empty."""
        return self.room.nodes.whole

    def fits_with_all_back(self, layout: Layout) -> bool:
        """Whether it would fit in what is left if the nodes that are out of service were ready."""
        if len(layout.asks) > 1:
            return fit_together(self._all_back, layout.asks)
        flavor, asked, replicas = layout.asks[0]
        return self.room.shelves[flavor].count(asked) + self.room.nodes.free_elsewhere[flavor].count(asked) >= replicas

    @cached_property
    def _all_back(self) -> dict[FlavorName, Shelf]:
        """What is left when all are decided on the nodes that are ready, and what is free on those that are out of service."""
        retired = NodeState.RETIRED
        return self.room.nodes.shelved(lambda number, node: None if node.state is retired else self.room.left(number))

    @cached_property
    def holders(self) -> Counter[FlavorName]:
        """How many jobs hold nodes of each flavor, those just placed included."""
        return self.running.holders + Counter(flavor for _, placed in self.placed for flavor in flavors_of(placed.seats))


def place(cycle: Cycle, job: PendingJob, layout: Layout, nodes: Nodes) -> Place:
    """Seats for the whole gang on those nodes, which have the room."""
    seats: list[Seat] = []
    for part, ask, numbers in zip(job.parts, layout.asks, nodes, strict=True):
        (flavor, asked, _), first = ask, len(seats)
        resources = Resources({CPU: asked.cpu_milli, MEMORY: asked.memory_bytes, gpu_of(flavor): asked.gpus * MILLI})
        cost = charge(flavor, asked)
        for rank, (node, gpus) in enumerate(cycle.room.take_on(flavor, asked, numbers)):
            seats.append(Seat(first + rank, node.name, node.pool, flavor, resources, cost, gpus, part.role, rank))
    cycle.quotas.take(job, layout.cost)
    cycle.line.placed(job, layout.cost)
    cycle.enter_array(job)
    placed = Place(job.id, tuple(seats), job.generation)
    cycle.placed.append((job, placed))
    return placed


def _cost(asks: Iterable[Ask]) -> Resources:
    """What a gang is charged to its queue."""
    return sum((charge(ask.flavor, ask.amount) * ask.replicas for ask in asks), Resources())
