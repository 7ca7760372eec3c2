"""Policies as values: who goes first, which nodes suit best, and who may be stopped for whom."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from xingliu.fleet.model import QueueOrder
from xingliu.kernel.ids import QueueName
from xingliu.scheduling.eviction import Rule, preempt_or_reclaim
from xingliu.scheduling.model import PendingJob, QueueView
from xingliu.scheduling.room import Amount, Pick, Shelf

NEVER_US = 1 << 62

Score = Callable[[Amount, Amount, bool], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Order:
    """The order in which jobs are decided, below their priority.

    Attributes:
        key: lower goes first; it never ties two jobs of one priority.
        blocks: whether nothing passes a job of its queue that waits and could start some time.
        by_shares: whether those go first, queues and in a queue users, that held least lately; `key` is among jobs of one.
    """

    name: str
    key: Callable[[PendingJob], tuple[object, ...]]
    blocks: bool = False
    by_shares: bool = False


def _submitted(job: PendingJob) -> tuple[object, ...]:
    return job.submitted_us, job.id


def _shortest(job: PendingJob) -> tuple[object, ...]:
    """By what is left of the time limit; without one, last."""
    return NEVER_US if job.time_left_us is None else job.time_left_us, job.submitted_us, job.id


def _due(job: PendingJob) -> tuple[object, ...]:
    """By its deadline; without one, last."""
    return NEVER_US if job.deadline_us is None else job.deadline_us, job.submitted_us, job.id


def tightest(free: Amount, asked: Amount, has_gpus: bool) -> tuple[object, ...]:
    """A node of a flavor for a request, lower is better: no GPUs where none are asked for, then the least to spare."""
    return not asked.gpus and has_gpus, [have - want for have, want in zip(free, asked, strict=True)]


FAIR = Order("fair", _submitted, by_shares=True)
EARLIEST = Order("earliest", _submitted)
FIRST_COME = Order("first-come", _submitted, blocks=True)
SHORTEST_FIRST = Order("shortest-first", _shortest)
DEADLINE = Order("deadline", _due)
ORDERS = {order.name: order for order in (FAIR, FIRST_COME, SHORTEST_FIRST, EARLIEST)}
IN_QUEUES: Mapping[QueueOrder, Order] = {QueueOrder(order.name): order for order in (FAIR, FIRST_COME, SHORTEST_FIRST, DEADLINE)}


def order_along(path: Iterable[QueueView]) -> Order:
    """By which the jobs of a queue go; `path` is the queue and those above it."""
    return IN_QUEUES[QueueOrder.along(view.order for view in path)]


def orders_in(queues: Iterable[QueueView]) -> dict[QueueName, Order]:
    """The order of every queue."""
    views = {view.name: view for view in queues}

    def path(name: QueueName | None) -> Iterator[QueueView]:
        while name is not None and name in views:
            yield views[name]
            name = views[name].parent

    return {name: order_along(path(name)) for name in views}


def turn_in(queues: Iterable[QueueView]) -> Callable[[PendingJob], tuple[object, ...]]:
    """The key of a job by the order of its queue; lower goes first among jobs of one queue, priority and user."""
    orders = orders_in(queues)
    return lambda job: orders.get(job.queue, FAIR).key(job)


@dataclass(frozen=True, slots=True)
class Policy:
    """What one call of `decide` goes by.

    Attributes:
        order: by shares down the tree of queues, in each of them by its own order; any other is of all jobs in one line.
        score: of the tightest node of each flavor that fits; the flavor with the lowest is taken, then by name.
        pick: which nodes of that flavor, of those that fit: `Shelf.tightest`, or `Shelf.first` by name; several parts take
            the tightest.
        rule: whether, and why, one job may have another stopped.
    """

    order: Order = FAIR
    score: Score = tightest
    pick: Pick = Shelf.tightest
    rule: Rule = preempt_or_reclaim


DEFAULT = Policy()
