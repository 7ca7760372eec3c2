"""Whether a job that waits can still end by its deadline."""

from dataclasses import dataclass

from xingliu.kernel.units import show_duration
from xingliu.scheduling.model import PendingJob


@dataclass(frozen=True, slots=True)
class Due:
    """What a deadline asks of the start.

    Attributes:
        start_by_us: the last start after which what is left of its time limit still fits; the deadline itself without a limit.
        missed: whether that has passed.
    """

    at_us: int
    start_by_us: int
    missed: bool
    sentence: str


def due(job: PendingJob, now_us: int) -> Due | None:
    """None where it has no deadline."""
    if job.deadline_us is None:
        return None
    left_us = job.time_left_us or 0
    start_by_us = job.deadline_us - left_us
    return Due(job.deadline_us, start_by_us, now_us > start_by_us, _sentence(job.deadline_us - now_us, left_us))


def _sentence(until_us: int, left_us: int) -> str:
    if until_us < 0:
        return f"Its deadline passed {show_duration(-until_us)} ago."
    if left_us > until_us:
        return (
            f"Its deadline is in {show_duration(until_us)}: it can no longer be met if it runs for "
            f"all of the {show_duration(left_us)} that its time limit leaves it."
        )
    if left_us:
        return f"Its deadline is met if it starts within {show_duration(until_us - left_us)}, even if it runs to its time limit."
    return f"Its deadline is in {show_duration(until_us)}; it has no time limit, so it may take any time."
