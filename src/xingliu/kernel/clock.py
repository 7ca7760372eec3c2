"""The clock port. Instants are integer microseconds UTC since 1970."""

from typing import Protocol

SECOND_US = 1_000_000


class Clock(Protocol):
    def now_us(self) -> int:
        """This instant, integer microseconds UTC. Never goes back within one process."""
        ...
