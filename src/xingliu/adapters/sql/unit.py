"""One transaction, as control sees it: collections of values and the event log."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, bindparam, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from xingliu.adapters.sql.errors import refusal
from xingliu.adapters.sql.questions import NothingMatches, ask
from xingliu.adapters.sql.rows import Shape, Values
from xingliu.adapters.sql.tables import events, held_gpus
from xingliu.control.nouns import NOUNS, Noun, check_values, checked_text, storable
from xingliu.control.ports import Delta
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.events import Event, EventDraft, numbered
from xingliu.workloads.model import Lease

_LET_GO = delete(held_gpus).where(held_gpus.c.lease == bindparam("of_lease"))
_HOLD = insert(held_gpus)
_LAST_SEQ = select(func.coalesce(func.max(events.c.seq), 0))
HELD = frozenset(noun.references[attribute] for noun in NOUNS.values() for attribute in noun.holds.values())
Kept = MutableMapping[tuple[str, str], Any]
"""Values that others hold, by noun and id, for as long as anybody holds them."""


class Session:
    """A connection inside a transaction, and what was changed through it.

    Once something was refused, nothing of the transaction is kept, whatever the caller made of the error: on
    PostgreSQL it could not be, and the other stores shall not differ.
    """

    def __init__(self, connection: Connection, shapes: Mapping[str, Shape], kept: Kept, *, writable: bool) -> None:
        self._connection, self.shapes, self._kept, self._writable = connection, shapes, kept, writable
        self.dialect = connection.dialect.name
        self.changes: dict[tuple[str, str], object] = {}
        self.events: list[Event] = []
        self.refused: XingliuError | None = None

    def run(self, statement: Executable, values: Values | Sequence[Values] | None = None) -> CursorResult[Any]:
        """Raises StoreUnavailable, BrokenRule, BadValue."""
        try:
            return self._connection.execute(statement, values)
        except (SQLAlchemyError, UnicodeEncodeError) as error:
            raise refusal(error) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        if not self._writable:
            raise AssertionError("this unit is for reading; use Store.write")
        try:
            yield
        except XingliuError as error:
            self.refused = error
            raise

    def keep(self, noun: str, values: Iterable[Any]) -> None:
        """Remember what others may hold, so that all who do share one."""
        if noun in HELD:
            for value in values:
                self._kept.setdefault((noun, value.id), value)

    def whole(self, noun: str, ids: Iterable[str]) -> dict[str, Any]:
        """These values of what others hold, by id; those that are not in memory are read at once."""
        found = {each: value for each in set(ids) if (value := self._kept.get((noun, each))) is not None}
        missing = frozenset(set(ids) - found.keys())
        for value in _find(self, self.shapes[noun], {"id": missing}) if missing else ():
            found[value.id] = self._kept.setdefault((noun, value.id), value)
        return found

    def delta(self, version: int) -> Delta:
        put = tuple(value for value in self.changes.values() if value is not None)
        deleted = tuple(where for where, value in self.changes.items() if value is None)
        return Delta(version, put, deleted, tuple(self.events))


class SqlCollection:
    """The port's Collection over one table."""

    def __init__(self, session: Session, noun: Noun) -> None:
        self._session, self._noun = session, noun
        self._shape = session.shapes[noun.name]

    def get(self, key: str) -> Any:
        if not storable(key):
            return None
        row = self._session.run(self._shape.select_one, {"key": key}).first()
        return None if row is None else _values(self._session, self._shape, [row])[0]

    def find(
        self,
        where: Mapping[str, object] | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Any]:
        above, below = (None, after) if newest_first else (after, None)
        return _find(self._session, self._shape, where, above=above, below=below, limit=limit, newest_first=newest_first)

    def tally(self, by: str, where: Mapping[str, object] | None = None) -> dict[object, int]:
        if by not in self._noun.searchable:
            raise KeyError(by)
        try:
            question = ask(self._session.dialect, self._shape.searchable, where)
        except NothingMatches:
            return {}
        return self._shape.counted(by, self._session.run(self._shape.counts(by, question.page), question.values).all())

    def put(self, *values: Any) -> None:
        with self._session.writing():
            check_values(self._noun, values)
            self._session.keep(self._noun.name, values)
            if values:
                self._session.run(self._shape.upsert, [self._shape.row(value) for value in values])
            if self._noun.type is Lease:
                self._hold_gpus(values)
        for value in values:
            key = (self._noun.name, getattr(value, self._noun.key))
            self._session.changes.pop(key, None)
            self._session.changes[key] = value

    def delete(self, key: str) -> None:
        with self._session.writing():
            self._session.run(self._shape.delete_one, {"key": checked_text(key)})
        self._session.changes.pop((self._noun.name, key), None)
        self._session.changes[self._noun.name, key] = None

    def _hold_gpus(self, leases: Sequence[Lease]) -> None:
        """Devices that are let go first, so that one plan may hand a device on."""
        with_gpus = [lease for lease in leases if lease.gpus]
        if with_gpus:
            self._session.run(_LET_GO, [{"of_lease": lease.id} for lease in with_gpus])
        held = [
            {"node": lease.node, "gpu": gpu, "lease": lease.id}
            for lease in with_gpus
            if lease.released_us is None
            for gpu in lease.gpus
        ]
        if held:
            self._session.run(_HOLD, held)


class SqlEvents:
    """The port's EventLog. Numbers follow commits because the world's row is locked before the first is taken."""

    def __init__(self, session: Session) -> None:
        self._session, self._shape = session, session.shapes["events"]
        self._last: int | None = None

    def append(self, *drafts: EventDraft) -> None:
        with self._session.writing():
            if not drafts:
                return
            if self._last is None:
                self._last = self.last_seq()
            appended = [numbered(draft, seq) for seq, draft in enumerate(drafts, self._last + 1)]
            for event in appended:
                for text in (event.type, event.subject, event.actor, event.tenant, event.project, event.cause):
                    checked_text(text)
            self._session.run(insert(events), [self._shape.row(event) for event in appended])
            self._last += len(appended)
        self._session.events += appended

    def find(
        self,
        where: Mapping[str, object] | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Event]:
        bounds = {"above": after, "below": before, "limit": limit, "newest_first": newest_first}
        return _find(self._session, self._shape, where, **bounds)

    def last_seq(self) -> int:
        return int(self._session.run(_LAST_SEQ).scalar_one())


def _find(session: Session, shape: Shape, where: Mapping[str, object] | None, **bounds: Any) -> list[Any]:
    try:
        question = ask(session.dialect, shape.searchable, where, **bounds)
    except NothingMatches:
        return []
    return _values(session, shape, session.run(shape.page(question.page), question.values).all())


def _values(session: Session, shape: Shape, rows: Sequence[Any]) -> list[Any]:
    whole: dict[str, Any] = {}
    for place, noun in shape.held.items():
        whole |= session.whole(noun, {row[place] for row in rows})
    return [shape.value(row, whole) for row in rows]


class SqlUnit:
    """The port's Unit: its attributes are made from NOUNS."""

    def __init__(self, session: Session) -> None:
        for noun in NOUNS.values():
            setattr(self, noun.name, SqlCollection(session, noun))
        self.events = SqlEvents(session)
