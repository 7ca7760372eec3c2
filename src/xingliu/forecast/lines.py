"""Who waits, in a line for each kind of job, so that a long queue need not be shown whole to `decide`."""

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import Plan, StayPending

FIRST_SHOWN = 2
THEN_TIMES = 4

Kind = Hashable
Turn = Any


class Lines:
    """Lines of waiting jobs by kind, each in the order of their turns, lower first.

    Of jobs of one kind, `decide` never places a later one before an earlier one: so the first few tell all.
    """

    def __init__(self) -> None:
        self._lines: dict[Kind, list[tuple[Turn, JobId]]] = {}
        self._places: dict[JobId, tuple[Kind, Turn]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._places)

    def __contains__(self, kind: Kind) -> bool:
        """Whether one of that kind waits."""
        return kind in self._lines

    def join(self, job: JobId, kind: Kind, turn: Turn) -> None:
        """Into the line of its kind, at its turn."""
        insort(self._lines.setdefault(kind, []), (turn, job))
        self._places[job] = kind, turn

    def leave(self, job: JobId) -> None:
        kind, turn = self._places.pop(job)
        line = self._lines[kind]
        del line[bisect_left(line, (turn, job))]
        if not line:
            del self._lines[kind]

    def first(self, shown: Mapping[Kind, int]) -> Iterator[JobId]:
        """The first few of each line, as many as `shown` says of its kind."""
        for kind, count in shown.items():
            for _, job in islice(self._lines.get(kind, ()), count):
                yield job

    def plan(
        self,
        decide: Callable[[Iterable[JobId]], Plan],
        shown: Mapping[Kind, int] | None = None,
        *,
        among: Iterable[Kind] | None = None,
    ) -> tuple[Plan, int]:
        """The plan for all who wait, and how often `decide` was asked: again with more, where all shown were placed,
        or had others stopped: one more of that kind might too. `among`: for those kinds alone.
        """
        counts = dict.fromkeys(self._lines if among is None else among, FIRST_SHOWN) | dict(shown or {})
        asked = 0
        while True:
            plan = decide(self.first(counts))
            asked += 1
            stay = {
                decision.job for decision in plan.decisions if isinstance(decision, StayPending) and not _has_stopped(decision)
            }
            short = [kind for kind, count in counts.items() if self._all_placed(kind, count, stay)]
            if not short:
                return plan, asked
            for kind in short:
                counts[kind] *= THEN_TIMES

    def _all_placed(self, kind: Kind, shown: int, stay: set[JobId]) -> bool:
        """Whether more wait than were shown, and none of those shown stays."""
        line = self._lines.get(kind, [])
        return shown < len(line) and stay.isdisjoint(job for _, job in islice(line, shown))


def _has_stopped(stay: StayPending) -> bool:
    return stay.claim is not None and stay.claim.by_eviction
