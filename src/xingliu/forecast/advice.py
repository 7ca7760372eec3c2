"""The cheapest single change that starts a waiting job: each candidate is made alone, and the next cycle decided."""

from xingliu.forecast.change import Advice, Change, ChangeKind, Effect, Value
from xingliu.forecast.cloud_changes import cloud_candidates
from xingliu.forecast.own_changes import Ladder, own_ladders
from xingliu.forecast.scene import Scene
from xingliu.kernel.ids import JobId
from xingliu.workloads.model import PendingReason


def advise(scene: Scene, job: JobId) -> Advice | None:
    """What would start `job`. None where nothing has to change: it does not wait, or others are stopped for it already.

    Where too many wait to decide all of them again, what changes for others too is not looked at.
    """
    wait = scene.waits.get(job)
    if wait is None or wait.reason is PendingReason.PREEMPTION_IN_PROGRESS:
        return None
    asked, tried = scene.jobs[job], list[ChangeKind]()
    for ladder in own_ladders(scene.snapshot, asked):
        if scene.is_large and not ladder.falling and any(scene.needs_all(ladder.alter(value)) for value in ladder.values):
            continue
        tried.append(ladder.kind)
        if (found := _climb(ladder, scene)) is not None:
            value, effect = found
            return Advice(Change(ladder.kind, job, ladder.before, value), effect, tuple(tried))
    for kind, candidates in cloud_candidates(scene.snapshot, asked, wait) if not scene.is_large else ():
        tried.append(kind)
        for change, cloud in candidates:
            if (then := scene.with_cloud(cloud, job)) is not None:
                return Advice(change, then, tuple(tried))
    return Advice(None, None, tuple(tried))


def _climb(ladder: Ladder, scene: Scene) -> tuple[Value, Effect] | None:
    """The first value that helps; on a falling ladder by bisection, which its last one begins."""
    values = ladder.values
    if not ladder.falling:
        tries = ((value, scene.with_job(ladder.alter(value))) for value in values)
        return next(((value, effect) for value, effect in tries if effect is not None), None)
    last = scene.with_job(ladder.alter(values[-1])) if values else None
    if last is None:
        return None
    low, high, best = 0, len(values) - 1, (values[-1], last)
    while low < high:
        middle = (low + high) // 2
        if (effect := scene.with_job(ladder.alter(values[middle]))) is not None:
            high, best = middle, (values[middle], effect)
        else:
            low = middle + 1
    return best
