"""Who starts now, where, who has to stop for it, and who waits for what."""

from xingliu.kernel.ids import FlavorName
from xingliu.scheduling.claims import claim_room, honour_claims
from xingliu.scheduling.cycle import Cycle, Waiting, place
from xingliu.scheduling.explain import explain
from xingliu.scheduling.model import PendingJob, Place, Plan, Snapshot
from xingliu.scheduling.orders import DEFAULT, Policy
from xingliu.scheduling.reserving import reserve
from xingliu.scheduling.room import Amount, amount_asked


def decide(snapshot: Snapshot, policy: Policy = DEFAULT) -> Plan:
    """Decide every pending job: by default the queue's first that held least of its weight's worth lately; in it by priority,
    and then by its order: the user's first who held least.

    Who has a claim to room that others are stopped for goes first of all; who would have to borrow, last. A job that does not
    fit may have others stopped, if that gives it room; else it is passed over, where its queue's order lets it be: one behind
    it may start in room it cannot use now, unless it has waited so long that what frees up is kept for it. A gang takes the
    nodes with the least to spare, all of one flavor; a job without GPUs avoids nodes that have some. The order of
    `snapshot.nodes`, `queues` and `pending` does not change the plan; decisions come in the order of the line.
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
    if job.held or cycle.quotas.held(job.queue):
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
    asked = amount_asked(job.request)
    costs = [(flavor, cycle.cost(flavor, asked, job.replicas)) for flavor in cycle.flavors(job.request.gpu)]
    admitted = tuple(flavor for flavor, cost in costs if cycle.quotas.admits(job, cost))
    own = cycle.own(job, [(flavor, cost) for flavor, cost in costs if flavor in admitted])
    fitting = [flavor for flavor in own if cycle.room.fits(flavor, asked, job.replicas)]
    if fitting:
        flavor = _best_flavor(cycle, asked, fitting)
        return place(cycle, job, flavor, cycle.room.take(flavor, asked, job.replicas))
    leads = cycle.order_of(job.queue).blocks and cycle.could_start(job, costs)
    if len(own) < len(admitted):
        cycle.borrowers.append(job)
        if leads:
            cycle.put_off.add(job.queue)
        return Waiting(job, admitted)
    if leads:
        cycle.heads[job.queue] = job.id
    making = cycle.evictions.find(job, costs)
    return reserve(cycle, job, admitted) if making is None else claim_room(cycle, job, making)


def _best_flavor(cycle: Cycle, asked: Amount, fitting: list[FlavorName]) -> FlavorName:
    """The one whose tightest node has the lowest score; then by name."""
    if len(fitting) == 1:
        return fitting[0]
    room, score = cycle.room, cycle.policy.score

    def scored(flavor: FlavorName) -> tuple[object, ...]:
        free = room.shelves[flavor].tightest(asked, 1)[0].free
        return *score(free, asked, room.models[flavor] is not None), flavor

    return min(fitting, key=scored)
