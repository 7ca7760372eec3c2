"""Room that is kept for a job on nodes of its own, while others let go of it."""

from xingliu.kernel.resources import CPU, MEMORY
from xingliu.scheduling.cycle import Cycle, Waiting, cost_of, place
from xingliu.scheduling.eviction import Making
from xingliu.scheduling.layouts import Ask, Layout, Nodes
from xingliu.scheduling.model import Evict, PendingJob, Place, RunningJob
from xingliu.scheduling.room import NOTHING, Amount, covers, more
from xingliu.workloads.model import Claim


def honour_claims(cycle: Cycle) -> list[Place | Waiting]:
    """Before anyone else: who was promised room starts if all of it is free, or it is kept for them.

    A promise that cannot be kept is forgotten, and its job decided like any other: a node that is no longer ready, a quota
    that was lowered, a job or queue that is held.
    """
    claimed = [job for job in cycle.snapshot.pending if job.claim is not None]
    decided = []
    for job in sorted(claimed, key=lambda job: (job.claim.since_us if job.claim else 0, job.id)):
        decision = _honour(cycle, job, job.claim) if job.claim is not None else None
        if decision is not None:
            decided.append(decision)
    return decided


def _honour(cycle: Cycle, job: PendingJob, claim: Claim) -> Place | Waiting | None:
    room, quotas = cycle.room, cycle.quotas
    promised = None if job.held or quotas.held(job.queue) else _promised(cycle, job, claim)
    if promised is None:
        return None
    (layout, nodes), leaving = promised, cycle.leaving.get(job.id, [])
    if quotas.block_without(job, layout.cost, leaving, promised=True) is not None:
        return None
    asked = _asked_of_each(layout, nodes)
    there = all(covers(room.left(number), amount) for number, amount in asked.items())
    if there and quotas.block(job, layout.cost, promised=True) is None:
        return place(cycle, job, layout, nodes)
    if not all(covers(_once_gone(cycle, number), amount) for number, amount in asked.items()):
        return None
    _keep(cycle, job, layout, nodes, leaving)
    return Waiting(job, (), claim, tuple(gone.id for gone in leaving))


def _promised(cycle: Cycle, job: PendingJob, claim: Claim) -> tuple[Layout, Nodes] | None:
    """The claim's nodes for each part; None where one is not ready, or is not what the job may have."""
    room = cycle.room
    numbers = [number for name in claim.nodes if (number := room.ready_number(name)) is not None]
    if len(numbers) != sum(part.replicas for part in job.parts):
        return None
    asks: list[Ask] = []
    nodes: Nodes = []
    for part in job.parts:
        first = sum(map(len, nodes))
        nodes.append(numbers[first : first + part.replicas])
        flavors = {room.nodes[number].flavor for number in nodes[-1]}
        asks += [ask for ask in cycle.choices(part) if {ask.flavor} == flavors]
    return (Layout(tuple(asks), cost_of(asks)), nodes) if len(asks) == len(job.parts) else None


def _asked_of_each(layout: Layout, nodes: Nodes) -> dict[int, Amount]:
    """What all parts together ask of each node."""
    asked: dict[int, Amount] = {}
    for ask, numbers in zip(layout.asks, nodes, strict=True):
        for number in numbers:
            asked[number] = more(asked.get(number, NOTHING), ask.amount)
    return asked


def claim_room(cycle: Cycle, job: PendingJob, making: Making) -> Waiting:
    """Have the victims stopped, and keep for the job what they let go of."""
    victims = [victim.job for victim in making.victims]
    names = tuple(cycle.room.nodes[number].name for numbers in making.nodes for number in numbers)
    claim = Claim(names, cycle.snapshot.now_us)
    cycle.evicted += [Evict(victim.job.id, victim.why, job.id, victim.job.generation) for victim in making.victims]
    for gone in victims:
        cycle.quotas.leave(gone)
    _keep(cycle, job, making.layout, making.nodes, victims)
    return Waiting(job, (), claim, tuple(gone.id for gone in victims))


def _keep(cycle: Cycle, job: PendingJob, layout: Layout, nodes: Nodes, leaving: list[RunningJob]) -> None:
    for ask, numbers in zip(layout.asks, nodes, strict=True):
        for number in numbers:
            cycle.room.keep(ask.flavor, ask.amount, number)
    cycle.quotas.keep(job, layout.cost, leaving)


def _once_gone(cycle: Cycle, number: int) -> Amount:
    """What will be free on the node when all have left that are stopping, for whomever: they may let go in any order."""
    gpus, cores, memory = cycle.room.left(number)
    name = cycle.room.nodes[number].name
    leaving = (job for job in cycle.snapshot.running if job.leaves_us is not None)
    for seat in (seat for gone in leaving for seat in gone.seats if seat.node == name):
        gpus, cores, memory = gpus + len(seat.gpus), cores + seat.resources[CPU], memory + seat.resources[MEMORY]
    return Amount(gpus, cores, memory)
