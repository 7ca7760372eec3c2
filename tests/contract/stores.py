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
"""For a fixture `place`, parametrized: every test runs over each."""


@dataclass
class Place:
    """Where a store is kept. `open_handle` gives a new handle on it, as a restarted or second control plane would have.

    `fresh` gives a store that is as if new and in control, quickly: for every next example of a property.
    """

    open_handle: Callable[[], Store]
    fresh: Callable[[], Store]

    @contextmanager
    def in_control(self, owner: str = "first") -> Iterator[Store]:
        store = self.open_handle()
        store.seize(owner)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def place_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    if kind == "memory":
        yield memory_place()
    elif kind == "sqlite":
        with sql_place(f"sqlite:///{folder / 'store.db'}") as place:
            yield place
    else:
        with sql_place(fresh_database(request.getfixturevalue("postgres_url"))) as place:
            yield place


def memory_place() -> Place:
    record = Record()

    def fresh() -> Store:
        store = MemoryStore()
        store.seize("fresh")
        return store

    return Place(lambda: MemoryStore(record), fresh)


@contextmanager
def sql_place(url: str) -> Iterator[Place]:
    store = open_store(url)
    engine = writer(read_url(url))

    def fresh() -> Store:
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(insert(world), {"id": 1, "version": 0, "epoch": 0, "owner": ""})
        store.seize("fresh")
        return store

    yield Place(lambda: open_store(url), fresh)
    engine.dispose()
    store.close()
