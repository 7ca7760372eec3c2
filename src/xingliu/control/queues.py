"""Queues as people see them: bound, use, who waits. What they decide is in scheduling; cloud.py changes them."""

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
    """A queue, and what of it belongs to the projects the actor sees.

    Attributes:
        in_use: what jobs hold, by quota kind.
        running: jobs that hold something.
        pending: jobs that wait in it, counted up to PENDING_COUNTED_MAX.
    """

    queue: Queue
    in_use: Resources
    running: int
    pending: int


class Queues:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, actor: Actor, *, after: str | None = None, limit: int = 100) -> list[QueuePage]:
        """By name. Raises Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.QUEUE_READ)
            found = unit.queues.find(after=QueueName(after) if after else None, limit=limit)
            return [_page(unit, scope, queue) for queue in found]

    def get(self, actor: Actor, name: str) -> QueuePage:
        """Raises Unknown, Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.QUEUE_READ)
            queue = unit.queues.get(QueueName(name))
            if queue is None:
                raise Unknown("queue", name)
            return _page(unit, scope, queue)


def _page(unit: Unit, scope: Scope, queue: Queue) -> QueuePage:
    leases = unit.leases.find(scope.narrow({"queue": queue.name, "released_us": None}))
    where = scope.narrow({"queue": queue.name, "state": JobState.PENDING})
    pending = len(unit.jobs.find(where, limit=PENDING_COUNTED_MAX))
    return QueuePage(queue, _charged(leases), len({lease.job for lease in leases}), pending)


def _charged(leases: list[Lease]) -> Resources:
    total = Resources()
    for lease in leases:
        total = total + charge_of(lease)
    return total
