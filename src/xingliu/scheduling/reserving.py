"""Room that is kept, as it frees up, for a job that has waited long: at most one of each queue.

Not before its turn: whoever goes before it in the line may still take that room. So it delays only those behind it.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from xingliu.scheduling.claims import claimed, keep, names_of
from xingliu.scheduling.cycle import Cycle, Waiting
from xingliu.scheduling.layouts import Layout, Nodes, asked_of_each, fit_together, spread
from xingliu.scheduling.model import PendingJob
from xingliu.scheduling.room import NOTHING, Amount, amount_whole, both, covers
from xingliu.scheduling.running import LATEST_US
from xingliu.workloads.model import Claim

NEW_MAX = 4
LAYOUTS_MAX = 8

Found = tuple[list[int], int, Nodes]
Kept = tuple[Claim, Layout, Nodes]


def reserve(cycle: Cycle, job: PendingJob, admitted: Sequence[Layout]) -> Waiting:
    """It goes on waiting: with room kept for it, if it has waited so long, and nothing is kept for another of its queue.

    It keeps the nodes it has; at most NEW_MAX jobs a cycle are given some: those that are free soonest, by time limits.
    """
    after_us = cycle.snapshot.fair.reserve_after_us
    if after_us is None or not admitted or not cycle.policy.order.by_shares or job.queue in cycle.reserving:
        return Waiting(job, tuple(admitted))
    if cycle.snapshot.now_us - job.submitted_us < after_us:
        return Waiting(job, tuple(admitted))
    kept = _kept(cycle, job, admitted)
    if kept is None and cycle.reserved_now < NEW_MAX:
        kept = _choose(cycle, job, admitted)
        cycle.reserved_now += 1
    if kept is None:
        return Waiting(job, tuple(admitted))
    claim, layout, nodes = kept
    cycle.reserving[job.queue] = job.id
    keep(cycle, job, layout, nodes, ())
    return Waiting(job, tuple(admitted), claim)


def _kept(cycle: Cycle, job: PendingJob, admitted: Sequence[Layout]) -> Kept | None:
    """The nodes it has already, while they still could take it."""
    found = None if job.claim is None else claimed(cycle, job, job.claim)
    if job.claim is None or found is None or found[0] not in admitted:
        return None
    fit = all(covers(amount_whole(cycle.room.nodes[number]), asked) for number, asked in asked_of_each(*found).items())
    return (job.claim, *found) if fit else None


def _choose(cycle: Cycle, job: PendingJob, admitted: Sequence[Layout]) -> Kept | None:
    could = islice((layout for layout in admitted if fit_together(cycle.room.nodes.whole_ready, layout.asks)), LAYOUTS_MAX)
    found = [(*one, layout.flavors, layout) for layout in could if (one := _soonest(cycle, layout)) is not None]
    if not found:
        return None
    _, _, nodes, _, layout = min(found, key=lambda one: (one[0], one[1], one[3], one[2]))
    return Claim(names_of(cycle, nodes), cycle.snapshot.now_us, by_eviction=False), layout, nodes


def _soonest(cycle: Cycle, layout: Layout) -> Found | None:
    """The nodes in one layout that are free soonest: when they are, last first; how much less is free on them now; which.

    The largest part chooses first; where that leaves too few for another, nodes are taken on which all fit, soon or not.
    """
    ends = cycle.running.ends
    nodes = _each_soonest(cycle, layout) or spread(cycle.room.nodes.whole_ready, layout.asks)
    if nodes is None:
        return None
    left = {number: cycle.room.left(number) for of_part in nodes for number in of_part}
    asked, names = asked_of_each(layout, nodes), names_of(cycle, [list(left)])
    free_at_us = [_free_at_us(left[number], ends.get(name, ()), asked[number]) for number, name in zip(left, names, strict=True)]
    return sorted(free_at_us, reverse=True), -sum(amount.gpus for amount in left.values()), nodes


def _each_soonest(cycle: Cycle, layout: Layout) -> Nodes | None:
    room, ends = cycle.room, cycle.running.ends
    nodes: Nodes = [[] for _ in layout.asks]
    taken: dict[int, Amount] = {}
    for part in sorted(range(len(nodes)), key=lambda part: layout.asks[part].amount, reverse=True):
        flavor, amount, replicas = layout.asks[part]
        found = []
        for number, node in enumerate(room.nodes):
            asked = both(amount, taken[number]) if number in taken else amount
            if node.flavor == flavor and room.ready_number(node.name) is not None and covers(amount_whole(node), asked):
                left = room.left(number)
                found.append((_free_at_us(left, ends.get(node.name, ()), asked), -left.gpus, -left.cpu_milli, number))
        if len(found) < replicas:
            return None
        nodes[part] = sorted(number for *_, number in sorted(found)[:replicas])
        taken |= {number: both(amount, taken.get(number, NOTHING)) for number in nodes[part]}
    return nodes


def _free_at_us(left: Amount, ends: Iterable[tuple[int, Amount]], asked: Amount) -> int:
    """When it is covered if everything lets go of its room at the latest it may: 0 where it is already."""
    free, at_us = left, 0
    for end_us, amount in sorted(ends):
        if covers(free, asked):
            break
        free, at_us = both(free, amount), end_us
    return at_us if covers(free, asked) else LATEST_US
