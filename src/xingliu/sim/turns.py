"""Whose turn it was in one plan, said again, small and by itself."""

from collections.abc import Collection, Hashable, Iterable, Iterator

from xingliu.forecast.playing import same_request
from xingliu.kernel.ids import JobId
from xingliu.scheduling.line import OUT_OF_LINE
from xingliu.scheduling.model import PendingJob, Plan, QueueView, StayPending
from xingliu.scheduling.orders import FAIR, orders_in
from xingliu.workloads.model import PendingReason, Wait


def out_of_turn(
    plan: Plan, decided: Iterable[PendingJob], queues: Iterable[QueueView], promised: Collection[JobId]
) -> Iterator[str]:
    """Who started in a queue before one of it that waits for room or quota, goes before it, and must not be passed by it.

    That is anyone in a first-come queue, and in any other who is alike in all but the turn and has no nodes of its own that
    others are to leave. `promised` had room kept.
    """
    queues = tuple(queues)
    orders, waits = orders_in(queues), {stay.job: stay.wait for stay in plan.decisions if isinstance(stay, StayPending)}
    personal = any(queue.user_limit is not None or queue.project_limit is not None for queue in queues)
    first: dict[Hashable, JobId] = {}

    def turn(job: PendingJob) -> tuple[object, ...]:
        return -job.priority, *orders.get(job.queue, FAIR).key(job)

    for job in sorted(decided, key=lambda job: (job.queue, turn(job))):
        strict = orders.get(job.queue, FAIR).blocks
        kind = job.queue if strict else same_request(job)
        if job.id not in waits:
            if kind in first and job.id not in promised:
                yield f"{job.id} passed {first[kind]} in queue {job.queue}"
        elif _in_line(waits[job.id], strict=strict, personal=personal):
            first.setdefault(kind, job.id)


def _in_line(wait: Wait, *, strict: bool, personal: bool) -> bool:
    """It waits neither by anybody's wish, nor for ever, nor because others of its array, or perhaps its user, hold enough."""
    out = {PendingReason.HELD, *OUT_OF_LINE}
    out |= {PendingReason.WAITING_FOR_QUOTA} if personal else set()
    out |= set() if strict else {PendingReason.PREEMPTION_IN_PROGRESS}
    return wait.reason not in out and "array" not in wait.numbers
