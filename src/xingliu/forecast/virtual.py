"""A snapshot that can be moved on: jobs end, jobs start, and what is free follows."""

import heapq
from dataclasses import replace

from xingliu.kernel.ids import JobId, QueueName
from xingliu.scheduling.model import NodeView, Place, RunningJob, Seat, Snapshot


class VirtualCloud:
    """The cloud of one snapshot in virtual time. Nothing is submitted, no node changes state."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._first = snapshot
        self._numbers = 0
        self.now_us = snapshot.now_us
        self._nodes = {node.name: node for node in snapshot.nodes}
        self._queues = {queue.name: queue for queue in snapshot.queues}
        self.pending = {job.id: job for job in snapshot.pending}
        self._running: dict[int, RunningJob] = {}  # by a number: what still lets go of one attempt may start another
        self._ends: list[tuple[int, JobId, int]] = []
        for job in snapshot.running:
            self._run(job)

    @property
    def running(self) -> tuple[RunningJob, ...]:
        return tuple(self._running.values())

    def _run(self, job: RunningJob) -> None:
        self._numbers += 1
        self._running[self._numbers] = job
        if job.ends_us is not None:
            heapq.heappush(self._ends, (job.ends_us, job.id, self._numbers))

    def snapshot(self) -> Snapshot:
        return replace(
            self._first,
            now_us=self.now_us,
            nodes=tuple(self._nodes.values()),
            queues=tuple(self._queues.values()),
            pending=tuple(self.pending.values()),
            running=self.running,
        )

    def start(self, place: Place) -> None:
        """Give the job its seats now; it ends when what is left of its time limit is over."""
        job = self.pending.pop(place.job)
        ends_us = None if job.time_left_us is None else self.now_us + job.time_left_us
        self._run(RunningJob(job.id, job.name, job.queue, place.seats, ends_us))
        for seat in place.seats:
            self._nodes[seat.node] = _with_less(self._nodes[seat.node], seat)
            self._charge(job.queue, seat, sign=1)

    def step(self) -> tuple[RunningJob, ...]:
        """Move to the next end and let everything end that ends then; nothing when nothing more will end.

        A job that is past its limit already ends now.
        """
        ended: list[RunningJob] = []
        while self._ends and (not ended or self._ends[0][0] <= self.now_us):
            ends_us, _, number = heapq.heappop(self._ends)
            self.now_us = max(self.now_us, ends_us)
            gone = self._running.pop(number)
            self._end(gone)
            ended.append(gone)
        return tuple(ended)

    def _end(self, gone: RunningJob) -> None:
        for seat in gone.seats:
            if seat.node in self._nodes:
                self._nodes[seat.node] = _with_more(self._nodes[seat.node], seat)
            self._charge(gone.queue, seat, sign=-1)

    def _charge(self, queue: QueueName, seat: Seat, *, sign: int) -> None:
        view = self._queues.get(queue)
        if view is not None:
            self._queues[view.name] = replace(view, in_use=view.in_use + seat.charge * sign)


def _with_less(node: NodeView, seat: Seat) -> NodeView:
    left = tuple(gpu for gpu in node.free_gpus if gpu not in seat.gpus)
    return replace(node, free=node.free - seat.resources, free_gpus=left)


def _with_more(node: NodeView, seat: Seat) -> NodeView:
    return replace(node, free=node.free + seat.resources, free_gpus=tuple(sorted({*node.free_gpus, *seat.gpus})))
