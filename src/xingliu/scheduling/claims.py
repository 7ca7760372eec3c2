"""Room that is kept for a job on nodes of its own, while others let go of it."""

from collections.abc import Sequence

from xingliu.kernel.ids import JobId
from xingliu.scheduling.cycle import Cycle, Waiting, place
from xingliu.scheduling.eviction import Making
from xingliu.scheduling.model import Evict, PendingJob, Place, RunningJob
from xingliu.scheduling.room import Amount, amount_asked, amount_of, both, covers
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
    room, quotas, asked = cycle.room, cycle.quotas, amount_asked(job.request)
    numbers = [number for name in claim.nodes if (number := room.ready_number(name)) is not None]
    there = len(numbers) == job.replicas and all(room.nodes[number].flavor == claim.flavor for number in numbers)
    if (
        job.held
        or quotas.held(job.queue)
        or cycle.array_full(job)
        or not there
        or claim.flavor not in cycle.flavors(job.request.gpu)
    ):
        return None
    cost, leaving = cycle.cost(claim.flavor, asked, job.replicas), cycle.leaving.get(job.id, [])
    if quotas.block_without(job, cost, leaving, promised=True) is not None:
        return None
    if all(covers(room.left(number), asked) for number in numbers) and quotas.block(job, cost, promised=True) is None:
        return place(cycle, job, claim.flavor, room.take_on(claim.flavor, asked, numbers))
    if not all(covers(_once_gone(cycle, number), asked) for number in numbers):
        return None
    keep(cycle, job, claim, numbers, leaving)
    return Waiting(job, (), claim, tuple(gone.id for gone in leaving))


def claim_room(cycle: Cycle, job: PendingJob, making: Making) -> Waiting:
    """Have the victims stopped, and keep for the job what they let go of."""
    victims = [victim.job for victim in making.victims]
    names = tuple(cycle.room.nodes[number].name for number in making.nodes)
    claim = Claim(making.flavor, names, cycle.snapshot.now_us)
    cycle.evicted += [Evict(victim.job.id, victim.why, job.id, victim.job.generation) for victim in making.victims]
    for gone in victims:
        cycle.quotas.leave(gone)
    keep(cycle, job, claim, making.nodes, victims)
    return Waiting(job, (), claim, tuple(gone.id for gone in victims))


def keep(cycle: Cycle, job: PendingJob, claim: Claim, numbers: Sequence[int], leaving: Sequence[RunningJob]) -> None:
    """What is free on those nodes, up to what it asks for, and its quota are nobody else's in this cycle."""
    asked = amount_asked(job.request)
    cycle.enter_array(job)
    for number in numbers:
        cycle.room.keep(claim.flavor, asked, number)
    cycle.quotas.keep(job, cycle.cost(claim.flavor, asked, job.replicas), leaving)


def _once_gone(cycle: Cycle, number: int) -> Amount:
    """What will be free on the node when all have left that are stopping, for whomever: they may let go in any order."""
    free = cycle.room.left(number)
    name = cycle.room.nodes[number].name
    leaving = (job for job in cycle.snapshot.running if job.leaves_us is not None)
    for seat in (seat for gone in leaving for seat in gone.seats if seat.node == name):
        free = both(free, amount_of(seat))
    return free
