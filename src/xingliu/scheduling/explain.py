"""Why each job that got no seats waits: one reason, one sentence, and the numbers behind it.

Decided after all placing, on what is then left, so that jobs which ask for the same share the work. Room only shrinks
within a cycle: what did not fit at its turn does not fit then either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xingliu.kernel.ids import FlavorName, JobId, QueueName
from xingliu.kernel.units import show_milli
from xingliu.scheduling.cycle import Cycle, Waiting
from xingliu.scheduling.layouts import Layout, fit_together
from xingliu.scheduling.model import NodeView, Part, PendingJob, Place, StayPending
from xingliu.scheduling.quota import Block, Bound
from xingliu.scheduling.room import Amount, Spot, amount_asked
from xingliu.scheduling.wording import amount, counted, listed, quota_amount
from xingliu.workloads.model import Claim, PendingReason, Wait

AHEAD_MAX = 20
NAMES_MAX = 3

Explanation = tuple[PendingReason, str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Shortage:
    """How it stands with room for one request on some flavors: `numbers` for all, `found` said in words."""

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


def explain(cycle: Cycle, decisions: Sequence[Place | Waiting]) -> Iterator[Place | StayPending]:
    """Each decision in turn, with those who wait given their reason."""
    walk = _Walk(cycle)
    for decision in decisions:
        if isinstance(decision, Place):
            yield decision
        else:
            reason, sentence, numbers = walk.explain(decision)
            yield StayPending(decision.job.id, Wait(reason, sentence, numbers, cycle.snapshot.cycle), decision.claim)


class _Walk:
    """Down the line once, remembering what jobs of the same shape have in common."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._line = Line()
        self._queue_lines: dict[QueueName, Line] = {}
        self._large: dict[tuple[Part, ...], tuple[Layout, ...]] = {}
        self._shortages: dict[tuple[Amount, int, tuple[FlavorName, ...]], Shortage] = {}
        self._kept_nodes: dict[tuple[FlavorName, Amount], int] = {}
        self._placed_above: dict[tuple[int, tuple[FlavorName, ...]], Line] = {}

    def explain(self, waiting: Waiting) -> Explanation:
        job = waiting.job
        if waiting.claim is not None:
            return _claimed(job, waiting.claim, waiting.leaving)
        if job.held or self._cycle.quotas.held(job.queue):
            return self._held(job)
        large = self._large_enough(job)
        if large and waiting.behind is not None:
            sentence = f"It asks for {_request(job)}; its queue {job.queue} goes strictly by turn, and a job before it waits."
            return (
                PendingReason.RESERVED_FOR_OTHERS,
                sentence,
                {"asked": _asked(job), "ahead": [waiting.behind], "ahead_count": 1},
            )
        if not large:
            return self._too_large(job)
        quotas = self._cycle.quotas
        possible = [layout for layout in large if quotas.block(job, layout.cost, empty=True) is None]
        if not possible:
            return self._above_quota(job, large[0])
        layouts = tuple(layout for layout in possible if layout in waiting.admitted)
        said = self._no_room(job, layouts) if layouts else self._no_quota(job, possible[0])
        self._line.add(job.id)
        self._queue_lines.setdefault(job.queue, Line()).add(job.id)
        return said

    def _large_enough(self, job: PendingJob) -> tuple[Layout, ...]:
        """Where it could be if all nodes were there and empty."""
        found = self._large.get(job.parts)
        if found is None:
            layouts = self._cycle.layouts(job.parts)
            found = self._large[job.parts] = tuple(of for of in layouts if fit_together(self._cycle.whole, of.asks))
        return found

    def _held(self, job: PendingJob) -> Explanation:
        who = "It" if job.held else f"Its queue {self._cycle.quotas.held(job.queue)}"
        return PendingReason.HELD, f"{who} is held until it is released.", {"job_held": job.held, "queue": job.queue}

    def _too_large(self, job: PendingJob) -> Explanation:
        cycle = self._cycle
        alone = ([ask for ask in cycle.choices(part) if fit_together(cycle.whole, [ask])] for part in job.parts)
        part = next((part for part, choices in zip(job.parts, alone, strict=True) if not choices), None)
        if part is None:
            sentence = f"It asks for {_request(job)}; this cloud has nodes for each of these, and not for all together."
            return PendingReason.EXCEEDS_LIMIT, sentence, {"asked": _asked(job)}
        asked, flavors = amount_asked(part.request), cycle.flavors(part.request.gpu)
        fitting = max((cycle.whole[flavor].count(asked) for flavor in flavors), default=0)
        largest = _largest([cycle.whole[flavor].largest() for flavor in flavors])
        if largest is None:
            rest = "no node of this cloud has that kind of GPU" if asked.gpus else "this cloud has no nodes"
        elif fitting:
            rest = f"this cloud has {counted(fitting, 'node')} of one flavor that large"
        else:
            rest = f"the largest node has {amount(largest.free, with_gpus=asked.gpus > 0)}"
        numbers = {"asked": _asked(job), "nodes_that_large": fitting, "largest": _spot_numbers(cycle, largest)}
        return PendingReason.EXCEEDS_LIMIT, f"It asks for {_request(job)}; {_for(job, part)}{rest}.", numbers

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

    def _no_room(self, job: PendingJob, layouts: tuple[Layout, ...]) -> Explanation:
        """Of the first part that finds no room of its own; there may be room for each and not for all together."""
        number = 0 if len(job.parts) == 1 else next(self._lacking(layouts), None)
        if number is None:
            return self._no_room_together(job, layouts)
        part, flavors = job.parts[number], tuple(dict.fromkeys(layout.asks[number].flavor for layout in layouts))
        short = self._shortage(part, flavors)
        numbers = {"asked": _asked(job)} | short.numbers
        asks, found = _request(job), f"{_for(job, part)}{short.found}"
        if short.fits_with_all_back:
            return PendingReason.NODES_UNHEALTHY, f"It asks for {asks}; {found}, and {short.out}.", numbers | self._line.numbers
        if any(self._kept(part, flavor) for flavor in flavors):
            sentence = f"It asks for {asks}; {found}, and what else is free is kept for jobs that go before it."
            return PendingReason.RESERVED_FOR_OTHERS, sentence, numbers | self._line.numbers
        if self._behind(job, layouts):
            above = self._placed_higher(job.priority, tuple(dict.fromkeys(each for of in layouts for each in of.flavors)))
            took = f"{counted(above.count, 'job')} of higher priority took the room it would have started in"
            return PendingReason.BEHIND_HIGHER_PRIORITY, f"It asks for {asks}; {took}.", numbers | above.numbers
        return PendingReason.WAITING_FOR_CAPACITY, f"It asks for {asks}; {found}.", numbers | self._line.numbers

    def _lacking(self, layouts: tuple[Layout, ...]) -> Iterator[int]:
        """The parts that have too few nodes in every layout."""
        shelves = self._cycle.room.shelves
        for number in range(len(layouts[0].asks)):
            if not any(fit_together(shelves, layout.asks[number : number + 1]) for layout in layouts):
                yield number

    def _no_room_together(self, job: PendingJob, layouts: tuple[Layout, ...]) -> Explanation:
        cycle = self._cycle
        sentence = f"It asks for {_request(job)}; each of these finds nodes that have it free, and not all together"
        numbers: dict[str, object] = {"asked": _asked(job)}
        out = [node for flavor in {each for of in layouts for each in of.flavors} for node in cycle.out_of_service[flavor]]
        if any(fit_together(cycle.whole_ready, layout.asks) for layout in layouts):
            return PendingReason.WAITING_FOR_CAPACITY, f"{sentence}.", numbers | self._line.numbers
        out.sort(key=lambda node: node.name)
        return PendingReason.NODES_UNHEALTHY, f"{sentence}; {_out(out)}.", numbers | self._line.numbers

    def _kept(self, part: Part, flavor: FlavorName) -> bool:
        """Whether it would fit but for what is kept for others."""
        asked, room = amount_asked(part.request), self._cycle.room
        if room.keeps and (flavor, asked) not in self._kept_nodes:
            self._kept_nodes[flavor, asked] = room.shelves[flavor].count(asked) + room.kept(flavor, asked)
        return room.keeps and self._kept_nodes[flavor, asked] >= part.replicas

    def _behind(self, job: PendingJob, layouts: tuple[Layout, ...]) -> bool:
        """It fitted when the cycle began, and no longer once the jobs of higher priority were placed.

        Where two of its parts are of one flavor, that is not known.
        """
        cycle = self._cycle

        def at_start(layout: Layout) -> bool:
            apart = len(layout.asks) == 1 or len(set(layout.flavors)) == len(layout.asks)
            return apart and all(cycle.fitted_at_start(ask.flavor, ask.amount) >= ask.replicas for ask in layout.asks)

        def at_turn(layout: Layout) -> bool:
            return all(cycle.fitted_at_turn(job.priority, ask.flavor, ask.amount) >= ask.replicas for ask in layout.asks)

        return any(map(at_start, layouts)) and not any(map(at_turn, layouts))

    def _placed_higher(self, priority: int, flavors: tuple[FlavorName, ...]) -> Line:
        key = (priority, flavors)
        if key not in self._placed_above:
            self._placed_above[key] = line = Line()
            for placed, held in self._cycle.placed:
                if placed.priority > priority and not set(held).isdisjoint(flavors):
                    line.add(placed.id)
        return self._placed_above[key]

    def _shortage(self, part: Part, flavors: tuple[FlavorName, ...]) -> Shortage:
        key = (amount_asked(part.request), part.replicas, flavors)
        if key not in self._shortages:
            self._shortages[key] = _shortage(self._cycle, *key)
        return self._shortages[key]


def _shortage(cycle: Cycle, asked: Amount, replicas: int, flavors: tuple[FlavorName, ...]) -> Shortage:
    shelves = cycle.room.shelves
    free = {flavor: shelves[flavor].count(asked) for flavor in flavors}
    best = max(flavors, key=lambda flavor: (free[flavor], flavor))
    names = [cycle.room.nodes[spot.node].name for spot in shelves[best].tightest(asked, NAMES_MAX)]
    largest = _largest([shelves[flavor].largest() for flavor in flavors])
    holders = sum(cycle.holders[flavor] for flavor in flavors)
    out = [node for flavor in flavors for node in cycle.out_of_service[flavor]]
    back = any(free[flavor] + cycle.free_elsewhere[flavor].count(asked) >= replicas for flavor in flavors)
    enough_ready = any(cycle.whole_ready[flavor].count(asked, replicas) == replicas for flavor in flavors)
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
        "out_of_service": [{"node": node.name, "state": node.state.value} for node in out[:AHEAD_MAX]],
        "out_of_service_count": len(out),
    }
    return Shortage(back or not enough_ready, found, _out(out), numbers)


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
    on = listed([*claim.nodes[:NAMES_MAX], *(["others"] if len(claim.nodes) > NAMES_MAX else [])])
    who = f"{counted(len(leaving), 'job')} {'stops' if len(leaving) == 1 else 'stop'} to make room for it" if leaving else ""
    sentence = f"It asks for {_request(job)}; {who or 'room is kept for it'} on {on}."
    numbers = {
        "asked": _asked(job),
        "nodes": list(claim.nodes[:AHEAD_MAX]),
        "since_us": claim.since_us,
        "leaving": list(leaving[:AHEAD_MAX]),
        "leaving_count": len(leaving),
    }
    return PendingReason.PREEMPTION_IN_PROGRESS, sentence, numbers


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
