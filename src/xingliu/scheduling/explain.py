"""Why each job that got no seats waits: one reason, one sentence, and the numbers behind it.

Decided after all placing, on what is then left, so that jobs which ask for the same share the work. Room only shrinks
within a cycle: what did not fit at its turn does not fit then either.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from xingliu.kernel.ids import FlavorName, JobId, QueueName
from xingliu.kernel.resources import Resources
from xingliu.kernel.units import show_milli
from xingliu.scheduling.cycle import Cycle, Waiting
from xingliu.scheduling.model import NodeView, PendingJob, Place, StayPending
from xingliu.scheduling.quota import Block, Bound
from xingliu.scheduling.room import Amount, Shelf, Spot, amount_asked
from xingliu.scheduling.wording import amount, counted, listed, quota_amount
from xingliu.workloads.model import Claim, GpuRequest, PendingReason, Wait

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


def explain(cycle: Cycle, decisions: Iterable[Place | Waiting]) -> Iterator[Place | StayPending]:
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
        self._large: dict[tuple[GpuRequest | None, Amount, int], tuple[FlavorName, ...]] = {}
        self._shortages: dict[tuple[GpuRequest | None, Amount, int, tuple[FlavorName, ...]], Shortage] = {}
        self._kept_nodes: dict[tuple[FlavorName, Amount], int] = {}
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
        quotas = self._cycle.quotas
        possible = [flavor for flavor in large if quotas.block(job, self._cost(job, flavor), empty=True) is None]
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
        flavors = tuple(flavor for flavor in possible if flavor in waiting.admitted)
        said = self._no_room(job, flavors, waiting.claim) if flavors else self._no_quota(job, possible[0])
        self._line.add(job.id)
        self._queue_lines.setdefault(job.queue, Line()).add(job.id)
        return said

    def _cost(self, job: PendingJob, flavor: FlavorName) -> Resources:
        return self._cycle.cost(flavor, amount_asked(job.request), job.replicas)

    def _large_enough(self, job: PendingJob) -> tuple[FlavorName, ...]:
        """Flavors with enough nodes that could hold it if all were there and empty."""
        key = (job.request.gpu, amount_asked(job.request), job.replicas)
        if key not in self._large:
            whole = self._cycle.whole
            self._large[key] = tuple(
                flavor for flavor in self._cycle.flavors(key[0]) if whole[flavor].count(key[1], key[2]) == key[2]
            )
        return self._large[key]

    def _held(self, job: PendingJob) -> Explanation:
        queue = self._cycle.quotas.held(job.queue)
        who = "It" if job.held else f"Its queue {queue}"
        numbers = {"job_held": job.held, "queue": job.queue, "held_queue": queue}
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
        cycle, asked = self._cycle, amount_asked(job.request)
        flavors = cycle.flavors(job.request.gpu)
        whole = [cycle.whole[flavor] for flavor in flavors]
        fitting = max((shelf.count(asked) for shelf in whole), default=0)
        largest = _largest([shelf.largest() for shelf in whole])
        field = _too_much(asked, whole)
        if largest is None:
            rest = "no node of this cloud has that kind of GPU" if asked.gpus else "this cloud has no nodes"
            field = "resources.gpu" if asked.gpus else "nodes"
        elif fitting:
            field = "nodes"
            rest = f"this cloud has {counted(fitting, 'node')} of one flavor that large"
        else:
            rest = f"the largest node has {amount(largest.free, with_gpus=asked.gpus > 0)}"
        sentence = f"It asks for {_request(job)}; {rest}, so its `{field}` can never be met."
        numbers = {"field": field, "asked": _asked(job), "nodes_that_large": fitting, "largest": _spot_numbers(cycle, largest)}
        return PendingReason.INVALID_REQUEST, sentence, numbers

    def _above_quota(self, job: PendingJob, flavor: FlavorName) -> Explanation:
        cost = self._cost(job, flavor)
        block = self._cycle.quotas.block(job, cost, empty=True)
        assert block is not None, "without a bound nothing is above it"
        sentence = f"It asks for {quota_amount(block.kind, cost[block.kind])}; {_never(block)}."
        return PendingReason.EXCEEDS_LIMIT, sentence, {"asked": _asked(job), "charge": dict(cost), **self._bounds(block)}

    def _no_quota(self, job: PendingJob, flavor: FlavorName) -> Explanation:
        cost = self._cost(job, flavor)
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

    def _no_room(self, job: PendingJob, flavors: tuple[FlavorName, ...], claim: Claim | None) -> Explanation:
        short = self._shortage(job, flavors)
        numbers = {"asked": _asked(job)} | short.numbers
        if claim is not None:
            sentence = f"It asks for {_request(job)}; {short.found}. What frees up on {_places(claim)} is kept for it."
            return PendingReason.WAITING_FOR_CAPACITY, sentence, numbers | _promised(claim) | self._line.numbers
        if short.fits_with_all_back:
            sentence = f"It asks for {_request(job)}; {short.found}, and {short.out}."
            return PendingReason.NODES_UNHEALTHY, sentence, numbers | self._line.numbers
        if any(self._kept(job, flavor) for flavor in flavors):
            sentence = f"It asks for {_request(job)}; {short.found}, and what else is free is kept for jobs that go before it."
            return PendingReason.RESERVED_FOR_OTHERS, sentence, numbers | self._line.numbers
        if (above := self._behind(job, flavors)) is not None:
            took = f"{counted(above.count, 'job')} of higher priority took the room it would have started in"
            return PendingReason.BEHIND_HIGHER_PRIORITY, f"It asks for {_request(job)}; {took}.", numbers | above.numbers
        sentence = f"It asks for {_request(job)}; {short.found}."
        return PendingReason.WAITING_FOR_CAPACITY, sentence, numbers | self._line.numbers

    def _kept(self, job: PendingJob, flavor: FlavorName) -> bool:
        """Whether it would fit but for what is kept for others."""
        asked, room = amount_asked(job.request), self._cycle.room
        if room.keeps and (flavor, asked) not in self._kept_nodes:
            self._kept_nodes[flavor, asked] = room.shelves[flavor].count(asked) + room.kept(flavor, asked)
        return room.keeps and self._kept_nodes[flavor, asked] >= job.replicas

    def _behind(self, job: PendingJob, flavors: tuple[FlavorName, ...]) -> Line | None:
        """The jobs of its queue and higher priority that were placed now, if it fitted before and beside them no longer does."""
        asked = amount_asked(job.request)
        higher = [(of, place) for of, place in self._higher(job) if place.seats[0].flavor in flavors]
        fitting = [self._fitting(job, flavor, asked) for flavor in flavors] if higher else []
        if not any(first >= job.replicas for first, _ in fitting) or any(beside >= job.replicas for _, beside in fitting):
            return None
        line = Line()
        for of, _ in higher:
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

    def _fitting(self, job: PendingJob, flavor: FlavorName, asked: Amount) -> tuple[int, int]:
        """How many nodes it fitted at first, and how many beside the jobs of higher priority that were placed."""
        key = (job.queue, job.priority, flavor, asked)
        if key not in self._took:
            room = self._cycle.room
            seats = (seat for _, place in self._higher(job) for seat in place.seats if seat.flavor == flavor)
            first = room.fitted_at_first(flavor, asked)
            self._took[key] = first, first - room.no_longer_fit(seats, asked)
        return self._took[key]

    def _shortage(self, job: PendingJob, flavors: tuple[FlavorName, ...]) -> Shortage:
        key = (job.request.gpu, amount_asked(job.request), job.replicas, flavors)
        if key not in self._shortages:
            self._shortages[key] = _shortage(self._cycle, key[1], job.replicas, flavors)
        return self._shortages[key]


def _too_much(asked: Amount, whole: Sequence[Shelf]) -> str:
    """The key of a job file that asks for more than any node has; of all its resources, where only together they are too much."""
    alone = {
        "resources.gpu": Amount(asked.gpus, 0, 0),
        "resources.cpu": Amount(0, asked.cpu_milli, 0),
        "resources.memory": Amount(0, 0, asked.memory_bytes),
    }
    return next((key for key, part in alone.items() if not any(shelf.count(part, 1) for shelf in whole)), "resources")


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
    gpu = job.request.gpu
    each = amount(amount_asked(job.request), gpu.model if gpu else None, with_gpus=gpu is not None)
    return each if job.replicas == 1 else f"{each} on each of {job.replicas} nodes"


def _asked(job: PendingJob) -> dict[str, object]:
    model = job.request.gpu.model if job.request.gpu else None
    return {"nodes": job.replicas, **amount_asked(job.request)._asdict(), "gpu_model": model}
