"""Virtual time: the source that may be stepped, and the Clock of one process over it, which keeps its promise."""

from xingliu.kernel.clock import SECOND_US, Clock

FIRST_US = 1_800_000_000 * SECOND_US


class Timeline:
    """True time, which only passes, and the machine's clock, which may be set.

    Attributes:
        true_us: since the simulation began, microseconds.
        set_by_us: how far the machine's clock is from true time, as somebody set it.
    """

    def __init__(self) -> None:
        self.true_us = 0
        self.set_by_us = 0

    def pass_by(self, us: int) -> None:
        self.true_us += us

    def step_clock(self, us: int) -> None:
        """Set the machine's clock forward, or back when negative."""
        self.set_by_us += us

    def wall_us(self, true_us: int | None = None) -> int:
        """What the machine's clock, as it is set now, shows at that true time; by default now."""
        return FIRST_US + (self.true_us if true_us is None else true_us) + self.set_by_us


class SimClock(Clock):
    """The clock of one control plane's process. `not_before_us`: the last instant on record, by whichever process."""

    def __init__(self, timeline: Timeline, *, not_before_us: int = 0) -> None:
        self._timeline = timeline
        self._latest_us = not_before_us

    def now_us(self) -> int:
        self._latest_us = max(self._latest_us, self._timeline.wall_us())
        return self._latest_us
