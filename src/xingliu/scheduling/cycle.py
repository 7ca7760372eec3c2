"""What one call of `decide` works with: the snapshot, indexed, and marks of how it looked as the line moved on."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from xingliu.fleet.model import NodeState
from xingliu.kernel.ids import FlavorName, JobId, QueueName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.eviction import Evictions
from xingliu.scheduling.layouts import Ask, Layout, Nodes, combined, fit_together, spread
from xingliu.scheduling.model import Evict, NodeView, Part, PendingJob, Place, RunningJob, Seat, Snapshot
from xingliu.scheduling.orders import Policy
from xingliu.scheduling.quota import Quotas, charge
from xingliu.scheduling.room import Amount, Room, Shelf, Spot, amount_asked, amount_free, amount_whole, suits
from xingliu.workloads.model import Claim, GpuRequest

Counts = dict[tuple[FlavorName, Amount], int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job without seats.

    Attributes:
        admitted: the layouts that its queues would have let it take at its turn.
        claim: the room that is kept for it from now on, and `leaving`, who lets go of it.
        behind: the job of its queue that it may not pass.
    """

    job: PendingJob
    admitted: tuple[Layout, ...]
    claim: Claim | None = None
    leaving: tuple[JobId, ...] = ()
    behind: JobId | None = None


class Cycle:
    """Lives as long as one `decide`.

    Attributes:
        line: the pending jobs in the order in which they are decided.
        heads: of queues in which nothing passes, the job that all others wait behind.
        placed: those that got seats so far, and of which flavors.
        evicted: those that have to stop for others.
        leaving: who is stopping already, by the job it is stopping for.
    """

    def __init__(self, snapshot: Snapshot, policy: Policy) -> None:
        self.snapshot, self.policy = snapshot, policy
        self.heads: dict[QueueName, JobId] = {}
        self.room = Room(snapshot.nodes)
        self.quotas = Quotas(snapshot.queues, self.room.models, snapshot.running, lambda: _capacity(snapshot.nodes))
        self.line = sorted(snapshot.pending, key=lambda job: (-job.priority, policy.order.key(job)))
        self.placed: list[tuple[PendingJob, tuple[FlavorName, ...]]] = []
        self.evicted: list[Evict] = []
        self.leaving = _leaving_for(snapshot.running)
        for gone in snapshot.running:
            if gone.leaves_us is not None:
                self.quotas.leave(gone)
        self.evictions = Evictions(snapshot, self.room, self.quotas, policy.rule)
        self._flavors: dict[GpuRequest | None, tuple[FlavorName, ...]] = {}
        self._layouts: dict[tuple[Part, ...], tuple[Layout, ...]] = {}
        self._apart: set[tuple[Ask, ...]] = set()
        self._asked: dict[int, set[Amount]] = {}
        for job in self.line:
            asked = self._asked.setdefault(job.priority, set())
            for part in job.parts:
                asked.add(amount_asked(part.request))
        lower = list(self._asked.values())[1:]
        self._at_start = self._counts(set().union(*lower))
        self._at_turn: dict[int, Counts] = {}

    def flavors(self, gpu: GpuRequest | None) -> tuple[FlavorName, ...]:
        """Those whose nodes have what is asked for by kind; without GPUs, flavors that have none come first."""
        if gpu not in self._flavors:
            models = self.room.models
            found = [flavor for flavor, model in models.items() if suits(gpu, model)]
            self._flavors[gpu] = tuple(sorted(found, key=lambda flavor: (models[flavor] is not None, flavor)))
        return self._flavors[gpu]

    def layouts(self, parts: tuple[Part, ...]) -> tuple[Layout, ...]:
        """What the parts could be on; of several, without flavors that have too few nodes even if all were empty."""
        found = self._layouts.get(parts)
        if found is None:
            choices = [self.choices(part) for part in parts]
            if len(parts) > 1:
                choices = [[ask for ask in asks if fit_together(self.whole, [ask])] for asks in choices]
            found = self._layouts[parts] = tuple(Layout(asks, cost_of(asks)) for asks in combined(choices))
        return found

    def choices(self, part: Part) -> list[Ask]:
        """What one part asks, of each flavor it may have."""
        asked = amount_asked(part.request)
        return [Ask(flavor, asked, part.replicas) for flavor in self.flavors(part.request.gpu)]

    def nodes_for(self, layout: Layout) -> Nodes | None:
        """Nodes for each part, that all have the room now. What did not fit is remembered: the room only shrinks."""
        if layout.asks in self._apart:
            return None
        found = spread(self.room.shelves, layout.asks)
        if found is None:
            self._apart.add(layout.asks)
        return found

    def could_start(self, job: PendingJob, layouts: Sequence[Layout]) -> bool:
        """Whether it fits a cloud that is empty and whole, and queues that hold nothing."""
        return any(
            fit_together(self.whole, layout.asks) and self.quotas.block(job, layout.cost, empty=True) is None
            for layout in layouts
        )

    def enter(self, priority: int) -> None:
        """The line reaches jobs of `priority`: mark how many nodes each of their requests fits now."""
        if priority not in self._at_turn:
            self._at_turn[priority] = self._counts(self._asked[priority]) if self.placed else {}

    def fitted_at_start(self, flavor: FlavorName, asked: Amount) -> int:
        """How many nodes it fitted before anything was placed; for jobs of the highest priority, 0."""
        return self._at_start.get((flavor, asked), 0)

    def fitted_at_turn(self, priority: int, flavor: FlavorName, asked: Amount) -> int:
        """How many it still fitted once all jobs of higher priority had been decided."""
        return self._at_turn[priority].get((flavor, asked), self.fitted_at_start(flavor, asked))

    def _counts(self, amounts: Iterable[Amount]) -> Counts:
        shelves = self.room.shelves.items()
        return {(flavor, asked): shelf.count(asked) for asked in amounts for flavor, shelf in shelves}

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
        running = Counter(flavor for job in self.snapshot.running for flavor in {seat.flavor for seat in job.seats})
        return running + Counter(flavor for _, flavors in self.placed for flavor in set(flavors))

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


def place(cycle: Cycle, job: PendingJob, layout: Layout, nodes: Nodes) -> Place:
    """Seats for the whole gang on those nodes, which have the room."""
    seats: list[Seat] = []
    for part, ask, numbers in zip(job.parts, layout.asks, nodes, strict=True):
        (flavor, asked, _), first = ask, len(seats)
        resources = Resources({CPU: asked.cpu_milli, MEMORY: asked.memory_bytes, gpu_of(flavor): asked.gpus * MILLI})
        cost = charge(flavor, asked)
        for number, (node, gpus) in enumerate(cycle.room.take_on(flavor, asked, numbers)):
            seats.append(Seat(first + number, node.name, node.pool, flavor, resources, cost, gpus, part.role, number))
    cycle.quotas.take(job, layout.cost)
    cycle.placed.append((job, layout.flavors))
    return Place(job.id, tuple(seats), job.generation)


def cost_of(asks: Iterable[Ask]) -> Resources:
    """What a gang is charged to its queue."""
    return sum((charge(ask.flavor, ask.amount) * ask.replicas for ask in asks), Resources())


def _capacity(nodes: Iterable[NodeView]) -> Resources:
    """All of the nodes that are not retired, by quota kind."""
    amounts: Counter[str] = Counter()
    for node in nodes:
        if node.state is not NodeState.RETIRED:
            amounts.update(charge(node.flavor, amount_whole(node)))
    return Resources(amounts)


def _out_of_service(node: NodeView) -> bool:
    return node.state not in (NodeState.READY, NodeState.RETIRED)
