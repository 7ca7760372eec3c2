"""Who starts now, where, and who waits for what."""

from xingliu.kernel.ids import FlavorName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.cycle import Cycle
from xingliu.scheduling.explain import Waiting, explain
from xingliu.scheduling.model import PendingJob, Place, Plan, Seat, Snapshot
from xingliu.scheduling.quota import charge
from xingliu.scheduling.room import Amount, amount_asked


def decide(snapshot: Snapshot) -> Plan:
    """Decide every pending job: higher priority first, then who was submitted earlier, then by id.

    A job that does not fit is passed over: one behind it may start in room that it cannot use now (backfill without
    reservation). A gang takes the nodes with the least to spare, all of one flavor; a job without GPUs avoids nodes
    that have some. The order of `snapshot.nodes`, `queues` and `pending` does not change the plan; decisions come in
    the order in which jobs were decided.
    """
    cycle = Cycle(snapshot)
    decisions: list[Place | Waiting] = [_decide_one(cycle, job) for job in cycle.line]
    return Plan(snapshot.version, snapshot.cycle, tuple(explain(cycle, decisions)))


def _decide_one(cycle: Cycle, job: PendingJob) -> Place | Waiting:
    cycle.enter(job.priority)
    if job.held or cycle.quotas.held(job.queue):
        return Waiting(job, ())
    asked = amount_asked(job.request)
    admitted = tuple(
        flavor for flavor in cycle.flavors(job.request.gpu) if cycle.quotas.admits(job, cycle.cost(flavor, asked, job.replicas))
    )
    fitting = [flavor for flavor in admitted if cycle.room.fits(flavor, asked, job.replicas)]
    if not fitting:
        return Waiting(job, admitted)
    return _place(cycle, job, asked, _best_flavor(cycle, asked, fitting))


def _best_flavor(cycle: Cycle, asked: Amount, fitting: list[FlavorName]) -> FlavorName:
    """Without GPUs, one that has none; then the one whose tightest node has the least to spare; then by name."""
    if len(fitting) == 1:
        return fitting[0]

    def spare(flavor: FlavorName) -> tuple[bool, list[int], FlavorName]:
        free = cycle.room.shelves[flavor].tightest(asked, 1)[0].free
        left = [have - want for have, want in zip(free, asked, strict=True)]
        return not asked.gpus and cycle.room.models[flavor] is not None, left, flavor

    return min(fitting, key=spare)


def _place(cycle: Cycle, job: PendingJob, asked: Amount, flavor: FlavorName) -> Place:
    resources = Resources({CPU: asked.cpu_milli, MEMORY: asked.memory_bytes, gpu_of(flavor): asked.gpus * MILLI})
    cost = charge(flavor, asked)
    taken = cycle.room.take(flavor, asked, job.replicas)
    cycle.quotas.take(job, cycle.cost(flavor, asked, job.replicas))
    cycle.placed.append((job, flavor))
    seats = (Seat(rank, node.name, node.pool, flavor, resources, cost, gpus) for rank, (node, gpus) in enumerate(taken))
    return Place(job.id, tuple(seats), job.generation)
