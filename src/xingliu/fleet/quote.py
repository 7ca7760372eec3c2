"""The list price of what a job asks for."""

from dataclasses import dataclass

from xingliu.fleet.model import Flavor
from xingliu.kernel.money import amount_minor

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Quote:
    """Minor units of `currency`. `total_minor` is up to the time limit, None without one. `unit` is `GPU` or `core`."""

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
