"""Where each waiting job stands in its queue: the order in which one plan decided them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from xingliu.kernel.ids import JobId, QueueName
from xingliu.scheduling.model import PendingJob
from xingliu.workloads.model import NEVER_STARTS, PendingReason, Wait

OUT_OF_LINE = NEVER_STARTS | {PendingReason.DEPENDENCY_WAITING, PendingReason.NOT_BEFORE}


@dataclass(frozen=True, slots=True)
class Position:
    """`number` of `of` jobs that wait in turn in `queue`; 1 is next."""

    queue: QueueName
    number: int
    of: int


class Line:
    """Those who wait in turn, counted when somebody first asks.

    Who is held itself, waits for others' ends or for an instant, or can never start as it is, is not in line; who waits in
    a queue that is held keeps its place.
    """

    def __init__(self, pending: Sequence[PendingJob] = (), waits: Mapping[JobId, Wait] | None = None) -> None:
        """`waits`: in the order of the plan's decisions."""
        self._pending, self._waits = pending, waits or {}

    def position(self, job: JobId) -> Position | None:
        """Its place in its own queue; None where it is not in line."""
        return self._positions.get(job)

    def among(self, queues: Collection[QueueName]) -> list[JobId]:
        """All of those queues, in the order in which they are decided."""
        return [job for job in self._queue_of if self._queue_of[job] in queues]

    @cached_property
    def _queue_of(self) -> dict[JobId, QueueName]:
        """Everyone in line, in order."""
        queues = {job.id: job.queue for job in self._pending}
        return {job: queues[job] for job, wait in self._waits.items() if _in_line(wait)}

    @cached_property
    def _positions(self) -> dict[JobId, Position]:
        lengths: dict[QueueName, int] = {}
        numbers: dict[JobId, int] = {}
        for job, queue in self._queue_of.items():
            numbers[job] = lengths[queue] = lengths.get(queue, 0) + 1
        return {job: Position(queue, numbers[job], lengths[queue]) for job, queue in self._queue_of.items()}


def _in_line(wait: Wait) -> bool:
    only_its_queue = wait.reason is not PendingReason.HELD or bool(wait.numbers.get("may_start"))
    return only_its_queue and wait.reason not in OUT_OF_LINE
