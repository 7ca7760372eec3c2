"""How long jobs without a time limit run: as long as jobs like them of their project did.

The middle of those that ran longer than it has already: of the same user and number of GPUs where there are LIKE_MIN of
them, else of the same number of GPUs, else of the project. As it runs on, its expected end only moves later.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from xingliu.kernel.ids import ProjectId, UserId
from xingliu.scheduling.model import PendingJob, RunningJob

LIKE_MIN = 3
KEPT_MAX = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes jobs alike here; `gpus` of all their replicas together."""

    project: ProjectId
    user: UserId
    gpus: int

    @classmethod
    def of(cls, job: PendingJob | RunningJob) -> "Kind":
        if isinstance(job, RunningJob):
            return cls(job.project, job.user, sum(len(seat.gpus) for seat in job.seats))
        asked = ((part.replicas, part.request.gpu) for part in job.parts)
        return cls(job.project, job.user, sum(replicas * gpu.count for replicas, gpu in asked if gpu is not None))

    def widening(self) -> Iterator[Hashable]:
        """Itself, then kinds that hold more jobs."""
        yield self
        yield self.project, self.gpus
        yield self.project


@dataclass(frozen=True, slots=True)
class Guess:
    """A run time, all attempts together, and of how many jobs it is the middle."""

    run_us: int
    of: int


class History:
    """The run times of jobs that are over: the last KEPT_MAX of each kind."""

    def __init__(self, past: Iterable[tuple[Kind, int]] = ()) -> None:
        """`past`: oldest first."""
        self._kept: dict[Hashable, deque[int]] = defaultdict(lambda: deque(maxlen=KEPT_MAX))
        self._sorted: dict[Hashable, list[int]] = {}
        for kind, run_us in past:
            self.add(kind, run_us)

    def add(self, kind: Kind, run_us: int) -> None:
        """One more job is over, however it ended."""
        for wider in kind.widening():
            self._kept[wider].append(run_us)
            self._sorted.pop(wider, None)

    def guess(self, kind: Kind, ran_us: int = 0) -> Guess | None:
        """How long one of that kind runs that has run `ran_us` already; None where too few, or none that long, are known."""
        for wider in kind.widening():
            if len(self._kept.get(wider, ())) >= LIKE_MIN:
                longer = self._in_order(wider)
                longer = longer[bisect_right(longer, ran_us) :]
                return Guess(middle(longer), len(longer)) if longer else None
        return None

    def _in_order(self, kind: Hashable) -> list[int]:
        if kind not in self._sorted:
            self._sorted[kind] = sorted(self._kept[kind])
        return self._sorted[kind]


def middle(in_order: list[int]) -> int:
    """The median; of two in the middle the later, so that it is one of them."""
    return in_order[len(in_order) // 2]
