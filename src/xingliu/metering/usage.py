"""Usage: what was held in a window, exact, by whoever asks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from xingliu.kernel.intervals import Interval
from xingliu.kernel.money import Price, amount_minor
from xingliu.kernel.resources import CPU
from xingliu.metering.model import HeldInterval, LeasedAs, LostTo
from xingliu.metering.parts import parts

Key = TypeVar("Key")
Part = TypeVar("Part")


class By(StrEnum):
    """What readings are added up by."""

    TENANT = "tenant"
    PROJECT = "project"
    JOB = "job"


class Unit(StrEnum):
    """What a lease is metered in: GPUs when it holds some, else cores."""

    GPU = "GPU"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one tenant, project or job held of one flavor, in milli-units x microseconds.

    Attributes:
        leased_as: by part; the parts add up to `leased`.
        lost: of the billed part, what did not move the work forward, by cause.
    """

    key: str
    flavor: str
    unit: Unit
    leased_as: Mapping[LeasedAs, int]
    lost: Mapping[LostTo, int]

    @property
    def leased(self) -> int:
        return sum(self.leased_as.values())

    @property
    def billed(self) -> int:
        return self.leased_as.get(LeasedAs.BILLED, 0)

    @property
    def goodput(self) -> int:
        """Billed time of attempts that succeeded or still run, and of others up to their last checkpoint seen."""
        return self.billed - sum(self.lost.values())

    @property
    def badput(self) -> dict[str, int]:
        """All other leased time, by cause; with goodput it adds up to `leased`."""
        unbilled = {part.value: amount for part, amount in self.leased_as.items() if part is not LeasedAs.BILLED}
        return {**{cause.value: amount for cause, amount in self.lost.items()}, **unbilled}


def unit_of(held: HeldInterval) -> Unit:
    return Unit.GPU if _gpu_milli(held) else Unit.CORE


def usage(intervals: Iterable[HeldInterval], window: Interval, by: By) -> list[Reading]:
    """Readings of what was held inside `window`, by key, flavor and unit, in that order.

    What is still held counts until the window's end, which is therefore not after now.
    """
    leased_as: dict[tuple[str, str, Unit], dict[LeasedAs, int]] = {}
    lost: dict[tuple[str, str, Unit], dict[LostTo, int]] = {}
    for held in intervals:
        key = (str(getattr(held, by.value)), held.flavor, unit_of(held))
        milli = _gpu_milli(held) or held.resources[CPU]
        for part, interval in parts(held, window.end_us):
            _add(leased_as, key, part, interval.within(window).length_us * milli)
        if held.lost_to is not None:
            _add(lost, key, held.lost_to, _lost(held, window).length_us * milli)
    return [Reading(*key, amounts, lost.get(key, {})) for key, amounts in sorted(leased_as.items()) if amounts]


def list_price_minor(reading: Reading, price: Price, currency: str) -> int:
    """What the reading's billed time costs at the flavor's price for its unit, in minor units, rounded once, half up."""
    return amount_minor(reading.billed, price, currency)


def _lost(held: HeldInterval, window: Interval) -> Interval:
    """The billed time after the last checkpoint seen, all of it without one."""
    for part, billed in parts(held, window.end_us):
        if part is LeasedAs.BILLED:
            kept_us = held.preserved_until_us if held.preserved_until_us is not None else billed.start_us
            return Interval(max(billed.start_us, kept_us), billed.end_us).within(window)
    return Interval(0, 0)


def _gpu_milli(held: HeldInterval) -> int:
    return sum(amount for kind, amount in held.resources.items() if kind.startswith("gpu."))


def _add(amounts: dict[Key, dict[Part, int]], key: Key, part: Part, amount: int) -> None:
    if amount:
        of_key = amounts.setdefault(key, {})
        of_key[part] = of_key.get(part, 0) + amount
