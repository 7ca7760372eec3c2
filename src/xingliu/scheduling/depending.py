"""Why a job waits that waits for other jobs' ends or for an instant, whatever is free."""

from xingliu.kernel.units import show_instant
from xingliu.scheduling.model import PendingJob
from xingliu.workloads.dependencies import After, AfterKind
from xingliu.workloads.model import PendingReason

SHOWN_MAX = 20
_ENDS = {AfterKind.OK: "succeed", AfterKind.ANY: "end", AfterKind.FAILED: "fail"}


def explain_own_wait(job: PendingJob) -> tuple[PendingReason, str, dict[str, object]]:
    """Of a job that is not held and may not start: what can never be met is said before what is still waited for."""
    numbers: dict[str, object] = {
        "after": [{"job": one.id, "name": one.name, "end": one.kind.value} for one in job.after[:SHOWN_MAX]],
        "after_count": len(job.after),
    }
    if (never := next((one for one in job.after if one.met is False), None)) is not None:
        return PendingReason.DEPENDENCY_FAILED, _never(never), numbers
    if job.after:
        first, more = job.after[0], len(job.after) - 1
        others = f", and for {more} more" if more else ""
        sentence = f"It waits for {first.name} ({first.id}) to {_ENDS[first.kind]}{others}."
        return PendingReason.DEPENDENCY_WAITING, sentence, numbers
    assert job.not_before_us is not None, "nothing else keeps it"
    sentence = f"It may not start before {show_instant(job.not_before_us)}."
    return PendingReason.NOT_BEFORE, sentence, {"not_before_us": job.not_before_us}


def _never(one: After) -> str:
    how = "succeeded, and this was to start if it failed" if one.kind is AfterKind.FAILED else "did not succeed"
    return f"{one.name} ({one.id}) {how}, so it can never start: stop it, or submit it again without waiting for that."
