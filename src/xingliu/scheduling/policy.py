"""Who starts now, where, who has to stop for it, and who waits for what."""

from xingliu.kernel.ids import JobId
from xingliu.scheduling.claims import claim_room, honour_claims
from xingliu.scheduling.cycle import Cycle, Waiting, place
from xingliu.scheduling.explain import explain
from xingliu.scheduling.layouts import Layout, Nodes
from xingliu.scheduling.model import PendingJob, Place, Plan, Snapshot
from xingliu.scheduling.orders import DEFAULT, Policy


def decide(snapshot: Snapshot, policy: Policy = DEFAULT) -> Plan:
    """Decide every pending job: higher priority first, then as the policy orders them: by default who was submitted earlier.

    Who has a claim to room goes first of all. A job that does not fit may have others stopped, if that gives it room;
    else it is passed over: one behind it may start in room it cannot use now (backfill without reservation). Each part of
    a gang takes the nodes with the least to spare, all of one flavor; one without GPUs avoids nodes that have some. The
    order of `snapshot.nodes`, `queues` and `pending` does not change the plan; decisions come in the order in which jobs
    were decided.
    """
    cycle = Cycle(snapshot, policy)
    decisions = honour_claims(cycle)
    decided = {_job_of(decision) for decision in decisions}
    decisions += [_decide_one(cycle, job) for job in cycle.line if job.id not in decided]
    return Plan(snapshot.version, snapshot.cycle, tuple(explain(cycle, decisions)), tuple(cycle.evicted))


def _job_of(decision: Place | Waiting) -> JobId:
    return decision.job.id if isinstance(decision, Waiting) else decision.job


def _decide_one(cycle: Cycle, job: PendingJob) -> Place | Waiting:
    cycle.enter(job.priority)
    if job.held or cycle.quotas.held(job.queue):
        return Waiting(job, ())
    if job.queue in cycle.heads:
        return Waiting(job, (), behind=cycle.heads[job.queue])
    layouts = cycle.layouts(job.parts)
    admitted = tuple(layout for layout in layouts if cycle.quotas.admits(job, layout.cost))
    if (found := _find_nodes(cycle, admitted)) is not None:
        return place(cycle, job, *found)
    if cycle.policy.order.blocks and cycle.could_start(job, layouts):
        cycle.heads[job.queue] = job.id
    making = cycle.evictions.find(job, layouts)
    return Waiting(job, admitted) if making is None else claim_room(cycle, job, making)


def _find_nodes(cycle: Cycle, admitted: tuple[Layout, ...]) -> tuple[Layout, Nodes] | None:
    """On the flavors whose tightest nodes have the lowest scores; then by name."""
    room, score = cycle.room, cycle.policy.score

    def scored(layout: Layout) -> tuple[object, ...]:
        tightest = (room.shelves[ask.flavor].tightest(ask.amount, 1)[0].free for ask in layout.asks)
        scores = [
            score(free, ask.amount, room.models[ask.flavor] is not None) for ask, free in zip(layout.asks, tightest, strict=True)
        ]
        return scores, layout.flavors

    fitting = [layout for layout in admitted if room.fits_each(layout.asks)]
    for layout in sorted(fitting, key=scored) if len(fitting) > 1 else fitting:
        if (nodes := cycle.nodes_for(layout)) is not None:
            return layout, nodes
    return None
