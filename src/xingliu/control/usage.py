"""Usage by tenant, project and job at list price, and the conservation law, both read off leases and nodes' stories."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xingliu.control.cloud import settings_of
from xingliu.control.ports import Store, Unit
from xingliu.control.records import held_intervals, node_spans
from xingliu.control.scope import Scope
from xingliu.control.witness import witnessed_intervals
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import BadValue
from xingliu.kernel.intervals import Interval
from xingliu.kernel.money import Price, read_price
from xingliu.metering.conservation import Conservation, conservation
from xingliu.metering.usage import By, Reading, list_price_minor, usage
from xingliu.metering.usage import Unit as MeteredUnit
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb

Prices = Mapping[tuple[str, MeteredUnit], Price]


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one tenant, project or job held, by flavor and unit, and what its billed part costs at list price."""

    key: str
    readings: tuple[Reading, ...]
    list_price_minor: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Rows by key; `window` ends no later than now."""

    currency: str
    window: Interval
    rows: tuple[UsageRow, ...]


class Usage:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def by(self, actor: Actor, by: By, *, since_us: int | None, until_us: int | None) -> UsageReport:
        """What the projects this actor sees held. Raises BadValue for a window that ends before it begins."""
        window = self._window(since_us, until_us)
        with self._store.read() as unit:
            where = Scope(unit, actor).narrow_by(Verb.USAGE_READ)
            readings = usage(held_intervals(unit, where, window), window, by)
            prices, currency = _prices(unit), settings_of(unit).currency
        return UsageReport(currency, window, tuple(_rows(readings, prices, currency)))

    def conservation(self, actor: Actor, *, since_us: int | None, until_us: int | None) -> tuple[Interval, Conservation]:
        """Whether every device's time adds up, pool by pool. Raises Forbidden, BadValue."""
        window = self._window(since_us, until_us)
        with self._store.read() as unit:
            Scope(unit, actor).require(Verb.CONSERVATION_READ)
            return window, conserved(unit, window)

    def _window(self, since_us: int | None, until_us: int | None) -> Interval:
        now_us = self._clock.now_us()
        window = Interval(since_us or 0, now_us if until_us is None else min(until_us, now_us))
        if window.end_us < window.start_us:
            raise BadValue(str(since_us), "a beginning before the end", "Give `since` an instant before `until` and before now.")
        return window


def conserved(unit: Unit, window: Interval) -> Conservation:
    """The conservation report of everything, for `window`, which ends no later than now."""
    spans, kinds = node_spans(unit)
    held = list(held_intervals(unit, {}, window))
    return conservation(spans, held, window, kinds, witnessed=witnessed_intervals(unit, window))


def _rows(readings: Iterable[Reading], prices: Prices, currency: str) -> list[UsageRow]:
    by_key: dict[str, list[Reading]] = {}
    for reading in readings:
        by_key.setdefault(reading.key, []).append(reading)
    return [
        UsageRow(
            key,
            tuple(of_key),
            sum(list_price_minor(one, prices.get((one.flavor, one.unit), Price(0)), currency) for one in of_key),
        )
        for key, of_key in by_key.items()
    ]


def _prices(unit: Unit) -> dict[tuple[str, MeteredUnit], Price]:
    """The list prices in force; of a flavor that is no longer there, its last."""
    prices: dict[tuple[str, MeteredUnit], Price] = {}
    for event in unit.events.find({"type": "flavor.deleted"}):
        shown = event.facts["before"]
        if isinstance(shown, Mapping):
            prices[event.subject, MeteredUnit.CORE] = read_price(str(shown["core_price"]))
            prices[event.subject, MeteredUnit.GPU] = read_price(str(shown["gpu_price"]))
    for flavor in unit.flavors.find():
        prices[flavor.name, MeteredUnit.CORE] = flavor.core_price
        prices[flavor.name, MeteredUnit.GPU] = flavor.gpu_price
    return prices
