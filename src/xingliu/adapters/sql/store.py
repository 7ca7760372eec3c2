"""The Store over SQLite or PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any, cast
from weakref import WeakValueDictionary

from sqlalchemy import Engine, bindparam, select, update

from xingliu.adapters.sql import engines
from xingliu.adapters.sql.errors import in_words
from xingliu.adapters.sql.rows import shapes
from xingliu.adapters.sql.schema import prepare
from xingliu.adapters.sql.tables import world
from xingliu.adapters.sql.unit import Kept, Session, SqlUnit
from xingliu.control.errors import NotInControl
from xingliu.control.ports import Delta, Store, Unit

_SEIZE = update(world).values(epoch=world.c.epoch + 1, owner=bindparam("by")).returning(world.c.epoch)
_STEP = update(world).where(world.c.epoch == bindparam("mine")).values(version=world.c.version + 1).returning(world.c.version)
_VERSION = select(world.c.version)
_NEVER = -1


class SqlStore(Store):
    """Every write first steps the world's row, if it still has our epoch: that is both the guard and the queue.

    Within a process writes queue at a lock; between processes, at SQLite's write lock or PostgreSQL's lock on that row.
    """

    def __init__(self, reader: Engine, writer: Engine) -> None:
        self._reader, self._writer = reader, writer
        self._shapes = shapes(writer.dialect.name)
        self._kept: Kept = WeakValueDictionary[tuple[str, str], Any]()
        self._turn = Lock()
        self._holder: int | None = None
        self._epoch = _NEVER
        self._listeners: list[Callable[[Delta], None]] = []

    def seize(self, owner: str) -> None:
        with self._queue(), in_words(), self._writer.begin() as connection:
            self._epoch = int(connection.execute(_SEIZE, {"by": owner}).scalar_one())

    @contextmanager
    def read(self) -> Iterator[Unit]:
        with in_words(), self._reader.connect() as connection:
            yield cast(Unit, SqlUnit(Session(connection, self._shapes, self._kept, writable=False)))

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """A transaction that changed nothing is none: it takes no number and makes no delta."""
        with self._queue():
            with in_words(), self._writer.connect() as connection, connection.begin() as transaction:
                session = Session(connection, self._shapes, self._kept, writable=True)
                version = session.run(_STEP, {"mine": self._epoch}).scalar()
                if version is None:
                    raise NotInControl
                yield cast(Unit, SqlUnit(session))
                if session.refused is not None:
                    raise session.refused
                delta = session.delta(version)
                if not (delta.put or delta.deleted or delta.events):
                    transaction.rollback()
                    return
            for listener in self._listeners:
                listener(delta)

    def version(self) -> int:
        with in_words(), self._reader.connect() as connection:
            return int(connection.execute(_VERSION).scalar_one())

    def subscribe(self, listener: Callable[[Delta], None]) -> None:
        """Listeners run inside the writer's turn: they may read, must not write, and must not raise."""
        self._listeners.append(listener)

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def _queue(self) -> Iterator[None]:
        if self._holder == get_ident():
            raise AssertionError("a transaction inside a transaction would wait for itself")
        with self._turn:
            self._holder = get_ident()
            try:
                yield
            finally:
                self._holder = None


def open_store(url: str) -> SqlStore:
    """Open the store at `sqlite:///path` or `postgresql://...`, with tables as this version wants them.

    Raises BadValue, StoreUnavailable, StoreTooNew.
    """
    where = engines.read_url(url)
    engines.create_file(where)
    writer = engines.writer(where)
    try:
        with in_words(), writer.begin() as connection:
            prepare(connection)
    except BaseException:
        writer.dispose()
        raise
    return SqlStore(engines.reader(where), writer)
