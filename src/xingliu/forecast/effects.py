"""What becomes of those who run and wait if the cloud turned into another at once."""

from collections.abc import Callable
from dataclasses import dataclass

from xingliu.forecast.ahead import Decide, look_ahead
from xingliu.forecast.history import History
from xingliu.kernel.ids import JobId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Plan, Snapshot, StayPending
from xingliu.scheduling.quota import Quotas
from xingliu.scheduling.running import Running
from xingliu.workloads.model import NEVER_STARTS

Starts = dict[JobId, int | None]


@dataclass(frozen=True, slots=True)
class Move:
    """The expected start of a job, before and after; None is unknown."""

    job: JobId
    before_us: int | None
    after_us: int | None


@dataclass(frozen=True, slots=True)
class Effects:
    """What the next cycle and the run forward make of the other cloud that they do not make of this one.

    Attributes:
        starts: who waits and would start at once.
        sooner, later: who goes on waiting and would start at another time; one of unknown start comes after all others.
            None where it was not looked ahead: the cloud is large.
        never: who waits and could never start.
        stopped: who runs and would be stopped at once for others.
        above: who runs, and may be stopped for others because its queue would hold more than its quota.
    """

    starts: tuple[JobId, ...]
    sooner: tuple[Move, ...] | None
    later: tuple[Move, ...] | None
    never: tuple[JobId, ...]
    stopped: tuple[JobId, ...]
    above: tuple[JobId, ...]


def effects(now: Snapshot, then: Snapshot, decide: Decide, history: History, *, ahead: bool) -> Effects:
    """What differs for the jobs of `now` in the cloud `then`, which holds the same jobs; `ahead`: also when they start."""
    before, after = decide(now), decide(then)
    gone = {evict.job for evict in before.evictions}
    starts = tuple(sorted(_placed(after) - _placed(before)))
    never = tuple(sorted(_never(after) - _never(before)))
    stopped = tuple(sorted(evict.job for evict in after.evictions if evict.job not in gone))
    above = tuple(sorted(_above(then) - _above(now) - set(stopped)))
    if not ahead:
        return Effects(starts, None, None, never, stopped, above)
    told = {*starts, *never}
    moves = [move for move in _moves(_starts(now, decide, history), _starts(then, decide, history)) if move.job not in told]
    sooner, later = (tuple(move for move in moves if which(move)) for which in (_is_sooner, lambda move: not _is_sooner(move)))
    return Effects(starts, sooner, later, never, stopped, above)


def _placed(plan: Plan) -> set[JobId]:
    return {place.job for place in plan.placements}


def _never(plan: Plan) -> set[JobId]:
    return {stay.job for stay in plan.decisions if isinstance(stay, StayPending) and stay.wait.reason in NEVER_STARTS}


def _above(snapshot: Snapshot) -> set[JobId]:
    """Who may be stopped for others because its queue, or one above it, holds more than its quota."""
    models = {node.flavor: node.gpu for node in snapshot.nodes}
    quotas = Quotas(snapshot.queues, models, Running.of(snapshot.running), Resources)
    lending: dict[str, bool] = {}
    for job in snapshot.running:
        if job.queue not in lending:
            lending[job.queue] = quotas.lends(job.queue)
    return {job.id for job in snapshot.running if job.again is not None and job.again.preemptible and lending[job.queue]}


def _starts(snapshot: Snapshot, decide: Callable[[Snapshot], Plan], history: History) -> Starts:
    return {job: found.start_us for job, found in look_ahead(snapshot, decide, history).expectations.items()}


def _moves(before: Starts, after: Starts) -> list[Move]:
    return [Move(job, before[job], after[job]) for job in sorted(before) if before[job] != after[job]]


def _is_sooner(move: Move) -> bool:
    return move.before_us is None or (move.after_us is not None and move.after_us < move.before_us)
