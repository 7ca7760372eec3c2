"""Who starts now, where, who has to stop for it, and who waits for what."""

from collections.abc import Sequence

from xingliu.scheduling.claims import claim_room, honour_claims
from xingliu.scheduling.cycle import Cycle, Waiting, place
from xingliu.scheduling.explain import explain
from xingliu.scheduling.layouts import Layout, Nodes
from xingliu.scheduling.model import PendingJob, Place, Plan, Snapshot
from xingliu.scheduling.orders import DEFAULT, Policy
from xingliu.scheduling.reserving import reserve


def decide(snapshot: Snapshot, policy: Policy = DEFAULT) -> Plan:
    """Decide every pending job: by default the queue's first that held least of its weight's worth lately; in it by priority,
    and then by its order: the user's first who held least.

    Who has a claim to room that others are stopped for goes first of all; who would have to borrow, last. A job that does not
    fit may have others stopped, if that gives it room; else it is passed over, where its queue's order lets it be: one behind
    it may start in room it cannot use now, unless it has waited so long that what frees up is kept for it. Each part of a
    gang takes the nodes with the least to spare, all of one flavor; one without GPUs avoids nodes that have some. The order
    of `snapshot.nodes`, `queues` and `pending` does not change the plan; decisions come in the order of the line.
    """
    cycle = Cycle(snapshot, policy)
    decisions = honour_claims(cycle)
    promised = frozenset(decisions)
    for job in cycle.turns():
        if job.id not in promised:
            decisions[job.id] = _decide_one(cycle, job)
        elif isinstance(decisions[job.id], Waiting) and cycle.order_of(job.queue).blocks:
            cycle.heads.setdefault(job.queue, job.id)
    return Plan(snapshot.version, snapshot.cycle, tuple(explain(cycle, decisions.values())), tuple(cycle.evicted))


def _decide_one(cycle: Cycle, job: PendingJob) -> Place | Waiting:
    if not job.may_start(cycle.snapshot.now_us) or cycle.quotas.held(job.queue):
        return Waiting(job, ())
    if cycle.array_full(job):
        return Waiting(job, (), array_full=True)
    if job.queue in cycle.heads:
        return Waiting(job, (), behind=cycle.heads[job.queue])
    if job.queue in cycle.put_off:
        cycle.borrowers.append(job)
        return Waiting(job, ())
    return _seat(cycle, job)


def _seat(cycle: Cycle, job: PendingJob) -> Place | Waiting:
    """In what is free, else in what others are stopped for; or it waits."""
    shape = cycle.shape(job)
    admitted = tuple(layout for layout in shape.layouts if cycle.quotas.admits(job, layout.cost))
    own = cycle.own(job, admitted)
    if (found := _find_nodes(cycle, own)) is not None:
        return place(cycle, job, *found)
    leads = cycle.leads(job, shape)
    if len(own) < len(admitted):
        cycle.borrowers.append(job)
        if leads:
            cycle.put_off.add(job.queue)
        return Waiting(job, admitted)
    making = cycle.evictions.find(job, shape)
    if leads or (making is not None and cycle.order_of(job.queue).blocks):
        cycle.heads[job.queue] = job.id
    return reserve(cycle, job, admitted) if making is None else claim_room(cycle, job, making)


def _find_nodes(cycle: Cycle, layouts: Sequence[Layout]) -> tuple[Layout, Nodes] | None:
    """On the flavors whose tightest nodes have the lowest scores; then by name."""
    room, score = cycle.room, cycle.policy.score

    def scored(layout: Layout) -> tuple[object, ...]:
        tightest = (room.shelves[ask.flavor].tightest(ask.amount, 1)[0].free for ask in layout.asks)
        each = zip(layout.asks, tightest, strict=True)
        return [score(free, ask.amount, room.models[ask.flavor] is not None) for ask, free in each], layout.flavors

    fitting = [layout for layout in layouts if all(room.fits(*ask) for ask in layout.asks)]
    for layout in sorted(fitting, key=scored) if len(fitting) > 1 else fitting:
        if (nodes := cycle.nodes_for(layout)) is not None:
            return layout, nodes
    return None
