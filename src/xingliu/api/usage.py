"""Usage at list price, and the conservation law."""

from collections.abc import Iterable

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.pages import Instant
from xingliu.api.shapes import Out
from xingliu.control.usage import UsageRow
from xingliu.metering.conservation import PoolBalance
from xingliu.metering.usage import By, Reading, Unit

router = APIRouter(tags=["usage"])


class ReadingOut(Out):
    """What was held of one flavor, in milli-units x microseconds; `lost` by cause, `leased_as` by part."""

    flavor: str
    unit: str
    leased_as: dict[str, int]
    lost: dict[str, int]
    goodput_milli_us: int


class UsageRowOut(Out):
    """All in milli-units x microseconds: GPUs for leases that hold some, cores for all others.

    `goodput` is billed time that moved the work forward, `lost` all other leased time, `badput` the same by cause.
    """

    key: str
    gpu_milli_us: int
    core_milli_us: int
    billed_gpu_milli_us: int
    billed_core_milli_us: int
    goodput_milli_us: int
    lost_milli_us: int
    badput: dict[str, int]
    list_price_minor: int
    readings: list[ReadingOut]


class UsageOut(Out):
    currency: str
    since_us: int
    until_us: int
    items: list[UsageRowOut]


class BalanceOut(Out):
    """One pool over the window, in milli-units of `kind` x microseconds."""

    pool: str
    kind: str
    since_us: int
    until_us: int
    capacity: int
    classes: dict[str, int]
    leased_as: dict[str, int]
    difference: int


class ConservationOut(Out):
    """`holds` is false where anything does not add up; `hours` has each pool hour by hour."""

    since_us: int
    until_us: int
    holds: bool
    pools: list[BalanceOut]
    hours: list[BalanceOut]


@router.get("/v1/usage")
def usage(control: Control, asker: Asker, by: By = By.PROJECT, since_us: Instant = None, until_us: Instant = None) -> UsageOut:
    """What the projects you see held, and what it costs at list price."""
    found = control.usage.by(asker, by, since_us=since_us, until_us=until_us)
    return UsageOut(
        currency=found.currency,
        since_us=found.window.start_us,
        until_us=found.window.end_us,
        items=[_row(row) for row in found.rows],
    )


@router.get("/v1/usage/conservation")
def show_conservation(control: Control, asker: Asker, since_us: Instant = None, until_us: Instant = None) -> ConservationOut:
    """Whether each device's time adds up, pool by pool."""
    window, found = control.usage.conservation(asker, since_us=since_us, until_us=until_us)
    return ConservationOut(
        since_us=window.start_us,
        until_us=window.end_us,
        holds=found.holds,
        pools=[_balance(balance) for balance in found.pools],
        hours=[_balance(balance) for balance in found.hours],
    )


def _row(row: UsageRow) -> UsageRowOut:
    leased = sum(reading.leased for reading in row.readings)
    goodput = sum(reading.goodput for reading in row.readings)
    badput: dict[str, int] = {}
    for reading in row.readings:
        for cause, amount in reading.badput.items():
            badput[cause] = badput.get(cause, 0) + amount
    return UsageRowOut(
        key=row.key,
        gpu_milli_us=sum(reading.leased for reading in _of(row.readings, Unit.GPU)),
        core_milli_us=sum(reading.leased for reading in _of(row.readings, Unit.CORE)),
        billed_gpu_milli_us=sum(reading.billed for reading in _of(row.readings, Unit.GPU)),
        billed_core_milli_us=sum(reading.billed for reading in _of(row.readings, Unit.CORE)),
        goodput_milli_us=goodput,
        lost_milli_us=leased - goodput,
        badput=badput,
        list_price_minor=row.list_price_minor,
        readings=[_reading(reading) for reading in row.readings],
    )


def _of(readings: Iterable[Reading], unit: Unit) -> list[Reading]:
    return [reading for reading in readings if reading.unit is unit]


def _reading(reading: Reading) -> ReadingOut:
    return ReadingOut(
        flavor=reading.flavor,
        unit=reading.unit.value,
        leased_as={part.value: amount for part, amount in reading.leased_as.items()},
        lost={cause.value: amount for cause, amount in reading.lost.items()},
        goodput_milli_us=reading.goodput,
    )


def _balance(balance: PoolBalance) -> BalanceOut:
    return BalanceOut(
        pool=balance.pool,
        kind=balance.kind,
        since_us=balance.interval.start_us,
        until_us=balance.interval.end_us,
        capacity=balance.capacity,
        classes={of.value: amount for of, amount in balance.classes.items()},
        leased_as={part.value: amount for part, amount in balance.leased_as.items()},
        difference=balance.difference,
    )
