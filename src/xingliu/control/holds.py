"""Queues that somebody holds: what waits in them and below waits on, what runs goes on."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from xingliu.control.errors import NoHoldReason
from xingliu.control.ports import Store, Unit
from xingliu.control.scope import Scope
from xingliu.fleet.model import Queue
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import QueueName
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb

HELD, RELEASED = "queue.held", "queue.released"
REASON_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds a queue, since when, and why."""

    queue: QueueName
    actor: str
    since_us: int
    reason: str


def hold_of(unit: Unit, queue: Queue | None) -> Hold | None:
    """As the log tells it; None where it is not held."""
    if queue is None or not queue.held:
        return None
    newest = unit.events.find({"type": HELD, "subject": queue.name}, newest_first=True, limit=1)
    return Hold(queue.name, newest[0].actor, newest[0].at_us, newest[0].cause) if newest else None


class Holds:
    """`wake` asks for a cycle soon."""

    def __init__(self, store: Store, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._store, self._clock, self._wake = store, clock, wake

    def hold(self, actor: Actor, name: str, *, reason: str) -> None:
        """Let nothing of it and below it start. Held already, by the same and for the same reason: nothing changes.

        Raises Unknown, Forbidden, NoHoldReason.
        """
        why = reason.strip()
        with self._store.write() as unit:
            queue = _queue(unit, actor, name)
            if not 0 < len(why) <= REASON_LONGEST:
                raise NoHoldReason(name, REASON_LONGEST)
            known = hold_of(unit, queue)
            if known is None or (known.actor, known.reason) != (actor.user, why):
                self._record(unit, queue, HELD, actor, why)
        self._wake()

    def release(self, actor: Actor, name: str) -> None:
        """Let its jobs start again; where it is not held nothing changes. Raises Unknown, Forbidden."""
        with self._store.write() as unit:
            queue = _queue(unit, actor, name)
            if queue.held:
                self._record(unit, queue, RELEASED, actor, "")
        self._wake()

    def _record(self, unit: Unit, queue: Queue, type_: str, actor: Actor, why: str) -> None:
        unit.queues.put(replace(queue, held=type_ == HELD, generation=queue.generation + 1))
        unit.events.append(EventDraft(type_, queue.name, actor.user, self._clock.now_us(), cause=why))


def _queue(unit: Unit, actor: Actor, name: str) -> Queue:
    Scope(unit, actor).require(Verb.QUEUE_WRITE)
    queue = unit.queues.get(QueueName(name))
    if queue is None:
        raise Unknown("queue", name)
    return queue
