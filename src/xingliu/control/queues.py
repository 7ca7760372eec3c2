"""Queues as people see them: bounds, use, who waits. What they decide is in scheduling; cloud.py changes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xingliu.control.holds import Hold, hold_of
from xingliu.control.ports import Store, Unit
from xingliu.control.scheduling import Scheduling
from xingliu.control.scope import Scope
from xingliu.control.world import World, charge_of, queue_view
from xingliu.fleet.lending import lent
from xingliu.fleet.model import Queue, QueueOrder
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.deserved import Share, shares_of_queues, shares_of_users
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.workloads.model import Job, JobState, Lease

PENDING_COUNTED_MAX = 1_000
USERS_MAX = 100


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A queue, and what of it and of the queues below it belongs to the projects the actor sees.

    Attributes:
        in_use: what jobs hold, by quota kind.
        borrowed: how much of that is above its quota.
        lent: how much of its quota the queues beside it hold, whoever sees it.
        running: jobs that hold something.
        pending: jobs that wait, counted up to PENDING_COUNTED_MAX in each queue.
        children: the queues right below it.
        hold: who holds it, if somebody does.
        order: of its jobs; its own, or that of the nearest queue above it that has one.
        share: what all its jobs used lately, and what it deserves, whoever sees it.
    """

    queue: Queue
    in_use: Resources
    borrowed: Resources
    running: int
    pending: int
    children: tuple[QueueName, ...]
    lent: Resources
    hold: Hold | None
    order: QueueOrder
    share: Share


@dataclass(frozen=True, slots=True)
class UsersPage:
    """Users of a queue with their shares, the one that is owed most first, at most USERS_MAX; `of` how many there are."""

    queue: QueueName
    users: Sequence[tuple[UserId, Share]]
    of: int


@dataclass(frozen=True, slots=True)
class LinePage:
    """Who waits in a queue and below it, as the last cycle decided them.

    Attributes:
        jobs: with their positions, 1 is next; only those the actor sees.
        of: how many wait in line; `others` of them the actor does not see.
    """

    queue: QueueName
    jobs: Sequence[tuple[int, Job]]
    of: int
    others: int


class Queues:
    def __init__(self, store: Store, world: World, scheduling: Scheduling, clock: Clock) -> None:
        self._store, self._world, self._scheduling, self._clock = store, world, scheduling, clock

    def list(self, actor: Actor, *, after: str | None = None, limit: int = 100) -> list[QueuePage]:
        """By name. Raises Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.QUEUE_READ)
            found = unit.queues.find(after=QueueName(after) if after else None, limit=limit)
            pages = _Pages(unit, scope, self._world, self._clock.now_us())
            return [pages.of(queue) for queue in found]

    def get(self, actor: Actor, name: str) -> QueuePage:
        """Raises Unknown, Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            return _Pages(unit, scope, self._world, self._clock.now_us()).of(_queue(unit, scope, name))

    def users(self, actor: Actor, name: str) -> UsersPage:
        """Whose turn it is among the users of a queue. Of others, only who sees their whole tenant is told their names.

        Raises Unknown, Forbidden.
        """
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            queue = _queue(unit, scope, name)
            tenants = scope.owned_tenants(Verb.QUEUE_READ)
        waiting = {user for at, user in self._world.waiting() if at == queue.name}
        shares = shares_of_users(queue.name, self._world.used(self._clock.now_us()), waiting, self._world.capacity())
        shown = [
            (user, share)
            for user, share in sorted(shares.items(), key=lambda one: (-one[1].owed, one[0]))
            if tenants is None or user == actor.user or user.partition("/")[0] in tenants
        ]
        return UsersPage(queue.name, shown[:USERS_MAX], len(shares))

    def below(self, name: str) -> frozenset[QueueName]:
        """The queue and all below it, for a filter; itself alone where it is gone or never was."""
        return self._world.below(QueueName(name))

    def line(self, actor: Actor, name: str, *, after: int = 0, limit: int = 100) -> LinePage:
        """The line of a queue and those below it, from behind position `after` on. Raises Unknown, Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            queue = _queue(unit, scope, name)
            visible = scope.visible_projects()
        jobs = [self._world.jobs.get(job) for job in self._scheduling.line.among(self._world.below(queue.name))]
        waiting = [job for job in jobs if job is not None and job.state is JobState.PENDING]
        seen = [(number, job) for number, job in enumerate(waiting, 1) if visible is None or job.project in visible]
        page = [(number, job) for number, job in seen if number > after][:limit]
        return LinePage(queue.name, page, len(waiting), len(waiting) - len(seen))


def _queue(unit: Unit, scope: Scope, name: str) -> Queue:
    scope.require_somewhere(Verb.QUEUE_READ)
    queue = unit.queues.get(QueueName(name))
    if queue is None:
        raise Unknown("queue", name)
    return queue


class _Pages:
    """Pages of one reading of the store."""

    def __init__(self, unit: Unit, scope: Scope, world: World, now_us: int) -> None:
        self._unit, self._scope, self._world = unit, scope, world
        queues = unit.queues.find()
        self._queues = {queue.name: queue for queue in queues}
        self._children: dict[QueueName | None, list[QueueName]] = {}
        for queue in queues:
            self._children.setdefault(queue.parent, []).append(queue.name)
        held = world.held()
        below = {queue.name: _sum(held[name] for name in self._tree(queue.name) if name in held) for queue in queues}
        self._lent = lent(queues, below)
        views = [queue_view(queue, Resources()) for queue in queues]
        waiting = {name for name, _ in world.waiting()}
        self._shares = shares_of_queues(views, world.used(now_us), waiting, world.capacity())

    def of(self, queue: Queue) -> QueuePage:
        leases: list[Lease] = []
        pending = 0
        for name in self._tree(queue.name):
            leases += self._unit.leases.find(self._scope.narrow({"queue": name, "released_us": None}))
            where = self._scope.narrow({"queue": name, "state": JobState.PENDING})
            pending += len(self._unit.jobs.find(where, limit=PENDING_COUNTED_MAX))
        in_use = _sum(map(charge_of, leases))
        return QueuePage(
            queue,
            in_use,
            _above(in_use, queue.quota),
            len({lease.job for lease in leases}),
            pending,
            tuple(self._children.get(queue.name, ())),
            self._lent.get(queue.name, Resources()),
            hold_of(self._unit, queue),
            QueueOrder.along(above.order for above in self._path(queue)),
            self._shares[queue.name],
        )

    def _path(self, queue: Queue | None) -> Iterable[Queue]:
        while queue is not None:
            yield queue
            queue = self._queues.get(queue.parent) if queue.parent is not None else None

    def _tree(self, name: QueueName) -> Iterable[QueueName]:
        yield name
        for below in self._children.get(name, ()):
            yield from self._tree(below)


def _above(in_use: Resources, quota: Resources | None) -> Resources:
    """What is held beyond the quota, of the kinds it names."""
    named = quota if quota is not None else ()
    return Resources({kind: max(0, in_use[kind] - (quota or in_use)[kind]) for kind in named})


def _sum(amounts: Iterable[Resources]) -> Resources:
    total = Resources()
    for amount in amounts:
        total = total + amount
    return total
