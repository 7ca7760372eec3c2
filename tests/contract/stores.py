"""Every store there is, behind one way to open a handle on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.postgres import fresh_database

from xingliu.adapters.sql.engines import read_url, writer
from xingliu.adapters.sql.store import open_store
from xingliu.adapters.sql.tables import metadata, world
from xingliu.control.ports import Store
from xingliu.sim.store import MemoryStore, Record

KINDS = [
    "memory",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.engine),
]


@dataclass
class Place:
    """Where a store is kept. `open_handle` gives a new handle on it, as a restarted or second control plane would have.

    `wipe` makes it as if new, for the next example of a property.
    """

    open_handle: Callable[[], Store]
    wipe: Callable[[], None]

    @contextmanager
    def in_control(self, owner: str = "first") -> Iterator[Store]:
        store = self.open_handle()
        store.seize(owner)
        try:
            yield store
        finally:
            store.close()


def memory_place() -> Place:
    records = [Record()]
    return Place(lambda: MemoryStore(records[-1]), lambda: records.append(Record()))


def sql_place(url: str) -> Place:
    def wipe() -> None:
        engine = writer(read_url(url))
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(insert(world), {"id": 1, "version": 0, "epoch": 0, "owner": ""})
        engine.dispose()

    return Place(lambda: open_store(url), wipe)


def make_place(request: pytest.FixtureRequest, kind: str, folder: Path) -> Place:
    if kind == "memory":
        return memory_place()
    if kind == "sqlite":
        return sql_place(f"sqlite:///{folder / 'store.db'}")
    return sql_place(fresh_database(request.getfixturevalue("postgres_url")))
