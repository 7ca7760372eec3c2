"""Why each job that got no seats waits: one reason, one sentence, and the numbers behind it.

Decided after all placing, on what is then left, so that jobs which ask for the same share the work. Room only shrinks
within a cycle: what did not fit at its turn does not fit then either.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from xingliu.kernel.ids import FlavorName, JobId, QueueName
from xingliu.kernel.units import show_milli
from xingliu.scheduling.cycle import Cycle, Waiting
from xingliu.scheduling.depending import explain_own_wait
from xingliu.scheduling.layouts import Ask, Layout, Shape, fit_together
from xingliu.scheduling.model import NodeView, Part, PendingJob, Place, StayPending
from xingliu.scheduling.quota import Block, Bound
from xingliu.scheduling.room import Amount, Shelf, Spot, amount_asked
from xingliu.scheduling.wording import amount, counted, listed, quota_amount
from xingliu.workloads.model import MAIN_ROLE, Claim, PendingReason, Wait

AHEAD_MAX = 20
NAMES_MAX = 3

Explanation = tuple[PendingReason, str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Shortage:
    """How it stands with room for a job in some layouts: `numbers` for all, `found` said in words."""

    fits_with_all_back: bool
    found: str
    out: str
    numbers: dict[str, object]


@dataclass(slots=True)
class Line:
    """The jobs that wait ahead, as the walk goes on: how many, and the first of them."""

    count: int = 0
    first: list[JobId] = field(default_factory=list)

    def add(self, job: JobId) -> None:
        self.count += 1
        if len(self.first) < AHEAD_MAX:
            self.first = [*self.first, job]

    @property
    def numbers(self) -> dict[str, object]:
        return {"ahead": self.first, "ahead_count": self.count}


def explain(cycle: Cycle, decisions: Iterable[Place | Waiting]) -> Iterator[Place | StayPending]:
    """Each decision in turn, with those who wait given their reason."""
    walk, borrowers = _Walk(cycle), {job.id for job in cycle.borrowers}
    for decision in decisions:
        if isinstance(decision, Place):
            yield decision
        else:
            reason, sentence, numbers = walk.explain(decision)
            wait = Wait(reason, sentence, numbers, cycle.snapshot.cycle)
            yield StayPending(decision.job.id, wait, decision.claim, decision.job.id in borrowers)


class _Walk:
    """Down the line once, remembering what jobs of the same shape have in common."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._line = Line()
        self._queue_lines: dict[QueueName, Line] = {}
        self._large: dict[Shape, tuple[Layout, ...]] = {}
        self._shortages: dict[tuple[Layout, ...], Shortage] = {}
        self._kept_nodes: dict[tuple[FlavorName, Amount, bool], int] = {}
        self._placed_above: dict[tuple[QueueName, int], list[tuple[PendingJob, Place]]] = {}
        self._took: dict[tuple[QueueName, int, FlavorName, Amount], tuple[int, int]] = {}

    def explain(self, waiting: Waiting) -> Explanation:
        job = waiting.job
        if waiting.claim is not None and waiting.claim.by_eviction:
            return _claimed(job, waiting.claim, waiting.leaving)
        large = self._large_enough(job)
        if not large:
            return self._too_large(job)
        if job.held or self._cycle.quotas.held(job.queue):
            return self._held(job)
        if not job.may_start(self._cycle.snapshot.now_us):
            return explain_own_wait(job)
        quotas = self._cycle.quotas
        possible = [layout for layout in large if quotas.block(job, layout.cost, empty=True) is None]
        if not possible:
            return self._above_quota(job, large[0])
        if waiting.array_full:
            return self._array_full(job)
        if waiting.behind is not None:
            sentence = f"It asks for {_request(job)}; nothing passes the first of its queue {job.queue}, which waits."
            return (
                PendingReason.RESERVED_FOR_OTHERS,
                sentence,
                {"asked": _asked(job), "ahead": [waiting.behind], "ahead_count": 1},
            )
        layouts = tuple(layout for layout in possible if layout in waiting.admitted)
        said = self._no_room(job, layouts, waiting.claim) if layouts else self._no_quota(job, possible[0])
        self._line.add(job.id)
        self._queue_lines.setdefault(job.queue, Line()).add(job.id)
        return said

    def _large_enough(self, job: PendingJob) -> tuple[Layout, ...]:
        """Where it could be if all nodes were there and empty."""
        shape = self._cycle.shape(job)
        if shape not in self._large:
            self._large[shape] = tuple(of for of in shape.layouts if fit_together(self._cycle.whole, of.asks))
        return self._large[shape]

    def _held(self, job: PendingJob) -> Explanation:
        queue = self._cycle.quotas.held(job.queue)
        who = "It" if job.held else f"Its queue {queue}"
        may_start = job.may_start(self._cycle.snapshot.now_us)
        numbers = {"job_held": job.held, "may_start": may_start, "queue": job.queue, "held_queue": queue}
        return PendingReason.HELD, f"{who} is held until it is released.", numbers

    def _array_full(self, job: PendingJob) -> Explanation:
        assert job.array is not None and job.array.max_parallel is not None, "without a bound it is never full"
        most, held = job.array.max_parallel, self._cycle.in_arrays[job.array.id]
        sentence = (
            f"{counted(held, 'element')} of its array {'holds' if held == 1 else 'hold'} nodes, and at most {most} may at once."
        )
        numbers = {"bound": "max_parallel of its array", "array": job.array.id, "most": most, "held": held}
        return PendingReason.WAITING_FOR_QUOTA, sentence, numbers

    def _too_large(self, job: PendingJob) -> Explanation:
        cycle = self._cycle
        whole = cycle.whole
        each = [(part, [whole[flavor] for flavor in cycle.flavors(part.request.gpu)]) for part in job.parts]
        alone = (
            (part, shelves)
            for part, shelves in each
            if not any(shelf.count(amount_asked(part.request), part.replicas) == part.replicas for shelf in shelves)
        )
        part, shelves = next(alone, (None, []))
        if part is None:
            rest = "this cloud has nodes for each of these, and not for all together, so its `roles` can never be met"
            sentence = f"It asks for {_request(job)}; {rest}."
            return PendingReason.INVALID_REQUEST, sentence, {"field": "roles", "asked": _asked(job)}
        asked = amount_asked(part.request)
        fitting = max((shelf.count(asked) for shelf in shelves), default=0)
        field = _too_much(asked, shelves)
        largest = _largest([shelf.largest() for shelf in shelves])
        if largest is None:
            rest = "no node of this cloud has that kind of GPU" if asked.gpus else "this cloud has no nodes"
            field = "resources.gpu" if asked.gpus else "nodes"
        elif fitting:
            field = "nodes"
            rest = f"this cloud has {counted(fitting, 'node')} of one flavor that large"
        else:
            rest = f"the largest node has {amount(largest.free, with_gpus=asked.gpus > 0)}"
        field = field if part.role == MAIN_ROLE else f"roles.{part.role}.{field}"
        sentence = f"It asks for {_request(job)}; {_for(job, part)}{rest}, so its `{field}` can never be met."
        numbers = {"field": field, "asked": _asked(job), "nodes_that_large": fitting, "largest": _spot_numbers(cycle, largest)}
        return PendingReason.INVALID_REQUEST, sentence, numbers

    def _above_quota(self, job: PendingJob, layout: Layout) -> Explanation:
        cost = layout.cost
        block = self._cycle.quotas.block(job, cost, empty=True)
        assert block is not None, "without a bound nothing is above it"
        sentence = f"It asks for {quota_amount(block.kind, cost[block.kind])}; {_never(block)}."
        return PendingReason.EXCEEDS_LIMIT, sentence, {"asked": _asked(job), "charge": dict(cost), **self._bounds(block)}

    def _no_quota(self, job: PendingJob, layout: Layout) -> Explanation:
        cost = layout.cost
        block = self._cycle.quotas.block(job, cost)
        assert block is not None, "without a bound nothing is above it"
        sentence = f"It asks for {quota_amount(block.kind, cost[block.kind])}; {_holds(block)}."
        numbers = {"asked": _asked(job), "charge": dict(cost), **self._bounds(block)}
        return PendingReason.WAITING_FOR_QUOTA, sentence, numbers | self._queue_lines.get(job.queue, Line()).numbers

    def _bounds(self, block: Block) -> dict[str, object]:
        quota = self._cycle.quotas.quota(block.queue)
        return {
            "queue": block.queue,
            "bound": block.bound.value,
            "kind": block.kind,
            "most": block.most,
            "held": block.held,
            "quota": None if quota is None else dict(quota),
            "in_use": dict(self._cycle.quotas.in_use(block.queue)),
        }

    def _no_room(self, job: PendingJob, layouts: tuple[Layout, ...], claim: Claim | None) -> Explanation:
        short = self._shortage(job, layouts)
        numbers = {"asked": _asked(job)} | short.numbers
        if claim is not None:
            sentence = f"It asks for {_request(job)}; {short.found}. What frees up on {_places(claim)} is kept for it."
            return PendingReason.WAITING_FOR_CAPACITY, sentence, numbers | _promised(claim) | self._line.numbers
        if short.fits_with_all_back:
            sentence = f"It asks for {_request(job)}; {short.found}, and {short.out}."
            return PendingReason.NODES_UNHEALTHY, sentence, numbers | self._line.numbers
        if any(self._kept(layout, promised=False) for layout in layouts):
            sentence = f"It asks for {_request(job)}; {short.found}, and what else is free is kept for jobs that go before it."
            return PendingReason.RESERVED_FOR_OTHERS, sentence, numbers | self._line.numbers
        if (above := self._behind(job, layouts)) is not None:
            took = f"{counted(above.count, 'job')} of higher priority took the room it would have started in"
            return PendingReason.BEHIND_HIGHER_PRIORITY, f"It asks for {_request(job)}; {took}.", numbers | above.numbers
        promised = any(self._kept(layout, promised=True) for layout in layouts)
        beside = ", and what else is free is kept for jobs that others make room for" if promised else ""
        sentence = f"It asks for {_request(job)}; {short.found}{beside}."
        return PendingReason.WAITING_FOR_CAPACITY, sentence, numbers | self._line.numbers

    def _kept(self, layout: Layout, *, promised: bool) -> bool:
        """Whether each part would fit but for what is kept for others, and not each does now.

        `promised`: also what is kept while others are stopped, which passes in seconds and is no reason of its own.
        """
        room = self._cycle.room
        lacks = room.keeps(promised=promised) and not all(room.fits(*ask) for ask in layout.asks)
        return lacks and all(self._unless_kept(ask, promised=promised) >= ask.replicas for ask in layout.asks)

    def _unless_kept(self, ask: Ask, *, promised: bool) -> int:
        """How many nodes one part would fit but for what is kept there."""
        flavor, asked, _ = ask
        if (flavor, asked, promised) not in self._kept_nodes:
            room = self._cycle.room
            kept = room.kept(flavor, asked, promised=promised)
            self._kept_nodes[flavor, asked, promised] = room.shelves[flavor].count(asked) + kept
        return self._kept_nodes[flavor, asked, promised]

    def _behind(self, job: PendingJob, layouts: tuple[Layout, ...]) -> Line | None:
        """The jobs of its queue and higher priority that were placed now, if it fitted before and beside them no longer does."""
        flavors = {flavor for layout in layouts for flavor in layout.flavors}
        higher = [of for of, place in self._higher(job) if not flavors.isdisjoint(seat.flavor for seat in place.seats)]
        fitting = [self._fitting(job, layout) for layout in layouts] if higher else []
        if not any(first for first, _ in fitting) or any(beside for _, beside in fitting):
            return None
        line = Line()
        for of in higher:
            line.add(of.id)
        return line

    def _higher(self, job: PendingJob) -> list[tuple[PendingJob, Place]]:
        """What was placed now of higher priority: of its queue, or of the cloud where all are in one line."""
        whole = not self._cycle.policy.order.by_shares
        key = (QueueName("") if whole else job.queue, job.priority)
        if key not in self._placed_above:
            placed = (pair for pair in self._cycle.placed if pair[0].priority > job.priority)
            self._placed_above[key] = [pair for pair in placed if whole or pair[0].queue == job.queue]
        return self._placed_above[key]

    def _fitting(self, job: PendingJob, layout: Layout) -> tuple[bool, bool]:
        """Whether it fitted at first, and beside the jobs of higher priority that were placed.

        Not known, so not said, where two of its parts are of one flavor: each may fit alone.
        """
        if len(set(layout.flavors)) < len(layout.asks):
            return False, all(self._nodes(job, ask)[1] >= ask.replicas for ask in layout.asks)
        nodes = [(ask.replicas, self._nodes(job, ask)) for ask in layout.asks]
        return all(first >= asked for asked, (first, _) in nodes), all(beside >= asked for asked, (_, beside) in nodes)

    def _nodes(self, job: PendingJob, ask: Ask) -> tuple[int, int]:
        """How many nodes one part fitted at first, and how many beside the jobs of higher priority that were placed."""
        flavor, asked, _ = ask
        key = (job.queue, job.priority, flavor, asked)
        if key not in self._took:
            room = self._cycle.room
            seats = (seat for _, place in self._higher(job) for seat in place.seats if seat.flavor == flavor)
            first = room.fitted_at_first(flavor, asked)
            self._took[key] = first, first - room.no_longer_fit(seats, asked)
        return self._took[key]

    def _shortage(self, job: PendingJob, layouts: tuple[Layout, ...]) -> Shortage:
        if layouts not in self._shortages:
            self._shortages[layouts] = _shortage(self._cycle, job, layouts)
        return self._shortages[layouts]


def _too_much(asked: Amount, whole: Sequence[Shelf]) -> str:
    """The key of a job file that asks for more than any node has; of all its resources, where only together they are too much."""
    alone = {
        "resources.gpu": Amount(asked.gpus, 0, 0),
        "resources.cpu": Amount(0, asked.cpu_milli, 0),
        "resources.memory": Amount(0, 0, asked.memory_bytes),
    }
    return next((key for key, part in alone.items() if not any(shelf.count(part, 1) for shelf in whole)), "resources")


def _shortage(cycle: Cycle, job: PendingJob, layouts: Sequence[Layout]) -> Shortage:
    """In words, of the first part that finds too few nodes; there may be enough for each and not for all together."""
    flavors = tuple(dict.fromkeys(flavor for layout in layouts for flavor in layout.flavors))
    out = [node for flavor in flavors for node in cycle.room.nodes.out_of_service[flavor]]
    enough_ready = any(fit_together(cycle.room.nodes.whole_ready, layout.asks) for layout in layouts)
    number = 0 if len(job.parts) == 1 else _lacking(cycle, layouts)
    if number is None:
        found, numbers = "each of these finds nodes that have it free, and not all together", dict[str, object]()
    else:
        found, numbers = _found(cycle, list(dict.fromkeys(layout.asks[number] for layout in layouts)))
        found = _for(job, job.parts[number]) + found
    numbers |= {
        "out_of_service": [{"node": node.name, "state": node.state.value} for node in out[:AHEAD_MAX]],
        "out_of_service_count": len(out),
    }
    back = any(cycle.fits_with_all_back(layout) for layout in layouts)
    return Shortage(back or not enough_ready, found, _out(out), numbers)


def _lacking(cycle: Cycle, layouts: Sequence[Layout]) -> int | None:
    """The first part that has too few nodes in every layout."""
    for number in range(len(layouts[0].asks)):
        if not any(fit_together(cycle.room.shelves, [layout.asks[number]]) for layout in layouts):
            return number
    return None


def _found(cycle: Cycle, asks: Sequence[Ask]) -> tuple[str, dict[str, object]]:
    """How it stands with room for one part, of each flavor it could have."""
    shelves, asked = cycle.room.shelves, asks[0].amount
    free = {ask.flavor: shelves[ask.flavor].count(asked) for ask in asks}
    best = max(free, key=lambda flavor: (free[flavor], flavor))
    names = [cycle.room.nodes[spot.node].name for spot in shelves[best].tightest(asked, NAMES_MAX)]
    largest = _largest([shelves[flavor].largest() for flavor in free])
    holders = sum(cycle.holders[flavor] for flavor in free)
    found = f"{counted(free[best], 'node')} {'has' if free[best] < 2 else 'have'} that free"
    if names:
        found += f" ({', '.join(sorted(names))}{', ...' if free[best] > len(names) else ''})"
    elif largest is not None:
        found += f" (the most is {amount(largest.free, with_gpus=asked.gpus > 0)} on {cycle.room.nodes[largest.node].name})"
    if holders:
        found += f", {counted(holders, 'job')} {'holds' if holders == 1 else 'hold'} the rest"
    numbers: dict[str, object] = {
        "nodes_that_fit": free[best],
        "largest_free": _spot_numbers(cycle, largest),
        "jobs_holding": holders,
    }
    return found, numbers


def _out(out: Sequence[NodeView]) -> str:
    """`n1 is down and n2 is draining`; empty without such nodes."""
    said = [f"{node.name} is {node.state.value}" for node in out[:NAMES_MAX]]
    more = len(out) - len(said)
    return listed([*said, f"{more} more out of service"] if more else said)


def _largest(spots: Sequence[Spot | None]) -> Spot | None:
    return max((spot for spot in spots if spot is not None), key=lambda spot: (spot.free, -spot.node), default=None)


def _spot_numbers(cycle: Cycle, spot: Spot | None) -> dict[str, object] | None:
    return None if spot is None else {"node": cycle.room.nodes[spot.node].name, **spot.free._asdict()}


def _claimed(job: PendingJob, claim: Claim, leaving: tuple[JobId, ...]) -> Explanation:
    who = f"{counted(len(leaving), 'job')} {'stops' if len(leaving) == 1 else 'stop'} to make room for it" if leaving else ""
    sentence = f"It asks for {_request(job)}; {who or 'room is kept for it'} on {_places(claim)}."
    numbers = {
        "asked": _asked(job),
        **_promised(claim),
        "leaving": list(leaving[:AHEAD_MAX]),
        "leaving_count": len(leaving),
    }
    return PendingReason.PREEMPTION_IN_PROGRESS, sentence, numbers


def _places(claim: Claim) -> str:
    return listed([*claim.nodes[:NAMES_MAX], *(["others"] if len(claim.nodes) > NAMES_MAX else [])])


def _promised(claim: Claim) -> dict[str, object]:
    return {"nodes": list(claim.nodes[:AHEAD_MAX]), "since_us": claim.since_us}


def _never(block: Block) -> str:
    most = show_milli(block.most)
    if block.bound in (Bound.USER, Bound.PROJECT):
        return f"{block.bound.value.split()[0]} {block.holder} may never hold more than {most} in queue {block.queue}"
    return f"queue {block.queue} may never hold more than {most}"


def _holds(block: Block) -> str:
    held, most = show_milli(block.held), show_milli(block.most)
    if block.bound in (Bound.USER, Bound.PROJECT):
        who = f"{block.bound.value.split()[0]} {block.holder}"
        return f"{who} holds {held} of the {most} that one {block.bound.value.split()[0]} may hold in queue {block.queue}"
    of = {
        Bound.QUOTA: f"the {most} in its quota",
        Bound.BORROW: f"the {most} in its quota and borrow limit",
        Bound.LEND: f"the {most} it may while others keep what they do not lend",
    }[block.bound]
    return f"queue {block.queue} holds {held} of {of}"


def _request(job: PendingJob) -> str:
    return listed([_request_of(job, part) for part in job.parts])


def _request_of(job: PendingJob, part: Part) -> str:
    gpu = part.request.gpu
    each = amount(amount_asked(part.request), gpu.model if gpu else None, with_gpus=gpu is not None)
    if part.replicas > 1:
        return f"{each} on each of {part.replicas} nodes"
    return each if len(job.parts) == 1 else f"{each} on a node"


def _for(job: PendingJob, part: Part) -> str:
    """Which of several parts the rest of a sentence is about."""
    return "" if len(job.parts) == 1 else f"for {part.role}, "


def _asked(job: PendingJob) -> dict[str, object]:
    """What it asks, by role where there are several."""
    if len(job.parts) == 1:
        return _asked_by(job.parts[0])
    return {part.role: _asked_by(part) for part in job.parts}


def _asked_by(part: Part) -> dict[str, object]:
    gpu = part.request.gpu
    return {"nodes": part.replicas, **amount_asked(part.request)._asdict(), "gpu_model": gpu.model if gpu else None}
