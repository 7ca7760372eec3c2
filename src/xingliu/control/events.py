"""The event log as one actor may read it, in pages and as it grows.

Events of a project: whoever sees the project. Events of a tenant as a whole: whoever may read its users. Events of the
whole cloud: those who see all.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from xingliu.control.ports import Delta, Store, Unit
from xingliu.control.scope import Scope
from xingliu.kernel.events import Event
from xingliu.kernel.ids import ProjectId, TenantId
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb, may, sees, sees_all

KEPT_MAX = 2_000
_BATCH = 1_000
_SMALLEST_BATCH = 200


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, and the number after (or, newest first, before) which the next ones are; None when these are all."""

    items: tuple[Event, ...]
    next_seq: int | None


def may_see(actor: Actor, event: Event) -> bool:
    """Whether this event exists as far as this actor can tell."""
    if sees_all(actor):
        return True
    if event.project:
        return sees(actor, project=ProjectId(event.project))
    return bool(event.tenant) and may(actor, Verb.USER_READ, tenant=TenantId(event.tenant))


class Events:
    """Reads the log. Keeps the newest events in memory, so that many readers that follow it cost the store nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grown = threading.Condition()
        self._newest: deque[Event] = deque(maxlen=KEPT_MAX)
        self._last_seq = 0
        store.subscribe(self._keep)
        with store.read() as unit:
            self._kept_after = unit.events.last_seq()
        self._last_seq = max(self._last_seq, self._kept_after)

    def last_seq(self) -> int:
        """The number of the newest event."""
        return self._last_seq

    def find(
        self,
        actor: Actor,
        where: Mapping[str, object] | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> EventPage:
        """Events the actor may see that match: `where` names type, subject, actor, noun, project or tenant.

        `after` continues: oldest first, after that number; newest first, before it.
        """
        with self._store.read() as unit:
            narrowed = _narrowed(Scope(unit, actor), where)
            found: list[Event] = []
            batch_size = max(limit + 1, _SMALLEST_BATCH)
            while len(found) <= limit:
                batch = _batch(unit, narrowed, after, batch_size, newest_first=newest_first)
                found += [event for event in batch if may_see(actor, event)]
                if len(batch) < batch_size:
                    break
                after = batch[-1].seq
        items = tuple(found[:limit])
        return EventPage(items, items[-1].seq if len(found) > limit else None)

    def wait(self, after: int, *, timeout_s: float) -> bool:
        """Block until there is an event after this number, at most so long; whether there is one."""
        with self._grown:
            return self._grown.wait_for(lambda: self._last_seq > after, timeout_s)

    def since(self, actor: Actor, noun: str | None, after: int) -> tuple[list[Event], int]:
        """The next events of that noun (None: of all) after `after` that the actor may see, and how far was read."""
        with self._grown:
            fresh = [event for event in self._newest if event.seq > after] if after >= self._kept_after else None
            last = self._last_seq
        if fresh is None:
            with self._store.read() as unit:
                fresh = unit.events.find({"noun": noun} if noun else None, after=after, limit=_BATCH)
            last = fresh[-1].seq if len(fresh) == _BATCH else max(after, last)
        mine = [event for event in fresh if noun in (None, event.type.partition(".")[0]) and may_see(actor, event)]
        return mine, max(last, mine[-1].seq if mine else 0)

    def _keep(self, delta: Delta) -> None:
        if not delta.events:
            return
        with self._grown:
            for event in delta.events:
                if len(self._newest) == KEPT_MAX:
                    self._kept_after = self._newest[0].seq
                self._newest.append(event)
            self._last_seq = delta.events[-1].seq
            self._grown.notify_all()


def _narrowed(scope: Scope, where: Mapping[str, object] | None) -> dict[str, object]:
    """A filter the store can use; `may_see` has the last word."""
    narrowed = dict(where or {})
    if narrowed.get("project") is not None:
        return scope.narrow(narrowed)
    tenants = scope.visible_tenants()
    if tenants is None:
        return narrowed
    if not scope.owned_tenants(Verb.USER_READ):
        return scope.narrow(narrowed)
    asked = narrowed.get("tenant")
    narrowed["tenant"] = tenants if asked is None else tenants & {asked}
    return narrowed


def _batch(unit: Unit, where: Mapping[str, object], after: int | None, limit: int, *, newest_first: bool) -> list[Event]:
    if newest_first:
        return unit.events.find(where, before=after, limit=limit, newest_first=True)
    return unit.events.find(where, after=after or 0, limit=limit)
