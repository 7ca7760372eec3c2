"""Flavors with their list prices, and pools: shown to everyone; cloud.py changes them."""

from xingliu.control.ports import Store
from xingliu.control.scope import Scope
from xingliu.fleet.model import Flavor, Pool
from xingliu.kernel.ids import FlavorName, PoolName
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb


class Flavors:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, actor: Actor, *, after: str | None = None, limit: int = 100) -> list[Flavor]:
        """By name. Raises Forbidden."""
        with self._store.read() as unit:
            Scope(unit, actor).require_somewhere(Verb.NODE_READ)
            return unit.flavors.find(after=FlavorName(after) if after else None, limit=limit)


class Pools:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, actor: Actor, *, after: str | None = None, limit: int = 100) -> list[Pool]:
        """By name. Raises Forbidden."""
        with self._store.read() as unit:
            Scope(unit, actor).require_somewhere(Verb.NODE_READ)
            return unit.pools.find(after=PoolName(after) if after else None, limit=limit)
