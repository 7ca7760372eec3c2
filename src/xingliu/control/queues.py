"""Queues as people see them: bounds, use, who waits. What they decide is in scheduling; cloud.py changes them."""

from collections.abc import Iterable
from dataclasses import dataclass

from xingliu.control.ports import Store, Unit
from xingliu.control.scope import Scope
from xingliu.control.world import charge_of
from xingliu.fleet.model import Queue
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import QueueName
from xingliu.kernel.resources import Resources
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.workloads.model import JobState, Lease

PENDING_COUNTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A queue, and what of it and of the queues below it belongs to the projects the actor sees.

    Attributes:
        in_use: what jobs hold, by quota kind.
        borrowed: how much of that is above its quota.
        running: jobs that hold something.
        pending: jobs that wait, counted up to PENDING_COUNTED_MAX in each queue.
        children: the queues right below it.
    """

    queue: Queue
    in_use: Resources
    borrowed: Resources
    running: int
    pending: int
    children: tuple[QueueName, ...]


class Queues:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, actor: Actor, *, after: str | None = None, limit: int = 100) -> list[QueuePage]:
        """By name. Raises Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.QUEUE_READ)
            found = unit.queues.find(after=QueueName(after) if after else None, limit=limit)
            pages = _Pages(unit, scope)
            return [pages.of(queue) for queue in found]

    def get(self, actor: Actor, name: str) -> QueuePage:
        """Raises Unknown, Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.QUEUE_READ)
            queue = unit.queues.get(QueueName(name))
            if queue is None:
                raise Unknown("queue", name)
            return _Pages(unit, scope).of(queue)


class _Pages:
    """Pages of one reading of the store."""

    def __init__(self, unit: Unit, scope: Scope) -> None:
        self._unit, self._scope = unit, scope
        self._children: dict[QueueName | None, list[QueueName]] = {}
        for queue in unit.queues.find():
            self._children.setdefault(queue.parent, []).append(queue.name)

    def of(self, queue: Queue) -> QueuePage:
        leases: list[Lease] = []
        pending = 0
        for name in self._tree(queue.name):
            leases += self._unit.leases.find(self._scope.narrow({"queue": name, "released_us": None}))
            where = self._scope.narrow({"queue": name, "state": JobState.PENDING})
            pending += len(self._unit.jobs.find(where, limit=PENDING_COUNTED_MAX))
        in_use = _charged(leases)
        children = tuple(self._children.get(queue.name, ()))
        return QueuePage(queue, in_use, _above(in_use, queue.quota), len({lease.job for lease in leases}), pending, children)

    def _tree(self, name: QueueName) -> Iterable[QueueName]:
        yield name
        for below in self._children.get(name, ()):
            yield from self._tree(below)


def _above(in_use: Resources, quota: Resources | None) -> Resources:
    """What is held beyond the quota, of the kinds it names."""
    named = quota if quota is not None else ()
    return Resources({kind: max(0, in_use[kind] - (quota or in_use)[kind]) for kind in named})


def _charged(leases: Iterable[Lease]) -> Resources:
    total = Resources()
    for lease in leases:
        total = total + charge_of(lease)
    return total
