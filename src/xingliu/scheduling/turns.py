"""The line: whose turn it is, as jobs are taken from it and some of them are placed."""

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import PendingJob, QueueView
from xingliu.scheduling.orders import Order
from xingliu.scheduling.shares import Path, Shares


class Line(Protocol):
    """Jobs in turn."""

    def next(self) -> PendingJob | None:
        """Take the next one out; None when nobody is left."""
        ...

    def placed(self, job: PendingJob, charge: Resources) -> None:
        """A job got seats, which may change whose turn it is."""
        ...


class OneLine:
    """All jobs of the cloud by priority, then as one order says."""

    def __init__(self, jobs: Iterable[PendingJob], order: Order) -> None:
        self._jobs = deque(sorted(jobs, key=lambda job: (-job.priority, order.key(job))))

    def next(self) -> PendingJob | None:
        return self._jobs.popleft() if self._jobs else None

    def placed(self, job: PendingJob, charge: Resources) -> None:
        """Nobody's turn depends on it."""


class _ByOrder:
    """Jobs of one queue and priority, as its order says."""

    def __init__(self, jobs: Iterable[PendingJob], order: Order) -> None:
        self._jobs = deque(sorted(jobs, key=order.key))

    def pop(self) -> PendingJob | None:
        return self._jobs.popleft() if self._jobs else None


class _ByUser:
    """Jobs of one queue and priority: the user goes first who held least lately, each with its earliest job."""

    def __init__(self, jobs: Iterable[PendingJob], order: Order, share: Callable[[UserId], int]) -> None:
        self._share = share
        self._jobs: dict[UserId, deque[PendingJob]] = defaultdict(deque)
        for job in sorted(jobs, key=order.key):
            self._jobs[job.user].append(job)
        self._heap = [(share(user), line[0].submitted_us, user) for user, line in self._jobs.items()]
        heapq.heapify(self._heap)

    def pop(self) -> PendingJob | None:
        while self._heap:
            _, _, user = self._heap[0]
            line = self._jobs[user]
            entry = (self._share(user), line[0].submitted_us, user)
            if entry != self._heap[0]:
                heapq.heapreplace(self._heap, entry)
                continue
            job = line.popleft()
            if not line:
                heapq.heappop(self._heap)
            return job
        return None


class _Queue:
    """One queue: its own jobs by priority, and the queues below it by share. What is empty is dropped when met."""

    def __init__(self, view: QueueView | None) -> None:
        self.view = view
        self.levels: list[_ByOrder | _ByUser] = []
        self.below: list[tuple[int, int, QueueName]] = []

    def pop(self, queues: Mapping[QueueName, "_Queue"], shares: Shares) -> PendingJob | None:
        while self.levels:
            if (job := self.levels[0].pop()) is not None:
                return job
            del self.levels[0]
        while self.below:
            share, since_us, name = self.below[0]
            child = queues[name]
            assert child.view is not None, "only the root has none"
            if (now := shares.of_queue(child.view)) != share:
                heapq.heapreplace(self.below, (now, since_us, name))
                continue
            if (job := child.pop(queues, shares)) is not None:
                return job
            heapq.heappop(self.below)
        return None


class FairLine:
    """Down the tree of queues: at each step the one that held the least of its weight's worth; in it by priority, then its order.

    Between queues of one share, the one in which somebody waits longest. Shares only grow within a cycle, so an entry of a
    heap is at most too low, and is put right when it is met.
    """

    def __init__(self, jobs: Iterable[PendingJob], order_of: Callable[[QueueName], Order], shares: Shares, path: Path) -> None:
        self._shares = shares
        self._root = _Queue(None)
        self._queues: dict[QueueName, _Queue] = {}
        by_queue: dict[QueueName, dict[int, list[PendingJob]]] = defaultdict(lambda: defaultdict(list))
        for job in jobs:
            by_queue[job.queue][job.priority].append(job)
        since_us = {
            name: min(job.submitted_us for level in levels.values() for job in level) for name, levels in by_queue.items()
        }
        for name in sorted(by_queue, key=lambda name: (since_us[name], name)):
            queue, levels = self._join(path(name), since_us[name]), by_queue[name]
            queue.levels = [self._level(name, levels[priority], order_of(name)) for priority in sorted(levels, reverse=True)]
        for queue in (self._root, *self._queues.values()):
            heapq.heapify(queue.below)

    def _join(self, path: tuple[QueueView, ...], since_us: int) -> _Queue:
        """The queue in the tree, with those above it: the first to join is the one in which somebody waits longest."""
        at = self._root
        for view in reversed(path):
            if view.name not in self._queues:
                self._queues[view.name] = _Queue(view)
                at.below.append((self._shares.of_queue(view), since_us, view.name))
            at = self._queues[view.name]
        return at

    def _level(self, queue: QueueName, jobs: list[PendingJob], order: Order) -> _ByOrder | _ByUser:
        if not order.by_shares:
            return _ByOrder(jobs, order)
        return _ByUser(jobs, order, lambda user: self._shares.of_user(queue, user))

    def next(self) -> PendingJob | None:
        return self._root.pop(self._queues, self._shares)

    def placed(self, job: PendingJob, charge: Resources) -> None:
        self._shares.place(job.queue, job.user, charge)
