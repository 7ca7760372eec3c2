"""What queues may hold, each on its whole path to the root, and what they hold as a cycle goes on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from xingliu.kernel.ids import FlavorName, ProjectId, QueueName, UserId
from xingliu.kernel.resources import MILLI, Resources, cpu_of, gpu_of
from xingliu.scheduling.model import PendingJob, QueueView, RunningJob
from xingliu.scheduling.room import Amount

NOTHING = Resources()
Holder = tuple[QueueName, str, str]


def charge(flavor: FlavorName, asked: Amount) -> Resources:
    """What one seat on a node of `flavor` costs its queue, by quota kind: its GPUs and its cores."""
    return Resources({gpu_of(flavor): asked.gpus * MILLI, cpu_of(flavor): asked.cpu_milli})


class Bound(StrEnum):
    """What stands against holding more."""

    QUOTA = "quota"
    BORROW = "borrow limit"
    LEND = "lend limit"
    USER = "user limit"
    PROJECT = "project limit"


@dataclass(frozen=True, slots=True)
class Block:
    """The first bound that a job's charge breaks: `held` and what it asks are more than `most`, in milli-units of `kind`."""

    queue: QueueName
    bound: Bound
    kind: str
    held: int
    most: int
    holder: str = ""


class Quotas:
    """Queues with their bounds. A queue that nobody knows may hold nothing.

    Where a bound is given, a kind it does not name is bound to zero, except the cores of a flavor with GPUs: there GPUs
    are what is rationed, and cores are unbound unless the bound names them. Work that is not preemptible stays within
    the quota of every queue on its path; preemptible work may borrow up to the borrow limit, but not what others of the
    same parent do not lend. A queue without a quota is never above it.
    """

    def __init__(
        self,
        queues: Iterable[QueueView],
        models: Mapping[FlavorName, str | None],
        running: Iterable[RunningJob] = (),
        capacity: Resources = NOTHING,
    ) -> None:
        self._queues = {queue.name: queue for queue in queues}
        self._unbound = frozenset(cpu_of(flavor) for flavor, model in models.items() if model)
        self._capacity = capacity
        self._paths: dict[QueueName, tuple[QueueView, ...]] = {}
        self._in_use: dict[QueueName, Resources] = {}
        self._keepers: dict[QueueName | None, list[QueueView]] = defaultdict(list)
        self._below: dict[QueueName | None, list[QueueView]] = defaultdict(list)
        for queue in self._queues.values():
            self._below[queue.parent].append(queue)
            if queue.lend_limit is not None and queue.quota is not None:
                self._keepers[queue.parent].append(queue)
            if queue.in_use:
                for above in self.path(queue.name):
                    self._in_use[above.name] = self.in_use(above.name) + queue.in_use
        self._holders: dict[Holder, Resources] = {}
        if any(queue.user_limit is not None or queue.project_limit is not None for queue in self._queues.values()):
            for job in running:
                for seat in job.seats:
                    self._hold(job.queue, job.user, job.project, seat.charge)

    def path(self, queue: QueueName) -> tuple[QueueView, ...]:
        """The queue and those above it, up to the root; an unknown one may hold nothing."""
        found = self._paths.get(queue)
        if found is None:
            views: list[QueueView] = []
            at: QueueView | None = self._queues.get(queue, QueueView(queue, NOTHING, NOTHING))
            while at is not None:
                views.append(at)
                at = self._queues.get(at.parent) if at.parent is not None else None
            found = self._paths[queue] = tuple(views)
        return found

    def held(self, queue: QueueName) -> QueueName | None:
        """The queue on its path that somebody holds."""
        return next((view.name for view in self.path(queue) if view.held), None)

    def in_use(self, queue: QueueName) -> Resources:
        """What its jobs hold, and those of the queues below it."""
        return self._in_use.get(queue, NOTHING)

    def quota(self, queue: QueueName) -> Resources | None:
        return self._queues[queue].quota if queue in self._queues else NOTHING

    def admits(self, job: PendingJob, cost: Resources) -> bool:
        """Whether every queue on its path may hold `cost` beside what it holds now."""
        return self.block(job, cost) is None

    def block(self, job: PendingJob, cost: Resources, *, empty: bool = False, within_quota: bool = False) -> Block | None:
        """What stands against it now, or, with `empty`, even if all queues held nothing.

        `within_quota`: as if it were not preemptible, so that nothing may be borrowed.
        """
        borrows = job.preemptible and not within_quota
        return next(self._blocks(job, cost, empty=empty, borrows=borrows), None)

    def _blocks(self, job: PendingJob, cost: Resources, *, empty: bool, borrows: bool) -> Iterator[Block]:
        for view in self.path(job.queue):
            name, held = view.name, NOTHING if empty else self.in_use(view.name)
            for kind, amount in cost.items():
                if self._over(view.quota, kind, held[kind] + amount):
                    if not borrows:
                        yield Block(name, Bound.QUOTA, kind, held[kind], (view.quota or NOTHING)[kind])
                    else:
                        yield from self._borrowing(view, kind, held[kind], amount, empty=empty)
                if view.user_limit is not None:
                    yield from self._held_by(view.name, Bound.USER, job.user, view.user_limit, kind, amount, empty=empty)
                if view.project_limit is not None:
                    yield from self._held_by(view.name, Bound.PROJECT, job.project, view.project_limit, kind, amount, empty=empty)

    def _over(self, bound: Resources | None, kind: str, amount: int) -> bool:
        return bound is not None and amount > bound[kind] and not (kind in self._unbound and kind not in bound)

    def _borrowing(self, view: QueueView, kind: str, held: int, amount: int, *, empty: bool) -> Iterator[Block]:
        """Why it may not borrow that: its own limit, or what others of its parent keep for themselves."""
        quota = (view.quota or NOTHING)[kind]
        if view.borrow_limit is not None and held + amount > quota + view.borrow_limit[kind]:
            yield Block(view.name, Bound.BORROW, kind, held, quota + view.borrow_limit[kind])
        kept = sum(self._kept(other, kind, empty=empty) for other in self._keepers[view.parent] if other.name != view.name)
        if kept:
            whole = self._whole(view.parent, kind)
            used = 0 if empty else sum(self.in_use(other.name)[kind] for other in self._below[view.parent])
            if used + amount + kept > whole:
                yield Block(view.name, Bound.LEND, kind, held, max(held, whole - kept - (used - held)))

    def _whole(self, parent: QueueName | None, kind: str) -> int:
        """What the queues of one parent can hold together: what it may hold, else all there is."""
        view = self._queues.get(parent) if parent is not None else None
        if view is None or view.quota is None or view.borrow_limit is None:
            return self._capacity[kind]
        return view.quota[kind] + view.borrow_limit[kind]

    def _kept(self, view: QueueView, kind: str, *, empty: bool) -> int:
        """What it does not lend of its quota and does not use."""
        assert view.quota is not None and view.lend_limit is not None, "only those keep anything"
        used = 0 if empty else self.in_use(view.name)[kind]
        return max(0, view.quota[kind] - view.lend_limit[kind] - used)

    def _held_by(
        self, queue: QueueName, bound: Bound, holder: str, limit: Resources, kind: str, amount: int, *, empty: bool
    ) -> Iterator[Block]:
        held = 0 if empty else self._holders.get((queue, bound, holder), NOTHING)[kind]
        if self._over(limit, kind, held + amount):
            yield Block(queue, bound, kind, held, limit[kind], holder)

    def take(self, job: PendingJob, cost: Resources) -> None:
        """Charge it to its whole path."""
        for view in self.path(job.queue):
            self._in_use[view.name] = self.in_use(view.name) + cost
        self._hold(job.queue, job.user, job.project, cost)

    def _hold(self, queue: QueueName, user: UserId, project: ProjectId, cost: Resources) -> None:
        for view in self.path(queue):
            for bound, holder, limit in ((Bound.USER, user, view.user_limit), (Bound.PROJECT, project, view.project_limit)):
                if limit is not None:
                    key = (view.name, bound, holder)
                    self._holders[key] = self._holders.get(key, NOTHING) + cost
