"""What each part of a lease's time is."""

from collections.abc import Iterator

from xingliu.kernel.intervals import Interval
from xingliu.metering.model import HeldInterval, LeasedAs


def leased(held: HeldInterval, until_us: int) -> Interval:
    """From opened to released; one that is still held counts until `until_us`."""
    return Interval(held.opened_us, held.released_us if held.released_us is not None else until_us)


def parts(held: HeldInterval, until_us: int) -> Iterator[tuple[LeasedAs, Interval]]:
    """The leased time in its parts, in order and without gaps; empty ones may be among them.

    Opened to started is STARTING, started to ended BILLED, ended to released RELEASING. With a fault, all that follows
    the last instant that is known is the fault's instead, and running without a known end is not billed.
    """
    end_us = leased(held, until_us).end_us
    started_us, ended_us = held.started_us, held.ended_us
    if held.fault is not None:
        known = [us for us in (held.opened_us, started_us, ended_us) if us is not None]
        yield LeasedAs.STARTING, Interval(held.opened_us, started_us if started_us is not None else known[-1])
        if started_us is not None and ended_us is not None:
            yield LeasedAs.BILLED, Interval(started_us, ended_us)
        yield held.fault, Interval(known[-1], end_us)
        return
    over_us = ended_us if ended_us is not None else end_us
    yield LeasedAs.STARTING, Interval(held.opened_us, started_us if started_us is not None else over_us)
    if started_us is not None:
        yield LeasedAs.BILLED, Interval(started_us, over_us)
    yield LeasedAs.RELEASING, Interval(over_us, end_us)
