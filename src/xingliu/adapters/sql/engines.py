"""Connections: one for writing, some for reading, with what each database needs to keep the port's promises."""

import os
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from xingliu.adapters.sql.errors import FILE_CANNOT_BE_OPENED
from xingliu.control.errors import StoreUnavailable
from xingliu.kernel.errors import BadValue

LOCK_WAIT_S = 10
READERS = 8
READERS_MAX = 48
STATEMENTS_CACHED = 1000


def read_url(text: str) -> URL:
    """`sqlite:///path` or `postgresql://...`. Raises BadValue, which never repeats a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = URL.create("unknown")
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    shown = text.partition("://")[0] + "://..."
    raise BadValue(shown, "a store's URL", "Write sqlite:////absolute/path/store.db or postgresql://user@host/database.")


def create_file(url: URL) -> None:
    """Make the SQLite file readable by its owner alone before anything is in it; its companions inherit that.

    Raises StoreUnavailable.
    """
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        try:
            os.close(os.open(str(url.database), os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreUnavailable(FILE_CANNOT_BE_OPENED) from error


def writer(url: URL) -> Engine:
    """One connection, as writes are serialised anyway; on SQLite a transaction takes the lock when it begins."""
    if url.get_backend_name() != "sqlite":
        return _postgres(url, pool_size=1, max_overflow=0)
    engine = _sqlite(url, pool_size=1, max_overflow=0)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reader(url: URL) -> Engine:
    """Each transaction sees the store as at its first statement, and cannot write."""
    sizes = {"pool_size": READERS, "max_overflow": READERS_MAX - READERS}
    if url.get_backend_name() != "sqlite":
        engine = _postgres(url, isolation_level="REPEATABLE READ", **sizes)
        return engine.execution_options(postgresql_readonly=True)
    engine = _sqlite(url, **sizes)

    @event.listens_for(engine, "connect")
    def connect(connection: SqliteConnection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _sqlite(url: URL, **options: Any) -> Engine:
    """`isolation_level` None: the driver begins nothing by itself."""
    engine = create_engine(
        url,
        poolclass=QueuePool,
        query_cache_size=STATEMENTS_CACHED,
        pool_timeout=LOCK_WAIT_S,
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": LOCK_WAIT_S, "cached_statements": 400},
        **options,
    )

    @event.listens_for(engine, "connect")
    def connect(connection: SqliteConnection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _postgres(url: URL, **options: Any) -> Engine:
    """A peer that hangs inside a transaction loses it, so that another may take over."""
    engine = create_engine(
        url,
        query_cache_size=STATEMENTS_CACHED,
        connect_args={"connect_timeout": LOCK_WAIT_S},
        pool_timeout=LOCK_WAIT_S,
        **options,
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_WAIT_S}s'")
            cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.commit()

    return engine
