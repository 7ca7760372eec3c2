"""Who starts now, where, who has to stop for it, and who waits for what."""

from xingliu.kernel.ids import FlavorName, JobId
from xingliu.scheduling.claims import claim_room, honour_claims
from xingliu.scheduling.cycle import Cycle, Waiting, place
from xingliu.scheduling.explain import explain
from xingliu.scheduling.model import PendingJob, Place, Plan, Snapshot
from xingliu.scheduling.orders import DEFAULT, Policy
from xingliu.scheduling.room import Amount, amount_asked


def decide(snapshot: Snapshot, policy: Policy = DEFAULT) -> Plan:
    """Decide every pending job: higher priority first, then as the policy orders them: by default who was submitted earlier.

    Who has a claim to room goes first of all. A job that does not fit may have others stopped, if that gives it room;
    else it is passed over: one behind it may start in room it cannot use now (backfill without reservation). A gang
    takes the nodes with the least to spare, all of one flavor; a job without GPUs avoids nodes that have some. The order
    of `snapshot.nodes`, `queues` and `pending` does not change the plan; decisions come in the order in which jobs were
    decided.
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
    if not job.may_start(cycle.snapshot.now_us) or cycle.quotas.held(job.queue):
        return Waiting(job, ())
    if cycle.array_full(job):
        return Waiting(job, (), array_full=True)
    if job.queue in cycle.heads:
        return Waiting(job, (), behind=cycle.heads[job.queue])
    asked = amount_asked(job.request)
    costs = [(flavor, cycle.cost(flavor, asked, job.replicas)) for flavor in cycle.flavors(job.request.gpu)]
    admitted = tuple(flavor for flavor, cost in costs if cycle.quotas.admits(job, cost))
    fitting = [flavor for flavor in admitted if cycle.room.fits(flavor, asked, job.replicas)]
    if fitting:
        flavor = _best_flavor(cycle, asked, fitting)
        return place(cycle, job, flavor, cycle.room.take(flavor, asked, job.replicas))
    if cycle.policy.order.blocks and cycle.could_start(job, costs):
        cycle.heads[job.queue] = job.id
    making = cycle.evictions.find(job, costs)
    return Waiting(job, admitted) if making is None else claim_room(cycle, job, making)


def _best_flavor(cycle: Cycle, asked: Amount, fitting: list[FlavorName]) -> FlavorName:
    """The one whose tightest node has the lowest score; then by name."""
    if len(fitting) == 1:
        return fitting[0]
    room, score = cycle.room, cycle.policy.score

    def scored(flavor: FlavorName) -> tuple[object, ...]:
        free = room.shelves[flavor].tightest(asked, 1)[0].free
        return *score(free, asked, room.models[flavor] is not None), flavor

    return min(fitting, key=scored)
