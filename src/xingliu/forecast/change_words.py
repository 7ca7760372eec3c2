"""A change in a sentence, and as the command that makes it."""

from xingliu.forecast.change import Change, ChangeKind
from xingliu.kernel.quantities import HOUR_US
from xingliu.kernel.units import show_bytes, show_duration
from xingliu.scheduling.wording import cores, counted, gpus, quota_amount
from xingliu.workloads.model import Job

GB, MINUTE_US, CORE_MILLI = 10**9, 60 * 10**6, 1000
Kind = ChangeKind


def change_sentence(change: Change, job: Job) -> str:
    """What to do, without a full stop: `ask for 2 nodes instead of 8`. A subject that is empty is somebody else's job."""
    if change.kind in _OF_REQUEST:
        return _request_sentence(change, job)
    return {
        Kind.RELEASE: "release it",
        Kind.QUEUE: f"let it wait in queue {change.after} instead of {change.before}",
        Kind.PREEMPTIBLE: "make it preemptible, so that it may borrow",
        Kind.PRIORITY: f"raise its priority from {change.before} to {change.after}",
        Kind.STOP_OWN: f"stop your own job {change.subject}",
        Kind.RELEASE_QUEUE: f"release queue {change.subject}",
        Kind.RESUME_NODE: f"resume node {change.subject}, which is {change.before}",
        Kind.LIMIT: _limit_sentence(change),
        Kind.STOP_OTHER: f"stop job {change.subject}" if change.subject else "stop a job of another project",
        Kind.REPAIR_NODE: f"bring back node {change.subject}, which is {change.before}",
    }[change.kind]


def _request_sentence(change: Change, job: Job) -> str:
    before, after = change.before, change.after
    if change.kind is Kind.MODEL:
        return f"ask for {after} GPUs instead of {before}"
    assert isinstance(after, int), "all others are amounts"
    if change.kind is Kind.TIME_LIMIT:
        return f"give it a time limit of {show_duration(_limit_us(after, job))}"
    assert isinstance(before, int), "it asks for some"
    if change.kind is Kind.MEMORY:
        return f"ask for {show_bytes(after)} on each node instead of {show_bytes(before)}"
    if change.kind is Kind.CPU:
        return f"ask for {cores(after)} on each node instead of {cores(before)}"
    if change.kind is Kind.GPUS:
        return f"ask for {gpus(after, None)} on each node instead of {before}"
    return f"ask for {counted(after, 'node')} instead of {before}"


def _limit_sentence(change: Change) -> str:
    if not isinstance(change.before, int) or not isinstance(change.after, int):
        return ""
    more = quota_amount(change.quota_kind, change.after - change.before)
    return f"raise the {change.bound.replace('_', ' ')} of queue {change.subject} by {more}"


def change_command(change: Change, job: Job) -> str | None:
    """What to type; None where no one command does it."""
    if change.kind in _OPTIONS:
        return f"xl change {job.id} {_option(change, job)}"
    return {
        Kind.RELEASE: f"xl release {job.id}",
        Kind.STOP_OWN: f"xl stop {change.subject}",
        Kind.RELEASE_QUEUE: f"xl queue release {change.subject}",
        Kind.RESUME_NODE: f'xl node resume {change.subject} --reason "needed by job {job.id}"',
        Kind.STOP_OTHER: f"xl stop {change.subject}" if change.subject else None,
    }.get(change.kind)


def _option(change: Change, job: Job) -> str:
    name, after, gpu = _OPTIONS[change.kind], change.after, job.spec.resources.gpu
    if change.kind is Kind.PREEMPTIBLE:
        return name
    if change.kind is Kind.MODEL and gpu is not None:
        return f"{name} {after}:{gpu.count}"
    if change.kind is Kind.GPUS and gpu is not None and gpu.model is not None:
        return f"{name} {gpu.model}:{after}"
    if isinstance(after, int) and change.kind in _UNITS:
        unit, word = _UNITS[change.kind]
        return f"{name} {after // unit}{word}"
    if isinstance(after, int) and change.kind is Kind.TIME_LIMIT:
        limit_us = _limit_us(after, job)
        return f"{name} {limit_us // HOUR_US}h" if limit_us % HOUR_US == 0 else f"{name} {limit_us // MINUTE_US}m"
    return f"{name} {after}"


def _limit_us(left_us: int, job: Job) -> int:
    """The limit that leaves so much, to the minute: it bounds all attempts together."""
    return (left_us + job.running_us) // MINUTE_US * MINUTE_US


_OPTIONS = {
    Kind.QUEUE: "--queue",
    Kind.MODEL: "--gpu",
    Kind.MEMORY: "--memory",
    Kind.CPU: "--cpu",
    Kind.TIME_LIMIT: "--time-limit",
    Kind.PREEMPTIBLE: "--preemptible",
    Kind.PRIORITY: "--priority",
    Kind.GPUS: "--gpu",
    Kind.NODES: "--nodes",
}
_OF_REQUEST = frozenset({Kind.MODEL, Kind.MEMORY, Kind.CPU, Kind.TIME_LIMIT, Kind.GPUS, Kind.NODES})
_UNITS = {Kind.MEMORY: (GB, "GB"), Kind.CPU: (CORE_MILLI, "")}
