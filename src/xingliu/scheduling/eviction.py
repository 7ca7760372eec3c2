"""Whom a job may have stopped to start itself, and the cheapest of them whose room it really fits in."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from xingliu.kernel.ids import FlavorName, JobId, QueueName
from xingliu.kernel.resources import CPU, Resources
from xingliu.scheduling.layouts import Ask, Layout, Nodes, Shape, spread
from xingliu.scheduling.model import PendingJob, RunningJob
from xingliu.scheduling.quota import Block, Quotas
from xingliu.scheduling.room import NOTHING, Amount, Room, amount_of, both, covers, less
from xingliu.scheduling.running import Alike, Running, charge_of, kinds_of
from xingliu.workloads.model import StopWhy

EXACT_MAX = 8
TRIES_MAX = 16
PREEMPTORS_MAX = 10

Rule = Callable[[Quotas, PendingJob, RunningJob], StopWhy | None]
"""Says the same of victims that are alike in queue, priority, whether they are preemptible, and kinds of what they hold."""
Cost = tuple[int, int]


def preempt_or_reclaim(quotas: Quotas, job: PendingJob, victim: RunningJob) -> StopWhy | None:
    """Why `job` may have `victim` stopped; None where it may not.

    In its own queue: work of lower priority, and preemptible work of its own priority if it is not preemptible itself.
    In another queue: preemptible work, while that queue holds more than its quota, if the job stays within its own.
    """
    again = victim.again
    if again is None:
        return None
    if victim.queue == job.queue:
        equal = again.priority == job.priority and again.preemptible and not job.preemptible
        return StopWhy.PREEMPT if equal or again.priority < job.priority else None
    return StopWhy.RECLAIM if again.preemptible and quotas.above(job.queue, victim.queue, kinds_of(victim)) else None


def stop_nothing(quotas: Quotas, job: PendingJob, victim: RunningJob) -> StopWhy | None:
    """No job is stopped for another."""
    return None


def cost_of(victim: RunningJob, now_us: int) -> Cost:
    """What is lost when it is stopped: (milli-GPU, millicore) times microseconds since its last observed checkpoint."""
    lost_us = max(0, now_us - max(victim.started_us, victim.saved_us or 0))
    gpus = sum(len(seat.gpus) for seat in victim.seats)
    return gpus * 1000 * lost_us, sum(seat.resources[CPU] for seat in victim.seats) * lost_us


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that may be stopped for another, why, and what that costs.

    By `order`, lowest first: what is cheaper, then of lower priority, then started later.
    """

    job: RunningJob
    why: StopWhy
    cost: Cost
    order: tuple[Cost, int, int, JobId]

    @classmethod
    def of(cls, job: RunningJob, why: StopWhy, now_us: int) -> "Candidate":
        cost, priority = cost_of(job, now_us), job.again.priority if job.again is not None else 0
        return cls(job, why, cost, (cost, priority, -job.started_us, job.id))


@dataclass(frozen=True, slots=True)
class Making:
    """The room a job gets: on these nodes, by number, for each of its parts, once the victims are gone."""

    layout: Layout
    nodes: Nodes
    victims: tuple[Candidate, ...]

    @property
    def cost(self) -> tuple[Cost, int, tuple[FlavorName, ...]]:
        gpu, cpu = (sum(victim.cost[part] for victim in self.victims) for part in (0, 1))
        return (gpu, cpu), len(self.victims), self.layout.flavors


Held = dict[int, list[tuple[Candidate, Amount]]]


class Evictions:
    """All that may be stopped in one cycle, for at most PREEMPTORS_MAX jobs. Nothing that stops already, nor anything twice."""

    def __init__(self, now_us: int, running: Running, room: Room, quotas: Quotas, rule: Rule) -> None:
        self._now_us, self._running, self._room, self._quotas, self._rule = now_us, running, room, quotas, rule
        self._in_own: dict[tuple[QueueName, int, bool], list[Candidate]] = {}
        self._candidates_of: dict[tuple[QueueName, Alike, StopWhy], list[Candidate]] = {}
        self._personal = quotas.personal
        self._hopeless: set[object] = set()
        self._gone: set[JobId] = set()
        self._found = 0

    def find(self, job: PendingJob, shape: Shape) -> Making | None:
        """The cheapest victims with which it fits, in one of its layouts."""
        whose = (job.user, job.project) if self._personal else ()
        key = (job.queue, job.priority, job.preemptible, shape, *whose)
        if key in self._hopeless or self._found >= PREEMPTORS_MAX:
            return None
        makings = [made for layout in shape.layouts if (made := self._make(job, layout)) is not None]
        if not makings:
            self._hopeless.add(key)
            return None
        best = min(makings, key=lambda made: made.cost)
        self._gone |= {victim.job.id for victim in best.victims}
        self._found += 1
        return best

    def _candidates(self, job: PendingJob, charge: Resources) -> list[Candidate]:
        """Cheapest first: those of its own queue, and those of queues that hold what it would refill."""
        found = list(self._own(job))
        for queue in self._victims:
            if queue != job.queue and self._quotas.lends(queue) and self._quotas.refills(job, charge, queue):
                found += self._of(queue, job)
        return sorted((one for one in found if one.job.id not in self._gone), key=lambda one: one.order)

    def _own(self, job: PendingJob) -> list[Candidate]:
        """The same for all jobs of a queue that are alike in what the rule looks at."""
        key = (job.queue, job.priority, job.preemptible)
        if key not in self._in_own:
            self._in_own[key] = self._of(job.queue, job)
        return self._in_own[key]

    def _of(self, queue: QueueName, job: PendingJob) -> list[Candidate]:
        """Those of the queue that the rule lets it stop; one of each kind is asked about."""
        found: list[Candidate] = []
        for alike, victims in self._victims.get(queue, {}).items():
            why = self._rule(self._quotas, job, victims[0])
            if why is not None:
                key = (queue, alike, why)
                if key not in self._candidates_of:
                    self._candidates_of[key] = [Candidate.of(victim, why, self._now_us) for victim in victims]
                found += self._candidates_of[key]
        return found

    @cached_property
    def _victims(self) -> dict[QueueName, dict[Alike, list[RunningJob]]]:
        """What runs long enough to be stopped, by queue and by all that a rule looks at."""
        found: dict[QueueName, dict[Alike, list[RunningJob]]] = {}
        for queue, kinds in self._running.stoppable.items():
            latest_us = self._now_us - self._quotas.min_runtime_us(queue)
            long_enough = {alike: [job for job in jobs if job.started_us <= latest_us] for alike, jobs in kinds.items()}
            found[queue] = {alike: jobs for alike, jobs in long_enough.items() if jobs}
        return found

    def _make(self, job: PendingJob, layout: Layout) -> Making | None:
        candidates = self._candidates(job, layout.cost)
        for _ in range(TRIES_MAX):
            search = _Search(self._room, self._quotas, job, layout, candidates)
            made = search.run() if candidates else None
            if made is None:
                return None
            unjust = self._quotas.not_above(job.queue, [(victim.job.queue, charge_of(victim.job)) for victim in made.victims])
            if unjust is None:
                return made
            candidates = [candidate for candidate in candidates if candidate is not made.victims[unjust]]
        return None


class _Search:
    """For one job in one layout: the victims that free nodes, then those that free quota, then without the unneeded."""

    def __init__(self, room: Room, quotas: Quotas, job: PendingJob, layout: Layout, candidates: list[Candidate]) -> None:
        self._room, self._quotas, self._job, self._layout = room, quotas, job, layout
        self._candidates = candidates
        self._on: Held = defaultdict(list)
        flavors = set(layout.flavors)
        for candidate in candidates:
            for seat in candidate.job.seats:
                number = room.ready_number(seat.node) if seat.flavor in flavors else None
                if number is not None:
                    self._on[number].append((candidate, amount_of(seat)))
        self._chosen: dict[JobId, Candidate] = {}
        self._used: dict[int, Amount] = {}

    def run(self) -> Making | None:
        """Of few candidates the cheapest set there is; of many a cheap one, without those whose room is not needed."""
        if len(self._candidates) <= EXACT_MAX:
            return self._cheapest_of_all()
        if not all(self._choose_nodes(ask) for ask in self._layout.asks) or not self._free_quota():
            return None
        for candidate in sorted(self._chosen.values(), key=lambda one: one.order, reverse=True):
            del self._chosen[candidate.job.id]
            if self._made() is None:
                self._chosen[candidate.job.id] = candidate
        return self._made()

    def _cheapest_of_all(self) -> Making | None:
        sets = [each for count in range(1, len(self._candidates) + 1) for each in combinations(self._candidates, count)]
        for victims in sorted(sets, key=lambda each: (_sum(each), len(each), [one.order for one in each])):
            self._chosen = {one.job.id: one for one in victims}
            if (made := self._made()) is not None:
                return made
        return None

    def _made(self) -> Making | None:
        """What the chosen victims make, if they make enough."""
        freed: dict[FlavorName, dict[int, Amount]] = {flavor: {} for flavor in self._layout.flavors}
        for seat in (seat for one in self._chosen.values() for seat in one.job.seats if seat.flavor in freed):
            number = self._room.ready_number(seat.node)
            if number is not None:
                freed[seat.flavor][number] = self._once_gone(number, self._chosen)
        nodes = spread(self._room.shelves, self._layout.asks, freed)
        if nodes is None or self._blocked() is not None:
            return None
        victims = sorted(self._chosen.values(), key=lambda one: one.order)
        return Making(self._layout, nodes, tuple(victims))

    def _choose_nodes(self, ask: Ask) -> bool:
        """Choose the victims on as many nodes as are needed: those that fit as they are, then those that cost least.

        False where there are not as many.
        """
        spots = self._room.shelves[ask.flavor].tightest(ask.amount, ask.replicas + len(self._used))
        nodes = [spot.node for spot in spots if self._fits(ask, spot.node, self._chosen)][: ask.replicas]
        here = (number for number in self._on if self._room.nodes[number].flavor == ask.flavor)
        offers = [offer for number in here if (offer := self._offer(ask, number)) is not None]
        heapq.heapify(offers)
        while len(nodes) < ask.replicas and offers:
            _, number, _ = heapq.heappop(offers)
            offer = None if number in nodes else self._offer(ask, number)
            if offer is None:
                continue
            if offers and offer > offers[0]:
                heapq.heappush(offers, offer)
                continue
            nodes.append(number)
            self._chosen |= {candidate.job.id: candidate for candidate in self._cheapest_on(ask, number) or ()}
        for number in nodes:
            self._used[number] = both(self._used.get(number, NOTHING), ask.amount)
        return len(nodes) == ask.replicas

    def _offer(self, ask: Ask, number: int) -> tuple[Cost, int, int] | None:
        """What the node costs beside what is chosen already, in an order that prefers fewer victims."""
        victims = self._cheapest_on(ask, number)
        if victims is None:
            return None
        gpu, cpu = (sum(one.cost[part] for one in victims) for part in (0, 1))
        return (gpu, cpu), number, len(victims)

    def _cheapest_on(self, ask: Ask, number: int) -> list[Candidate] | None:
        """Victims after which the node has room: the cheapest one that does, or the cheapest ones together."""
        here = [candidate for candidate, _ in self._on[number] if candidate.job.id not in self._chosen]
        if self._fits(ask, number, self._chosen):
            return []
        alone = next((one for one in here if self._fits(ask, number, {*self._chosen, one.job.id})), None)
        together: list[Candidate] = []
        for candidate in here:
            together.append(candidate)
            if self._fits(ask, number, {*self._chosen, *(one.job.id for one in together)}):
                break
        else:
            return None
        for candidate in reversed(together[:-1]):
            fewer = [one for one in together if one is not candidate]
            if self._fits(ask, number, {*self._chosen, *(one.job.id for one in fewer)}):
                together = fewer
        return [alone] if alone is not None and alone.cost <= _sum(together) else together

    def _fits(self, ask: Ask, number: int, gone: Collection[JobId]) -> bool:
        """Whether the node has room for a replica once those have gone, beside what other parts of the job will take."""
        left = self._once_gone(number, gone)
        return covers(less(left, self._used[number]) if number in self._used else left, ask.amount)

    def _once_gone(self, number: int, gone: Collection[JobId]) -> Amount:
        gpus, cores, memory = self._room.left(number)
        for candidate, amount in self._on.get(number, ()):
            if candidate.job.id in gone:
                gpus, cores, memory = gpus + amount.gpus, cores + amount.cpu_milli, memory + amount.memory_bytes
        return Amount(gpus, cores, memory)

    def _free_quota(self) -> bool:
        """Add the cheapest whose charges stand against it, until none does."""
        while (block := self._blocked()) is not None:
            under = (
                one
                for one in self._candidates
                if one.job.id not in self._chosen
                and any(view.name == block.queue for view in self._quotas.path(one.job.queue))
                and charge_of(one.job)[block.kind]
                and block.holder in ("", one.job.user, one.job.project)
            )
            found = next(under, None)
            if found is None:
                return False
            self._chosen[found.job.id] = found
        return True

    def _blocked(self) -> Block | None:
        """What of quotas would stand against it once the chosen victims are gone."""
        return self._quotas.block_without(self._job, self._layout.cost, [one.job for one in self._chosen.values()])


def _sum(candidates: Iterable[Candidate]) -> Cost:
    costs = [candidate.cost for candidate in candidates]
    return sum(gpu for gpu, _ in costs), sum(cpu for _, cpu in costs)
