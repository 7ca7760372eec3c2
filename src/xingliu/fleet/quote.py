"""The list price of what a job asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from xingliu.fleet.model import Flavor
from xingliu.kernel.money import amount_minor

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Quote:
    """Minor units of `currency`. `total_minor` is up to the time limit, None without one.

    `unit` is `GPU` or `core`, or `node` for parts that are priced by one and the other.
    """

    currency: str
    unit: str
    units_milli: int
    per_hour_minor: int
    total_minor: int | None


def quote(flavor: Flavor, *, cpu_milli: int, gpus: int, replicas: int, time_limit_us: int | None, currency: str) -> Quote:
    """A job that holds GPUs is priced by GPUs, any other by cores; `cpu_milli` and `gpus` are for one replica."""
    price = flavor.gpu_price if gpus else flavor.core_price
    milli = replicas * (gpus * 1000 if gpus else cpu_milli)
    total = None if time_limit_us is None else amount_minor(milli * time_limit_us, price, currency)
    return Quote(currency, "GPU" if gpus else "core", milli, amount_minor(milli * HOUR_US, price, currency), total)


def together(quotes: Sequence[Quote], *, nodes: int) -> Quote:
    """The price of several parts, of one currency and one time limit, on so many nodes."""
    first = quotes[0]
    alike = all(each.unit == first.unit for each in quotes)
    totals = [each.total_minor for each in quotes if each.total_minor is not None]
    return Quote(
        first.currency,
        first.unit if alike else "node",
        sum(each.units_milli for each in quotes) if alike else nodes * 1000,
        sum(each.per_hour_minor for each in quotes),
        sum(totals) if totals else None,
    )
