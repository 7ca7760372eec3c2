"""Room that is kept, as it frees up, for a job that has waited long: at most one of each queue.

Not before its turn: whoever goes before it in the line may still take that room. So it delays only those behind it.
"""

from collections.abc import Iterable, Sequence

from xingliu.kernel.ids import FlavorName, NodeName
from xingliu.scheduling.claims import keep
from xingliu.scheduling.cycle import Cycle, Waiting
from xingliu.scheduling.model import PendingJob
from xingliu.scheduling.room import Amount, amount_asked, amount_of, amount_whole, both, covers
from xingliu.workloads.model import Claim

NEW_MAX = 4
LATEST_US = 1 << 62

Ends = dict[NodeName, list[tuple[int, Amount]]]
Found = tuple[list[int], int, FlavorName, list[int]]


def reserve(cycle: Cycle, job: PendingJob, admitted: Sequence[FlavorName]) -> Waiting:
    """It goes on waiting: with room kept for it, if it has waited so long, and nothing is kept for another of its queue.

    It keeps the nodes it has; at most NEW_MAX jobs a cycle are given some: those that are free soonest, by time limits.
    """
    after_us = cycle.snapshot.fair.reserve_after_us
    if after_us is None or not cycle.policy.order.by_shares or job.queue in cycle.reserving:
        return Waiting(job, tuple(admitted))
    if cycle.snapshot.now_us - job.submitted_us < after_us:
        return Waiting(job, tuple(admitted))
    kept = _kept(cycle, job, admitted)
    if kept is None and cycle.reserved_now < NEW_MAX:
        kept = _choose(cycle, job, admitted)
        cycle.reserved_now += 1
    if kept is None:
        return Waiting(job, tuple(admitted))
    claim, numbers = kept
    cycle.reserving[job.queue] = job.id
    keep(cycle, job, claim, numbers, ())
    return Waiting(job, tuple(admitted), claim)


def _kept(cycle: Cycle, job: PendingJob, admitted: Sequence[FlavorName]) -> tuple[Claim, list[int]] | None:
    """The nodes it has already, while they still could take it."""
    claim = job.claim
    if claim is None or claim.flavor not in admitted or len(claim.nodes) != job.replicas:
        return None
    numbers = [number for name in claim.nodes if (number := cycle.room.ready_number(name)) is not None]
    asked = amount_asked(job.request)
    fit = all(covers(amount_whole(cycle.room.nodes[number]), asked) for number in numbers)
    return (claim, numbers) if fit and len(numbers) == job.replicas else None


def _choose(cycle: Cycle, job: PendingJob, admitted: Sequence[FlavorName]) -> tuple[Claim, list[int]] | None:
    ends = _ends(cycle)
    found = [one for flavor in admitted if (one := _soonest(cycle, job, flavor, ends)) is not None]
    if not found:
        return None
    _, _, flavor, numbers = min(found)
    names = tuple(cycle.room.nodes[number].name for number in numbers)
    return Claim(flavor, names, cycle.snapshot.now_us, by_eviction=False), numbers


def _soonest(cycle: Cycle, job: PendingJob, flavor: FlavorName, ends: Ends) -> Found | None:
    """The nodes of a flavor that are free soonest: when they are, last first; how much less is free on them now; which."""
    asked, room = amount_asked(job.request), cycle.room
    found = []
    for number, node in enumerate(room.nodes):
        if node.flavor == flavor and room.ready_number(node.name) is not None and covers(amount_whole(node), asked):
            left = room.left(number)
            found.append((_free_at_us(left, ends.get(node.name, ()), asked), -left.gpus, -left.cpu_milli, number))
    if len(found) < job.replicas:
        return None
    best = sorted(found)[: job.replicas]
    return [one[0] for one in reversed(best)], sum(one[1] for one in best), flavor, sorted(one[3] for one in best)


def _free_at_us(left: Amount, ends: Iterable[tuple[int, Amount]], asked: Amount) -> int:
    """When it is covered if everything lets go of its room at the latest it may: 0 where it is already."""
    free, at_us = left, 0
    for end_us, amount in sorted(ends):
        if covers(free, asked):
            break
        free, at_us = both(free, amount), end_us
    return at_us if covers(free, asked) else LATEST_US


def _ends(cycle: Cycle) -> Ends:
    """When what is held on each node is let go of at the latest."""
    found: Ends = {}
    for job in cycle.snapshot.running:
        at_us = job.leaves_us if job.leaves_us is not None else job.ends_us
        for seat in job.seats:
            found.setdefault(seat.node, []).append((LATEST_US if at_us is None else at_us, amount_of(seat)))
    return found
