"""The job's states as a table; a step that is not here cannot happen."""

from dataclasses import dataclass
from typing import ClassVar

from xingliu.kernel.errors import XingliuError
from xingliu.workloads.model import JobState

S = JobState
STEPS: dict[JobState, frozenset[JobState]] = {
    S.PENDING: frozenset({S.STARTING, S.CANCELLED}),
    S.STARTING: frozenset({S.RUNNING, S.STOPPING, S.PENDING, S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED}),
    S.RUNNING: frozenset({S.STOPPING, S.PENDING, S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED}),
    S.STOPPING: frozenset({S.PENDING, S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.TIMED_OUT: frozenset(),
    S.CANCELLED: frozenset(),
}


@dataclass(eq=False)
class JobCannotStep(XingliuError):
    """Job {job} is {state}; it cannot become {to}."""

    code: ClassVar[str] = "job_cannot_step"
    hint: ClassVar[str] = "`xl events {job}` tells its story."
    job: str
    state: str
    to: str


def check_step(job: str, state: JobState, to: JobState) -> JobState:
    """`to`, if a job may go there from `state`. Raises JobCannotStep."""
    if to is not state and to not in STEPS[state]:
        raise JobCannotStep(job, state, to)
    return to
