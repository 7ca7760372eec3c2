"""The Store in memory, over a record that outlives its control plane as a database would."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from threading import Lock, get_ident
from typing import Any, cast

from xingliu.control.errors import NotInControl
from xingliu.control.nouns import EVENT_SEARCHABLE, NOUNS, checked_text
from xingliu.control.ports import Delta, Store, Unit
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.events import Event, EventDraft, numbered
from xingliu.sim.table import Draft, Table, check_references


class Moment(StrEnum):
    """When a transaction may meet trouble. After COMMITTED it is on record, but nobody was told."""

    BEGIN = "begin"
    COMMIT = "commit"
    COMMITTED = "committed"


def no_trouble(_moment: Moment) -> None:
    """The disk works and nothing dies."""


class Record:
    """What a disk would hold. Tables are shared with readers: while there are any, a writer copies what it changes."""

    def __init__(self) -> None:
        self.tables = {noun.name: Table(noun) for noun in NOUNS.values()}
        self.events: list[Event] = []
        self.version = self.epoch = 0
        self.owner = ""
        self.turn = Lock()
        self.holder: int | None = None
        self._swap = Lock()
        self._readers = 0

    @contextmanager
    def reading(self) -> Iterator[tuple[dict[str, Table], int]]:
        """Tables that will not change, and how many events belong to them."""
        with self._swap:
            tables, count = self.tables, len(self.events)
            self._readers += 1
        try:
            yield tables, count
        finally:
            with self._swap:
                self._readers -= 1

    def commit(self, drafts: Mapping[str, Draft], events: list[Event]) -> int:
        """All of it at once, and its number."""
        with self._swap:
            changed = {name: draft.changes for name, draft in drafts.items() if draft.changes}
            if self._readers:
                self.tables = {name: table.copy() if name in changed else table for name, table in self.tables.items()}
            for name, changes in changed.items():
                self.tables[name].apply(changes)
            self.events += events
            self.version += 1
            return self.version


class MemoryStore(Store):
    """One control plane's handle on a record; another handle on the same record is another control plane."""

    def __init__(self, record: Record | None = None, trouble: Callable[[Moment], None] = no_trouble) -> None:
        self.record = record or Record()
        self._trouble = trouble
        self._epoch: int | None = None
        self._listeners: list[Callable[[Delta], None]] = []

    def seize(self, owner: str) -> None:
        with self._queue():
            self.record.epoch += 1
            self.record.owner = owner
            self._epoch = self.record.epoch

    @contextmanager
    def read(self) -> Iterator[Unit]:
        with self.record.reading() as (tables, count):
            yield cast(Unit, MemoryUnit(tables, MemoryEvents(self.record.events, count), writable=False))

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """A transaction that changed nothing is none: it takes no number and makes no delta."""
        with self._queue():
            self._trouble(Moment.BEGIN)
            if self._epoch != self.record.epoch:
                raise NotInControl
            events = MemoryEvents(self.record.events, len(self.record.events))
            unit = MemoryUnit(self.record.tables, events, writable=True)
            yield cast(Unit, unit)
            if unit.refused is not None:
                raise unit.refused
            if not events.drafted and not any(draft.changes for draft in unit.drafts.values()):
                return
            check_references(unit.drafts, NOUNS.values())
            self._trouble(Moment.COMMIT)
            version = self.record.commit(unit.drafts, events.drafted)
            self._trouble(Moment.COMMITTED)
            delta = unit.delta(version)
            for listener in self._listeners:
                listener(delta)

    def version(self) -> int:
        return self.record.version

    def subscribe(self, listener: Callable[[Delta], None]) -> None:
        """Listeners run inside the writer's turn: they may read, must not write, and must not raise."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Nothing to let go of."""

    @contextmanager
    def _queue(self) -> Iterator[None]:
        if self.record.holder == get_ident():
            raise AssertionError("a transaction inside a transaction would wait for itself")
        with self.record.turn:
            self.record.holder = get_ident()
            try:
                yield
            finally:
                self.record.holder = None


class MemoryCollection(Draft):
    """A draft that may be for reading only, and that remembers the order of changes and what was refused."""

    def __init__(self, table: Table, unit: "MemoryUnit") -> None:
        super().__init__(table)
        self._unit = unit

    def put(self, *values: Any) -> None:
        with self._unit.writing():
            super().put(*values)
        for value in values:
            self._unit.touch(self._noun.name, getattr(value, self._noun.key), value)

    def delete(self, key: str) -> None:
        with self._unit.writing():
            super().delete(key)
        self._unit.touch(self._noun.name, key, None)


class MemoryEvents:
    """The port's EventLog over a list in which an event's place is its number less one."""

    def __init__(self, events: list[Event], count: int) -> None:
        self._events, self._count = events, count
        self.drafted: list[Event] = []
        self.unit: MemoryUnit

    def append(self, *drafts: EventDraft) -> None:
        with self.unit.writing():
            for seq, draft in enumerate(drafts, self.last_seq() + 1):
                for text in (draft.type, draft.subject, draft.actor, draft.tenant, draft.project, draft.cause):
                    checked_text(text)
                self.drafted.append(numbered(draft, seq))

    def find(
        self,
        where: Mapping[str, object] | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Event]:
        wanted = where or {}
        if unknown := wanted.keys() - EVENT_SEARCHABLE:
            raise KeyError(*unknown)
        end = self.last_seq() if before is None else min(before - 1, self.last_seq())
        places = range(max(after, 0), end)
        found: list[Event] = []
        for place in reversed(places) if newest_first else places:
            if len(found) == limit:
                break
            event = self._events[place] if place < self._count else self.drafted[place - self._count]
            if all(_is(getattr(event, name), value) for name, value in wanted.items()):
                found.append(event)
        return found

    def last_seq(self) -> int:
        return self._count + len(self.drafted)


def _is(held: object, wanted: object) -> bool:
    return held in wanted if isinstance(wanted, frozenset) else held == wanted


class MemoryUnit:
    """The port's Unit: its attributes are made from NOUNS."""

    def __init__(self, tables: Mapping[str, Table], events: MemoryEvents, *, writable: bool) -> None:
        self._writable = writable
        self.drafts = {name: MemoryCollection(table, self) for name, table in tables.items()}
        for name, draft in self.drafts.items():
            setattr(self, name, draft)
        self.events = events
        events.unit = self
        self.refused: XingliuError | None = None
        self._touched: dict[tuple[str, str], object] = {}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Once something was refused, nothing of the transaction is kept, whatever the caller made of the error."""
        if not self._writable:
            raise AssertionError("this unit is for reading; use Store.write")
        try:
            yield
        except XingliuError as error:
            self.refused = error
            raise

    def touch(self, noun: str, key: str, value: object) -> None:
        self._touched.pop((noun, key), None)
        self._touched[noun, key] = value

    def delta(self, version: int) -> Delta:
        put = tuple(value for value in self._touched.values() if value is not None)
        deleted = tuple(where for where, value in self._touched.items() if value is None)
        return Delta(version, put, deleted, tuple(self.events.drafted))
