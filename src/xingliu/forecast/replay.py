"""When a job starts, and what would happen to one that is not submitted yet."""

from collections.abc import Callable
from dataclasses import replace

from xingliu.forecast.model import Expectation, Verdict, WhatIf
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId
from xingliu.kernel.units import show_duration
from xingliu.scheduling.model import PendingJob, Place, Plan, RunningJob, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.scheduling.room import suits
from xingliu.workloads.dependencies import AfterKind
from xingliu.workloads.model import PendingReason, Wait

BLOCKERS_MAX = 20
STEPS_MAX = 1000
WORK_MAX = 200_000  # about two seconds
_HOPELESS = (PendingReason.HELD, PendingReason.EXCEEDS_LIMIT, PendingReason.DEPENDENCY_FAILED)

Decide = Callable[[Snapshot], Plan]


def expected_start(snapshot: Snapshot, job: JobId, policy: Decide) -> Expectation:
    """When the pending `job` starts: `decide` now, and again whenever a running job reaches its time limit, or an
    instant comes before which a job may not start.

    At most `STEPS_MAX` virtual instants are decided, and fewer where nodes and jobs are many: `WORK_MAX` of them
    together over all steps, though never fewer than ten steps. Raises KeyError when the job is not pending.
    """
    return _expect(snapshot, job, policy, policy(snapshot))


def what_if(snapshot: Snapshot, job: PendingJob) -> WhatIf:
    """What would happen if `job`, whose id nothing else has, were submitted into `snapshot`."""
    asked = replace(snapshot, pending=(*snapshot.pending, job))
    plan = decide(asked)
    expectation = _expect(asked, job.id, decide, plan)
    decision = _decision(plan, job.id)
    if isinstance(decision, Place):
        return WhatIf(Verdict.NOW, None, expectation)
    never = decision.wait.reason in (PendingReason.EXCEEDS_LIMIT, PendingReason.DEPENDENCY_FAILED)
    return WhatIf(Verdict.NEVER if never else Verdict.LATER, decision.wait, expectation)


def _expect(snapshot: Snapshot, job: JobId, policy: Decide, plan: Plan) -> Expectation:
    cloud = VirtualCloud(snapshot)
    ended: tuple[RunningJob, ...] | None = None
    for _ in range(_steps(snapshot)):
        decision = _decision(plan, job)
        if isinstance(decision, Place):
            return _start(snapshot, cloud, decision, ended)
        if decision.wait.reason in _HOPELESS:
            return _hopeless(decision.wait)
        cloud.follow(plan)
        ended = cloud.step()
        if ended is None:
            return _unknown(cloud, cloud.pending[job], decision.wait)
        plan = policy(cloud.snapshot())
    far = show_duration(cloud.now_us - snapshot.now_us)
    return Expectation(None, f"unknown: it does not start within {far}, and no further was looked")


def _steps(snapshot: Snapshot) -> int:
    """How many virtual instants are decided at most."""
    return max(10, min(STEPS_MAX, WORK_MAX // (1 + len(snapshot.nodes) + len(snapshot.pending))))


def _decision(plan: Plan, job: JobId) -> Place | StayPending:
    for decision in plan.decisions:
        if decision.job == job:
            return decision
    raise KeyError(job)


def _start(snapshot: Snapshot, cloud: VirtualCloud, place: Place, ended: tuple[RunningJob, ...] | None) -> Expectation:
    if ended is None:
        return Expectation(snapshot.now_us, "now", seats=place.seats)
    job = next(one for one in snapshot.pending if one.id == place.job)
    if not ended:
        whose = "its" if job.not_before_us == cloud.now_us else "another job's"
        return Expectation(cloud.now_us, f"when {whose} not_before has come{_if_well(job)}", seats=place.seats)
    nodes = {seat.node for seat in place.seats}
    made_room = [job.id for job in ended if any(seat.node in nodes for seat in job.seats)]
    blockers = tuple(made_room or [job.id for job in ended])
    how = "has made room" if ended[0].leaves_us is not None else "reaches its time limit"
    basis = f"when {blockers[0]} {how}, if nothing ends earlier and nothing new goes before it{_if_well(job)}"
    return Expectation(cloud.now_us, basis, blockers[:BLOCKERS_MAX], place.seats)


def _if_well(job: PendingJob) -> str:
    """What is taken for granted of those it waits for."""
    names = [f"{one.name} ({one.id})" for one in job.after if one.kind is AfterKind.OK]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f", and if {names[0]}{more} succeed{'' if more else 's'}" if names else ""


def _hopeless(wait: Wait) -> Expectation:
    word = "unknown" if wait.reason is PendingReason.HELD else "never"
    return Expectation(None, f"{word}: {wait.sentence}")


def _unknown(cloud: VirtualCloud, job: PendingJob, wait: Wait) -> Expectation:
    """Everything with a time limit has ended and it still waits: for one without, or for what no job's end brings."""
    if wait.reason is PendingReason.NODES_UNHEALTHY:
        return Expectation(None, f"unknown: {wait.sentence}")
    if wait.reason is PendingReason.DEPENDENCY_WAITING:
        return _waits_for_others(cloud, job, wait)
    models = {node.flavor: node.gpu for node in cloud.snapshot().nodes}

    def in_the_way(other: RunningJob) -> bool:
        if other.ends_us is not None:
            return False
        if wait.reason is PendingReason.WAITING_FOR_QUOTA:
            return other.queue == job.queue
        return any(suits(job.request.gpu, models.get(seat.flavor)) for seat in other.seats)

    endless = tuple(sorted(other.id for other in cloud.running if in_the_way(other)))
    if not endless:
        return Expectation(None, f"unknown: {wait.sentence}")
    others = f" (and so {len(endless) - 1} more in its way)" if len(endless) > 1 else ""
    return Expectation(None, f"unknown: {endless[0]} has no time limit{others}", endless[:BLOCKERS_MAX])


def _waits_for_others(cloud: VirtualCloud, job: PendingJob, wait: Wait) -> Expectation:
    """One that it waits for has no time limit, or never starts itself."""
    named = {one.id for one in job.after}
    endless = tuple(
        other.id
        for other in cloud.running
        if other.ends_us is None and (other.id in named or (other.array is not None and other.array.id in named))
    )
    if not endless:
        return Expectation(None, f"unknown: {wait.sentence}")
    return Expectation(None, f"unknown: {endless[0]}, which it waits for, has no time limit", endless[:BLOCKERS_MAX])
