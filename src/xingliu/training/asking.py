"""What people ask of a job that is not over, and what it becomes: itself where nothing changes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from xingliu.training.gang import stopping
from xingliu.workloads.model import Job, JobState, StopWhy


class Ask(StrEnum):
    STOP = "stop"
    HOLD = "hold"
    RELEASE = "release"


def stopped(job: Job, now_us: int) -> tuple[Job, str]:
    """The job on its way to its end for good, and the event's type: signal, grace, SIGKILL; one that waits ends at once."""
    if job.state is JobState.PENDING:
        done = replace(job, state=JobState.CANCELLED, finished_us=now_us, wait=None, claim=None, message="it was asked to stop")
        return replace(done, generation=job.generation + 1), "job.cancelled"
    return stopping(job, StopWhy.CANCEL, now_us=now_us, grace_us=job.spec.checkpoint.grace_us), "job.stopping"


def held(job: Job, now_us: int) -> tuple[Job, str]:
    """The job, not to start; one that runs is stopped with its signal and grace and waits, held."""
    if job.held:
        return job, ""
    after = replace(job, held=True, generation=job.generation + 1)
    if job.state is JobState.PENDING:
        return after, "job.held"
    return stopping(after, StopWhy.HOLD, now_us=now_us, grace_us=job.spec.checkpoint.grace_us), "job.held"


def released(job: Job, now_us: int) -> tuple[Job, str]:
    """The job, free to go on."""
    return (replace(job, held=False, generation=job.generation + 1), "job.released") if job.held else (job, "")


CHANGES: Mapping[Ask, Callable[[Job, int], tuple[Job, str]]] = {
    Ask.STOP: stopped,
    Ask.HOLD: held,
    Ask.RELEASE: released,
}
