"""Flavors with their list prices."""

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import Out
from xingliu.fleet.model import Flavor
from xingliu.kernel.money import show_price

router = APIRouter(tags=["flavors"])


class FlavorOut(Out):
    """A kind of hardware. Prices are decimal numbers of the cloud's currency for an hour of one core or GPU."""

    name: str
    gpu: str | None
    emulated: bool
    core_price: str
    gpu_price: str


def _out(flavor: Flavor) -> FlavorOut:
    return FlavorOut(
        name=flavor.name,
        gpu=flavor.gpu,
        emulated=flavor.emulated,
        core_price=show_price(flavor.core_price),
        gpu_price=show_price(flavor.gpu_price),
    )


@router.get("/v1/flavors")
def list_flavors(control: Control, asker: Asker, limit: Limit = 100, after: After = None) -> Page[FlavorOut]:
    """By name."""
    return page_of(control.flavors.list(asker, after=after, limit=limit + 1), limit, lambda flavor: flavor.name, _out)
