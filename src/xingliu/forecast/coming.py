"""The jobs of a trace that have not arrived yet, and how far its play is."""

from collections.abc import Callable, Iterator, Sequence

from xingliu.forecast.shaping import Arrival

TELL_EVERY = 256

Tell = Callable[[int, int], None]


class Coming:
    """Arrivals in the order of their submission, taken one by one.

    `tell` hears now and then how many jobs have arrived or ended, of how many such events.
    """

    def __init__(self, arrivals: Sequence[Arrival], tell: Tell) -> None:
        self.all = sorted(arrivals, key=lambda arrival: (arrival.job.submitted_us, arrival.job.id))
        self._tell = tell
        self._arrived = self._done = 0

    @property
    def next_us(self) -> int | None:
        """When the next one arrives; None when all have."""
        return self.all[self._arrived].job.submitted_us if self._arrived < len(self.all) else None

    def until(self, now_us: int) -> Iterator[Arrival]:
        """Take everyone who arrives until then."""
        while self.next_us is not None and self.next_us <= now_us:
            self._arrived += 1
            self.note()
            yield self.all[self._arrived - 1]

    def note(self) -> None:
        """One more has arrived or ended."""
        self._done += 1
        if self._done % TELL_EVERY == 0:
            self._tell(self._done, 2 * len(self.all))
