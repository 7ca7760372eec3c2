"""What queues may hold, each on its whole path to the root, and what they hold as a cycle goes on."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from xingliu.kernel.ids import FlavorName, ProjectId, QueueName, UserId
from xingliu.kernel.resources import MILLI, Resources, cpu_of, gpu_of
from xingliu.scheduling.model import PendingJob, QueueView, RunningJob
from xingliu.scheduling.room import Amount
from xingliu.scheduling.running import Running, charge_of

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
    are what is rationed, and cores are unbound unless the bound names them. What is not preemptible stays, by itself,
    within the quota of every queue on its path; all together may hold the borrow limit more, but not what others of the
    same parent do not lend: so only preemptible work borrows. A queue without a quota is never above it.
    """

    def __init__(
        self,
        queues: Iterable[QueueView],
        models: Mapping[FlavorName, str | None],
        running: Running,
        capacity: Callable[[], Resources],
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
        self._fixed: dict[QueueName, Resources] = {}
        self._going: dict[QueueName, Resources] = {}
        self._holders: dict[Holder, Resources] = {}
        self._empty_blocks: dict[object, Block | None] = {}
        self._blocks_now: dict[object, Block | None] = {}
        self._count(running)

    def _count(self, running: Running) -> None:
        """What must not be stopped, and who holds what."""
        for name, fixed in running.fixed.items():
            for view in self.path(name):
                self._fixed[view.name] = self._fixed.get(view.name, NOTHING) + fixed
        if self.personal:
            for (queue, user, project), charge in running.by_holder.items():
                self._hold(queue, user, project, charge)

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

    def borrows(self, job: PendingJob, cost: Resources) -> bool:
        """Whether any queue on its path would hold more than its quota with it: only preemptible work may."""
        return job.preemptible and any(
            self._over(view.quota, kind, self.in_use(view.name)[kind] + amount)
            for view in self.path(job.queue)
            for kind, amount in cost.items()
        )

    def block(self, job: PendingJob, cost: Resources, *, empty: bool = False, promised: bool = False) -> Block | None:
        """What stands against it now, or, with `empty`, even if all queues held nothing.

        `promised`: it was admitted before, so what others keep for themselves came later.
        The answer is remembered for jobs that are alike in what it depends on, until anyone is charged.
        """
        known = self._empty_blocks if empty else self._blocks_now
        whose = (job.user, job.project) if self.personal else None
        key = (job.queue, job.preemptible, whose, cost, promised)
        if key not in known:
            known[key] = self._block(job, cost, empty=empty, promised=promised)
        return known[key]

    def _block(self, job: PendingJob, cost: Resources, *, empty: bool, promised: bool) -> Block | None:
        found = self._blocks(job, cost, empty=empty)
        return next((block for block in found if not (promised and block.bound is Bound.LEND)), None)

    def at_own_limit(self, job: PendingJob, cost: Resources) -> bool:
        """Whether nothing stands against it but what its own user or project may hold."""
        bounds = {block.bound for block in self._blocks(job, cost, empty=False)}
        return bool(bounds) and bounds <= {Bound.USER, Bound.PROJECT}

    def _blocks(self, job: PendingJob, cost: Resources, *, empty: bool) -> Iterator[Block]:
        for view in self.path(job.queue):
            held = NOTHING if empty else self.in_use(view.name)
            fixed = NOTHING if empty or job.preemptible else self._fixed.get(view.name, NOTHING)
            for kind, amount in cost.items():
                if view.quota is not None and self._over(view.quota, kind, held[kind] + amount):
                    if not job.preemptible and self._over(view.quota, kind, fixed[kind] + amount):
                        yield Block(view.name, Bound.QUOTA, kind, fixed[kind], view.quota[kind])
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
        keepers = [other for other in self._keepers[view.parent] if other.name != view.name]
        if keepers:
            kept = sum(self._kept(other, kind, empty=empty) for other in keepers)
            whole = self._whole(view.parent, kind)
            used = 0 if empty else sum(self.in_use(other.name)[kind] for other in self._below[view.parent])
            if used + amount + kept > whole:
                yield Block(view.name, Bound.LEND, kind, held, max(held, whole - kept - (used - held)))

    def _whole(self, parent: QueueName | None, kind: str) -> int:
        """What the queues of one parent can hold together: what it may hold, else all there is."""
        view = self._queues.get(parent) if parent is not None else None
        if view is None or view.quota is None or view.borrow_limit is None:
            return self._capacity()[kind]
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

    def refills(self, job: PendingJob, cost: Resources, other: QueueName) -> bool:
        """Whether it would only refill what is its queue's own, against `other`: no queue up to theirs goes above its quota."""
        shared = {view.name for view in self.path(other)}
        for view in self.path(job.queue):
            if view.name in shared:
                break
            if view.quota is None and view.name == job.queue:
                return False
            if any(self._over(view.quota, kind, self._staying(view.name, kind) + amount) for kind, amount in cost.items()):
                return False
        return True

    def above(self, queue: QueueName, other: QueueName, kinds: Iterable[str]) -> bool:
        """Whether `other`, on its own side of the tree, holds more than its quota of one of these kinds.

        That is the queue on its path right below the first that both share; what is stopping counts as gone.
        """
        mine = {view.name for view in self.path(queue)}
        side = [view for view in self.path(other) if view.name not in mine][-1]
        return any(self._over(side.quota, kind, self._staying(side.name, kind)) for kind in kinds)

    def lends(self, queue: QueueName) -> bool:
        """Whether it, or a queue above it, holds more than its quota of anything."""
        return any(
            self._over(view.quota, kind, self._staying(view.name, kind))
            for view in self.path(queue)
            if view.quota is not None
            for kind in self.in_use(view.name)
        )

    def _staying(self, queue: QueueName, kind: str) -> int:
        """What it holds of a kind but for what is stopping."""
        return self.in_use(queue)[kind] - (self._going[queue][kind] if queue in self._going else 0)

    def not_above(self, queue: QueueName, victims: Sequence[tuple[QueueName, Resources]]) -> int | None:
        """The first of the victims, gone one after the other, in whose turn its queue is no longer above its quota."""
        going = self._going
        self._going = dict(going)
        try:
            for number, (other, charge) in enumerate(victims):
                if other != queue and not self.above(queue, other, charge):
                    return number
                self._leave(other, charge)
            return None
        finally:
            self._going = going

    @cached_property
    def personal(self) -> bool:
        """Whether it matters whose a job is."""
        return any(view.user_limit is not None or view.project_limit is not None for view in self._queues.values())

    def min_runtime_us(self, queue: QueueName) -> int:
        """How long a job of it runs before it may be stopped for others: its own word, or that of the nearest above."""
        return next((view.min_runtime_us for view in self.path(queue) if view.min_runtime_us), 0)

    def block_without(
        self, job: PendingJob, cost: Resources, leaving: Iterable[RunningJob], *, promised: bool = False
    ) -> Block | None:
        """What would stand against it if those had left."""
        in_use, fixed, holders = dict(self._in_use), dict(self._fixed), dict(self._holders)
        for gone in leaving:
            self._drop(gone)
        found = self._block(job, cost, empty=False, promised=promised)
        self._in_use, self._fixed, self._holders = in_use, fixed, holders
        return found

    def keep(self, job: PendingJob, cost: Resources, leaving: Sequence[RunningJob]) -> None:
        """Keep quota for it: from now on as much is in use as now, and as will be once those have left and it has come."""
        in_use, fixed, holders = dict(self._in_use), dict(self._fixed), dict(self._holders)
        for gone in leaving:
            self._drop(gone)
        self.take(job, cost)
        self._in_use = {name: _most(in_use.get(name, NOTHING), held) for name, held in self._in_use.items()}
        self._fixed = {name: _most(fixed.get(name, NOTHING), held) for name, held in self._fixed.items()}
        self._holders = {key: _most(holders.get(key, NOTHING), held) for key, held in self._holders.items()}

    def leave(self, gone: RunningJob) -> None:
        """It is stopping: what it holds is no longer what its queue holds above its quota."""
        self._leave(gone.queue, charge_of(gone))

    def _leave(self, queue: QueueName, charge: Resources) -> None:
        for view in self.path(queue):
            self._going[view.name] = self._going.get(view.name, NOTHING) + charge

    def _drop(self, gone: RunningJob) -> None:
        charge = charge_of(gone)
        for view in self.path(gone.queue):
            self._in_use[view.name] = self.in_use(view.name) - charge
            if gone.again is None or not gone.again.preemptible:
                self._fixed[view.name] = self._fixed.get(view.name, NOTHING) - charge
        self._hold(gone.queue, gone.user, gone.project, charge * -1)

    def take(self, job: PendingJob, cost: Resources) -> None:
        """Charge it to its whole path."""
        self._blocks_now = {}
        for view in self.path(job.queue):
            self._in_use[view.name] = self.in_use(view.name) + cost
            if not job.preemptible:
                self._fixed[view.name] = self._fixed.get(view.name, NOTHING) + cost
        self._hold(job.queue, job.user, job.project, cost)

    def _hold(self, queue: QueueName, user: UserId, project: ProjectId, cost: Resources) -> None:
        for view in self.path(queue):
            for bound, holder, limit in ((Bound.USER, user, view.user_limit), (Bound.PROJECT, project, view.project_limit)):
                if limit is not None:
                    key = (view.name, bound, holder)
                    self._holders[key] = self._holders.get(key, NOTHING) + cost


def _most(one: Resources, other: Resources) -> Resources:
    return Resources({kind: max(one[kind], other[kind]) for kind in {*one, *other}})
