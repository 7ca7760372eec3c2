"""What a user can change of a job that waits: for each kind the values, those most like what was asked for first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xingliu.forecast.change import ChangeKind, Value
from xingliu.kernel.ids import QueueName
from xingliu.scheduling.layouts import Ask, combined, fit_together
from xingliu.scheduling.model import Part, PendingJob, QueueView, Snapshot
from xingliu.scheduling.room import Stock, amount_asked, suits
from xingliu.workloads.model import MAIN_ROLE, GpuRequest, Priority, ResourceRequest

CORE_MILLI, GB, HOUR_US = 1000, 10**9, 3600 * 10**6
TIME_LIMITS_US = (*(hours * HOUR_US for hours in (720, 168, 72, 48, 24, 12, 8, 4, 2, 1)), HOUR_US // 2, HOUR_US // 6)


@dataclass(frozen=True, slots=True)
class Ladder:
    """What one kind may be changed to, and the job then.

    `falling`: each value gives up more than the one before, and helps where that one does.
    """

    kind: ChangeKind
    before: Value
    values: Sequence[Value]
    alter: Callable[[Any], PendingJob]
    falling: bool = False


def own_ladders(snapshot: Snapshot, job: PendingJob) -> Iterator[Ladder]:
    """From cheap to dear. Held itself, it can only be released; while its queue is held, only wait in another.

    What waits for others' ends or for an instant waits as its user said: nothing is offered.
    A priority, or that it is preemptible, may have others stopped for it; by all else it is to fit into what is free. What
    is asked of nodes is looked at where the job has no roles.
    """
    if job.held:
        yield Ladder(ChangeKind.RELEASE, before=True, values=(False,), alter=lambda to: replace(job, held=to))
        return
    if not job.may_start(snapshot.now_us):
        return
    stock = Stock.of(snapshot.nodes)
    yield _fitting(stock, Ladder(ChangeKind.QUEUE, job.queue, _queues(snapshot, job), lambda to: replace(job, queue=to)))
    if any(view.held for view in path(snapshot, job.queue)):
        return
    part = job.parts[0] if [part.role for part in job.parts] == [MAIN_ROLE] else None
    for ladder in _of_node(snapshot, job, part) if part is not None else ():
        yield _fitting(stock, ladder)
    limits = [to for to in TIME_LIMITS_US if job.time_left_us is None or to < job.time_left_us]
    shorter = Ladder(ChangeKind.TIME_LIMIT, job.time_left_us, limits, lambda to: replace(job, time_left_us=to), True)
    yield _fitting(stock, shorter)
    if not job.preemptible:
        yield Ladder(ChangeKind.PREEMPTIBLE, before=False, values=(True,), alter=lambda to: replace(job, preemptible=to))
    for ladder in _smaller(job, part) if part is not None else ():
        yield _fitting(stock, ladder)
    yield _more_urgent(job)


def _fitting(stock: Stock, ladder: Ladder) -> Ladder:
    """Without the values with which it does not fit into what is free now."""
    if ladder.falling:
        least = bool(ladder.values) and fits(stock, ladder.alter(ladder.values[-1]))
        return ladder if least else replace(ladder, values=())
    return replace(ladder, values=[value for value in ladder.values if fits(stock, ladder.alter(value))])


def fits(stock: Stock, job: PendingJob) -> bool:
    """Whether all its parts do, at once."""
    choices = [
        [
            Ask(flavor, amount_asked(part.request), part.replicas)
            for flavor in stock.shelves
            if suits(part.request.gpu, stock.models[flavor])
        ]
        for part in job.parts
    ]
    return any(fit_together(stock.shelves, asks) for asks in combined(choices))


def _of_node(snapshot: Snapshot, job: PendingJob, part: Part) -> Iterator[Ladder]:
    """Other GPUs, as many; less of what is most often asked for in vain."""
    asked, gpu = part.request, part.request.gpu
    if gpu is not None:
        yield Ladder(ChangeKind.MODEL, gpu.model, _models(snapshot, gpu), _gpu(job, part, lambda to: GpuRequest(gpu.count, to)))
    memory, cores = _below(asked.memory_bytes, GB), _below(asked.cpu_milli, CORE_MILLI)
    yield Ladder(
        ChangeKind.MEMORY, asked.memory_bytes, memory, _request(job, part, lambda to: replace(asked, memory_bytes=to)), True
    )
    yield Ladder(ChangeKind.CPU, asked.cpu_milli, cores, _request(job, part, lambda to: replace(asked, cpu_milli=to)), True)


def _smaller(job: PendingJob, part: Part) -> Iterator[Ladder]:
    gpu = part.request.gpu
    if gpu is not None:
        fewer = range(gpu.count - 1, 0, -1)
        yield Ladder(ChangeKind.GPUS, gpu.count, fewer, _gpu(job, part, lambda to: GpuRequest(to, gpu.model)), True)
    fewer = range(part.replicas - 1, 0, -1)
    yield Ladder(ChangeKind.NODES, part.replicas, fewer, lambda to: replace(job, parts=(replace(part, replicas=to),)), True)


def _request(job: PendingJob, part: Part, make: Callable[[Any], ResourceRequest]) -> Callable[[Any], PendingJob]:
    return lambda to: replace(job, parts=(replace(part, request=make(to)),))


def _gpu(job: PendingJob, part: Part, make: Callable[[Any], GpuRequest]) -> Callable[[Any], PendingJob]:
    return _request(job, part, lambda to: replace(part.request, gpu=make(to)))


def _more_urgent(job: PendingJob) -> Ladder:
    names = list(Priority)
    higher = [name.value for name in names[job.priority + 1 :]]
    before = names[job.priority].value
    return Ladder(ChangeKind.PRIORITY, before, higher, lambda to: replace(job, priority=Priority(to).rank), True)


def path(snapshot: Snapshot, queue: QueueName | None) -> list[QueueView]:
    """The queue and those above it, as far as they are known."""
    views, found = {view.name: view for view in snapshot.queues}, []
    while queue is not None and queue in views:
        found.append(views[queue])
        queue = views[queue].parent
    return found


def _queues(snapshot: Snapshot, job: PendingJob) -> list[QueueName]:
    """The other leaves, by name."""
    parents = {view.parent for view in snapshot.queues}
    return sorted(view.name for view in snapshot.queues if view.name not in parents and view.name != job.queue)


def _models(snapshot: Snapshot, gpu: GpuRequest) -> list[str]:
    """The other kinds of GPU in this cloud; none where any will do."""
    models = {node.gpu for node in snapshot.nodes if node.gpu is not None}
    return [] if gpu.model is None else sorted(model for model in models if not suits(gpu, model))


def _below(amount: int, unit: int) -> range:
    """Whole units that are less, down to one."""
    return range((amount - 1) // unit * unit, 0, -unit)
