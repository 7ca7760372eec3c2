"""Pools."""

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import Out
from xingliu.fleet.model import Pool

router = APIRouter(tags=["pools"])


class PoolOut(Out):
    """Nodes of one flavor."""

    name: str
    flavor: str


def _out(pool: Pool) -> PoolOut:
    return PoolOut(name=pool.name, flavor=pool.flavor)


@router.get("/v1/pools")
def list_pools(control: Control, asker: Asker, limit: Limit = 100, after: After = None) -> Page[PoolOut]:
    """By name."""
    return page_of(control.pools.list(asker, after=after, limit=limit + 1), limit, lambda pool: pool.name, _out)
