"""Room that is kept for a job on nodes of its own, while others let go of it."""

from collections.abc import Sequence

from xingliu.kernel.ids import JobId, NodeName
from xingliu.scheduling.cycle import Cycle, Waiting, place
from xingliu.scheduling.eviction import Making
from xingliu.scheduling.layouts import Layout, Nodes, asked_of_each
from xingliu.scheduling.model import Evict, PendingJob, Place, RunningJob
from xingliu.scheduling.room import Amount, amount_of, both, covers
from xingliu.workloads.model import Claim


def honour_claims(cycle: Cycle) -> dict[JobId, Place | Waiting]:
    """Before anyone else: who was promised room that others are stopped for starts if all of it is free, or it is kept.

    A promise that cannot be kept is forgotten, and its job decided like any other: a node that is no longer ready, a quota
    that was lowered, a job or queue that is held.
    """
    claims = [(job.claim, job) for job in cycle.snapshot.pending if job.claim is not None and job.claim.by_eviction]
    decided = {}
    for claim, job in sorted(claims, key=lambda pair: (pair[0].since_us, pair[1].id)):
        decision = _honour(cycle, job, claim)
        if decision is not None:
            decided[job.id] = decision
    return decided


def _honour(cycle: Cycle, job: PendingJob, claim: Claim) -> Place | Waiting | None:
    room, quotas = cycle.room, cycle.quotas
    barred = not job.may_start(cycle.snapshot.now_us) or quotas.held(job.queue) or cycle.array_full(job)
    promised = None if barred else claimed(cycle, job, claim)
    if promised is None:
        return None
    (layout, nodes), leaving = promised, cycle.running.leaving_for.get(job.id, [])
    if quotas.block_without(job, layout.cost, leaving, promised=True) is not None:
        return None
    asked = asked_of_each(layout, nodes)
    free = all(covers(room.left(number), amount) for number, amount in asked.items())
    if free and quotas.block(job, layout.cost, promised=True) is None:
        return place(cycle, job, layout, nodes)
    if not all(covers(_once_gone(cycle, number), amount) for number, amount in asked.items()):
        return None
    keep(cycle, job, layout, nodes, leaving, promised=True)
    return Waiting(job, (), claim, tuple(gone.id for gone in leaving))


def claimed(cycle: Cycle, job: PendingJob, claim: Claim) -> tuple[Layout, Nodes] | None:
    """The claim's nodes for each part; None where one of them is not ready, or they are not what the job may have."""
    room = cycle.room
    numbers = [number for name in claim.nodes if (number := room.ready_number(name)) is not None]
    if len(numbers) != sum(part.replicas for part in job.parts):
        return None
    nodes: Nodes = []
    for part in job.parts:
        first = sum(map(len, nodes))
        nodes.append(numbers[first : first + part.replicas])
    layout = cycle.shape(job).layout_of([room.nodes[of_part[0]].flavor for of_part in nodes])
    if layout is None:
        return None
    each = zip(layout.flavors, nodes, strict=True)
    same = all(room.nodes[number].flavor == flavor for flavor, of_part in each for number in of_part)
    return (layout, nodes) if same else None


def claim_room(cycle: Cycle, job: PendingJob, making: Making) -> Waiting:
    """Have the victims stopped, and keep for the job what they let go of."""
    victims = [victim.job for victim in making.victims]
    claim = Claim(names_of(cycle, making.nodes), cycle.snapshot.now_us)
    cycle.evicted += [Evict(victim.job.id, victim.why, job.id, victim.job.generation) for victim in making.victims]
    for gone in victims:
        cycle.quotas.leave(gone)
    keep(cycle, job, making.layout, making.nodes, victims, promised=True)
    return Waiting(job, (), claim, tuple(gone.id for gone in victims))


def names_of(cycle: Cycle, nodes: Nodes) -> tuple[NodeName, ...]:
    """In the order of ranks."""
    return tuple(cycle.room.nodes[number].name for of_part in nodes for number in of_part)


def keep(
    cycle: Cycle, job: PendingJob, layout: Layout, nodes: Nodes, leaving: Sequence[RunningJob], *, promised: bool = False
) -> None:
    """What is free on those nodes, up to what it asks for, and its quota are nobody else's in this cycle.

    `promised`: only while others are stopped for it.
    """
    cycle.enter_array(job)
    for ask, numbers in zip(layout.asks, nodes, strict=True):
        for number in numbers:
            cycle.room.keep(ask.flavor, ask.amount, number, promised=promised)
    cycle.quotas.keep(job, layout.cost, leaving)


def _once_gone(cycle: Cycle, number: int) -> Amount:
    """What will be free on the node when all have left that are stopping, for whomever: they may let go in any order."""
    free = cycle.room.left(number)
    name = cycle.room.nodes[number].name
    for seat in (seat for gone in cycle.running.leaving for seat in gone.seats if seat.node == name):
        free = both(free, amount_of(seat))
    return free
