"""Values that hold over intervals, walked forward in time."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from xingliu.kernel.intervals import Interval

T = TypeVar("T")


class Track(Generic[T]):
    """Each value holds from its interval's start until before its end; intervals may overlap, empty ones do not count."""

    def __init__(self, values: Iterable[tuple[Interval, T]], window: Interval) -> None:
        inside = [(interval.within(window), value) for interval, value in values]
        self._coming = sorted((pair for pair in inside if pair[0].length_us), key=lambda pair: pair[0].start_us, reverse=True)
        self._now: list[tuple[Interval, T]] = []

    def edges(self) -> Iterator[int]:
        """Every instant at which a value begins or ends to hold."""
        for interval, _ in self._coming:
            yield interval.start_us
            yield interval.end_us

    def at(self, us: int) -> list[T]:
        """What holds at `us`, which is not before the instant last asked for."""
        self._now = [pair for pair in self._now if pair[0].end_us > us]
        while self._coming and self._coming[-1][0].start_us <= us:
            self._now.append(self._coming.pop())
        return [value for _, value in self._now]
