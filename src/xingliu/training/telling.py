"""Where a job that does not wait for a decision stands: since when, until when at the latest, and what comes next."""

from dataclasses import dataclass

from xingliu.kernel.units import show_duration
from xingliu.workloads.model import FINAL, FOR_ANOTHER, Claim, Job, JobState, StopWhy

_WHY = {
    StopWhy.CANCEL: "It was asked to stop.",
    StopWhy.HOLD: "It was held.",
    StopWhy.TIME_LIMIT: "It reached its time limit.",
    StopWhy.RANK_ENDED: "One of its replicas ended, so the others end too.",
    StopWhy.ROLE_ENDED: "The roles that decide have ended, so the others are stopped.",
    StopWhy.PREEMPT: "A job of its queue that goes before it needs its room",
    StopWhy.RECLAIM: "Its queue holds more than its quota, and another takes back its own",
}
_NEXT = {
    StopWhy.CANCEL: "it is CANCELLED for good",
    StopWhy.HOLD: "it waits, held, until it is released",
    StopWhy.TIME_LIMIT: "it is TIMED_OUT for good",
    StopWhy.ROLE_ENDED: "it is SUCCEEDED",
    StopWhy.RANK_ENDED: "it ends, or starts again, as its replicas ended and its restart rules say",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """`latest_us`: when that is over at the latest, None where nothing bounds it. `then`: what comes next, a clause."""

    sentence: str
    since_us: int | None = None
    latest_us: int | None = None
    then: str = ""


def standing(job: Job, *, for_whom: str | None = None) -> Standing:
    """Of a job that does not wait. `for_whom`: the job it is stopped for, as its reader may know it."""
    if job.state in FINAL:
        return Standing(_ended(job), job.finished_us)
    if job.state is JobState.STOPPING and job.stop_why is not None:
        return _stops(job, job.stop_why, for_whom)
    if job.state is JobState.STARTING:
        return Standing("It has its nodes and starts.", then="it runs")
    latest_us, limit_us = None, job.spec.time_limit_us
    if limit_us is not None and job.started_us is not None:
        latest_us = job.started_us + max(0, limit_us - job.running_us)
    then = "it is stopped with its signal and grace" if latest_us is not None else ""
    return Standing(f"It runs{f', attempt {job.attempt}' if job.attempt > 1 else ''}.", job.started_us, latest_us, then)


def making_room(claim: Claim, latest_us: int | None) -> Standing:
    """Of one that waits until others, stopped for it, have let go of its nodes."""
    nodes = f"{claim.nodes[0]}{f' and {len(claim.nodes) - 1} more' if len(claim.nodes) > 1 else ''}"
    return Standing(f"Others are stopped for it on {nodes}.", claim.since_us, latest_us, "it starts there")


def _stops(job: Job, why: StopWhy, for_whom: str | None) -> Standing:
    if why not in FOR_ANOTHER:
        return Standing(_WHY[why], job.stop_us, job.kill_at_us, _NEXT[why])
    whose = f": {for_whom}" if for_whom else ""
    saved = f", and goes on from what it saved in {job.spec.checkpoint.path}" if job.spec.checkpoint.path else ""
    then = f"it waits in its old place{saved}; that counts as no restart"
    return Standing(f"{_WHY[why]}{whose}.", job.stop_us, job.kill_at_us, then)


def _ended(job: Job) -> str:
    ran = f" after {show_duration(job.running_us)} of running" if job.running_us else ""
    how = next(
        (f" with {word} {number}" for word, number in (("exit code", job.exit_code), ("signal", job.signal)) if number), ""
    )
    return f"It ended {job.state.value}{how}{ran}{f': {job.message}' if job.message else ''}."
