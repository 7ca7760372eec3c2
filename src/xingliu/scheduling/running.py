"""What runs in a snapshot, and what follows from that alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

from xingliu.kernel.ids import ArrayId, FlavorName, JobId, NodeName, ProjectId, QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import RunningJob, Seat
from xingliu.scheduling.room import Amount, amount_of

LATEST_US = 1 << 62
K = TypeVar("K")
Alike = tuple[int, bool, frozenset[str]]
"""Priority, whether it is preemptible, and the quota kinds of what it holds."""


def charge_of(job: RunningJob) -> Resources:
    """What its queue is charged for what it still holds."""
    return sum((seat.charge for seat in job.seats), Resources())


def kinds_of(job: RunningJob) -> frozenset[str]:
    """The quota kinds of what it still holds."""
    return frozenset(kind for seat in job.seats for kind in seat.charge)


def flavors_of(seats: Iterable[Seat]) -> set[FlavorName]:
    return {seat.flavor for seat in seats}


class Running(tuple[RunningJob, ...]):
    """Jobs that hold leases. What is asked of them is found once and kept: it holds as long as the tuple, which never changes."""

    @classmethod
    def of(cls, jobs: Iterable[RunningJob]) -> "Running":
        return jobs if isinstance(jobs, cls) else cls(jobs)

    @cached_property
    def fixed(self) -> dict[QueueName, Resources]:
        """What must not be stopped for others, by the queue it is in."""
        return _summed((job.queue, job) for job in self if job.again is None or not job.again.preemptible)

    @cached_property
    def by_holder(self) -> dict[tuple[QueueName, UserId, ProjectId], Resources]:
        """Who is charged how much in which queue."""
        return _summed(((job.queue, job.user, job.project), job) for job in self)

    @cached_property
    def leaving(self) -> tuple[RunningJob, ...]:
        """Those that are stopping."""
        return tuple(job for job in self if job.leaves_us is not None)

    @cached_property
    def leaving_for(self) -> dict[JobId, list[RunningJob]]:
        """Those that stop for others, by whom."""
        found: dict[JobId, list[RunningJob]] = {}
        for job in self:
            if job.leaves_for is not None:
                found.setdefault(job.leaves_for, []).append(job)
        return found

    @cached_property
    def stoppable(self) -> dict[QueueName, dict[Alike, list[RunningJob]]]:
        """Those that would come back and are not stopping, by queue and likeness."""
        found: dict[QueueName, dict[Alike, list[RunningJob]]] = defaultdict(lambda: defaultdict(list))
        for job in self:
            if job.again is not None and job.leaves_us is None:
                found[job.queue][job.again.priority, job.again.preemptible, kinds_of(job)].append(job)
        return dict(found)

    @cached_property
    def holders(self) -> Counter[FlavorName]:
        """How many jobs hold nodes of each flavor."""
        return Counter(flavor for job in self for flavor in flavors_of(job.seats))

    @cached_property
    def in_arrays(self) -> Counter[ArrayId]:
        """How many elements of each array have seats."""
        return Counter(job.array.id for job in self if job.array is not None and job.seats)

    @cached_property
    def ends(self) -> dict[NodeName, list[tuple[int, Amount]]]:
        """When what is held on each node is let go of at the latest."""
        found: dict[NodeName, list[tuple[int, Amount]]] = defaultdict(list)
        for job in self:
            at_us = job.leaves_us if job.leaves_us is not None else job.ends_us
            for seat in job.seats:
                found[seat.node].append((LATEST_US if at_us is None else at_us, amount_of(seat)))
        return dict(found)


def _summed(jobs: Iterable[tuple[K, RunningJob]]) -> dict[K, Resources]:
    """What all jobs of each key are charged."""
    amounts: dict[K, Counter[str]] = defaultdict(Counter)
    for key, job in jobs:
        counted = amounts[key]
        for seat in job.seats:
            for kind, amount in seat.charge.items():
                counted[kind] += amount
    return {key: Resources(counted) for key, counted in amounts.items()}
