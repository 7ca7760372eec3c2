"""What others than its user can change so that a job that waits starts: each a changed cloud, one change alone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from xingliu.fleet.model import NodeState
from xingliu.forecast.change import Change, ChangeKind
from xingliu.forecast.own_changes import fits, path
from xingliu.forecast.virtual import without
from xingliu.kernel.ids import FlavorName, QueueName
from xingliu.kernel.resources import Resources
from xingliu.scheduling.eviction import cost_of
from xingliu.scheduling.model import NodeView, PendingJob, QueueView, RunningJob, Snapshot
from xingliu.scheduling.quota import Bound
from xingliu.scheduling.room import Amount, Stock, amount_asked, amount_free, amount_of, both, covers, suits
from xingliu.workloads.model import Wait

NODES_TRIED_MAX = 3
STOPS_TRIED_MAX = 3
RESUMABLE = (NodeState.DRAINING, NodeState.DRAINED)
BROKEN = (NodeState.JOINING, NodeState.UNHEALTHY, NodeState.DOWN)
FIELDS = {
    Bound.QUOTA: "quota",
    Bound.BORROW: "borrow_limit",
    Bound.LEND: "quota",
    Bound.USER: "user_limit",
    Bound.PROJECT: "project_limit",
}

Candidate = tuple[Change, Snapshot]


def stops(snapshot: Snapshot, job: PendingJob, *, own: bool) -> Iterator[Candidate]:
    """The cheapest of the running jobs that hold enough of what it lacks: its user's own in its project, or others'."""
    kind = ChangeKind.STOP_OWN if own else ChangeKind.STOP_OTHER
    mine = [
        other
        for other in snapshot.running
        if ((other.user, other.project) == (job.user, job.project)) is own and other.leaves_us is None and other.seats
    ]
    enough = _Enough(snapshot, job)
    cheapest = sorted((other for other in mine if enough.if_gone(other)), key=lambda of: (cost_of(of, snapshot.now_us), of.id))
    left = ((other, without(snapshot, other)) for other in cheapest)
    fitting = ((other, cloud) for other, cloud in left if len(job.parts) == 1 or fits(Stock.of(cloud.nodes), job))
    for other, cloud in islice(fitting, STOPS_TRIED_MAX):
        yield Change(kind, other.id, before=None, after=None), cloud


class _Enough:
    """Whether each part of a job fits the ready nodes of a flavor by room alone, once another has left."""

    def __init__(self, snapshot: Snapshot, job: PendingJob) -> None:
        ready = [node for node in snapshot.nodes if node.state is NodeState.READY]
        self._free = {node.name: amount_free(node) for node in ready}
        self._parts = []
        for part in job.parts:
            asked, gpu = amount_asked(part.request), part.request.gpu
            fit = Counter(node.flavor for node in ready if suits(gpu, node.gpu) and covers(self._free[node.name], asked))
            flavors = {node.flavor for node in ready if suits(gpu, node.gpu)}
            self._parts.append((asked, part.replicas, {flavor: fit[flavor] for flavor in flavors}))

    def if_gone(self, other: RunningJob) -> bool:
        return all(self._fits(other, *part) for part in self._parts)

    def _fits(self, other: RunningJob, asked: Amount, replicas: int, fit: Mapping[FlavorName, int]) -> bool:
        gained: Counter[FlavorName] = Counter()
        for seat in other.seats:
            free = self._free.get(seat.node)
            gains = free is not None and not covers(free, asked) and covers(both(free, amount_of(seat)), asked)
            gained[seat.flavor] += gains
        return any(count + gained[flavor] >= replicas for flavor, count in fit.items())


def queue_releases(snapshot: Snapshot, job: PendingJob) -> Iterator[Candidate]:
    """Of the one queue on its path that is held; where two are, one alone does not help."""
    for view in path(snapshot, job.queue):
        if view.held:
            change = Change(ChangeKind.RELEASE_QUEUE, view.name, before=True, after=False)
            yield change, _with_queue(snapshot, replace(view, held=False))


def returns(snapshot: Snapshot, job: PendingJob, kind: ChangeKind) -> Iterator[Candidate]:
    """Nodes that are out of service and have room for a replica: of those that are alike, the first by name."""
    states = RESUMABLE if kind is ChangeKind.RESUME_NODE else BROKEN
    alike: dict[object, NodeView] = {}
    for node in sorted((node for node in snapshot.nodes if node.state in states), key=lambda node: node.name):
        free, parts = amount_free(node), job.parts
        if any(suits(part.request.gpu, node.gpu) and covers(free, amount_asked(part.request)) for part in parts):
            alike.setdefault((node.flavor, free), node)
    for node in list(alike.values())[:NODES_TRIED_MAX]:
        nodes = tuple(replace(of, state=NodeState.READY) if of is node else of for of in snapshot.nodes)
        yield Change(kind, node.name, node.state.value, NodeState.READY.value), replace(snapshot, nodes=nodes)


def limits(snapshot: Snapshot, job: PendingJob, wait: Wait) -> Iterator[Candidate]:
    """The bound that stands against it, as the wait's numbers say, raised by what lacks."""
    numbers = wait.numbers
    views = {view.name: view for view in snapshot.queues}
    view = views.get(QueueName(str(numbers.get("queue"))))
    if view is None or "bound" not in numbers:
        return
    bound, kind = Bound(str(numbers["bound"])), str(numbers["kind"])
    charged, held, most = numbers["charge"], numbers["held"], numbers["most"]
    assert isinstance(charged, dict) and isinstance(held, int) and isinstance(most, int), "so explain.py writes them"
    before = _bound(view, bound)[kind]
    over = held + charged[kind] - (before if bound is Bound.LEND else most)
    raised = _bound(view, bound) + Resources({kind: over})
    change = Change(ChangeKind.LIMIT, view.name, before, before + over, FIELDS[bound], kind)
    yield change, _with_queue(snapshot, replace(view, **{FIELDS[bound]: raised}))  # type: ignore[arg-type]


def _bound(view: QueueView, bound: Bound) -> Resources:
    amounts = getattr(view, FIELDS[bound])
    return amounts if isinstance(amounts, Resources) else Resources()


def _with_queue(snapshot: Snapshot, changed: QueueView) -> Snapshot:
    return replace(snapshot, queues=tuple(changed if view.name == changed.name else view for view in snapshot.queues))


def cloud_candidates(snapshot: Snapshot, job: PendingJob, wait: Wait) -> Iterator[tuple[ChangeKind, Iterable[Candidate]]]:
    """From cheap to dear; while its queue is held, only a release helps, and nothing while it may not start by itself."""
    if not job.may_start(snapshot.now_us):
        return
    if any(view.held for view in path(snapshot, job.queue)):
        yield ChangeKind.RELEASE_QUEUE, queue_releases(snapshot, job)
        return
    yield ChangeKind.STOP_OWN, stops(snapshot, job, own=True)
    yield ChangeKind.RESUME_NODE, returns(snapshot, job, ChangeKind.RESUME_NODE)
    yield ChangeKind.LIMIT, limits(snapshot, job, wait)
    yield ChangeKind.STOP_OTHER, stops(snapshot, job, own=False)
    yield ChangeKind.REPAIR_NODE, returns(snapshot, job, ChangeKind.REPAIR_NODE)
