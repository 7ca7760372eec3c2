"""Half-open intervals of time: [start, end)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Integer microseconds UTC; empty when end <= start."""

    start_us: int
    end_us: int

    @property
    def length_us(self) -> int:
        return max(0, self.end_us - self.start_us)

    def within(self, window: "Interval") -> "Interval":
        """The part of this interval inside `window`."""
        return Interval(max(self.start_us, window.start_us), min(self.end_us, window.end_us))
