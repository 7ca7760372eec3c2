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
from xingliu.workloads.model import NEVER_STARTS, PendingReason, Wait

BLOCKERS_MAX = 20
STEPS_MAX = 1000
WORK_MAX = 200_000  # about two seconds

Decide = Callable[[Snapshot], Plan]


def expected_start(snapshot: Snapshot, job: JobId, policy: Decide) -> Expectation:
    """When the pending `job` starts: `decide` now, and again whenever a running job reaches its time limit.

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
    never = decision.wait.reason in NEVER_STARTS
    return WhatIf(Verdict.NEVER if never else Verdict.LATER, decision.wait, expectation)


def _expect(snapshot: Snapshot, job: JobId, policy: Decide, plan: Plan) -> Expectation:
    cloud = VirtualCloud(snapshot)
    ended: tuple[RunningJob, ...] = ()
    for _ in range(_steps(snapshot)):
        decision = _decision(plan, job)
        if isinstance(decision, Place):
            return _start(snapshot, cloud, decision, ended)
        if decision.wait.reason in {PendingReason.HELD, *NEVER_STARTS}:
            return _hopeless(decision.wait)
        cloud.follow(plan)
        ended = cloud.step()
        if not ended:
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


def _start(snapshot: Snapshot, cloud: VirtualCloud, place: Place, ended: tuple[RunningJob, ...]) -> Expectation:
    if not ended:
        return Expectation(snapshot.now_us, "now", seats=place.seats)
    nodes = {seat.node for seat in place.seats}
    made_room = [job.id for job in ended if any(seat.node in nodes for seat in job.seats)]
    blockers = tuple(made_room or [job.id for job in ended])
    how = "has made room" if ended[0].leaves_us is not None else "reaches its time limit"
    basis = f"when {blockers[0]} {how}, if nothing ends earlier and nothing new goes before it"
    return Expectation(cloud.now_us, basis, blockers[:BLOCKERS_MAX], place.seats)


def _hopeless(wait: Wait) -> Expectation:
    word = "never" if wait.reason in NEVER_STARTS else "unknown"
    return Expectation(None, f"{word}: {wait.sentence}")


def _unknown(cloud: VirtualCloud, job: PendingJob, wait: Wait) -> Expectation:
    """Everything with a time limit has ended and it still waits: for one without, or for what no job's end brings."""
    if wait.reason is PendingReason.NODES_UNHEALTHY:
        return Expectation(None, f"unknown: {wait.sentence}")
    models = {node.flavor: node.gpu for node in cloud.snapshot().nodes}

    def in_the_way(other: RunningJob) -> bool:
        if other.ends_us is not None:
            return False
        if wait.reason is PendingReason.WAITING_FOR_QUOTA:
            return other.queue == job.queue
        return any(suits(part.request.gpu, models.get(seat.flavor)) for part in job.parts for seat in other.seats)

    endless = tuple(sorted(other.id for other in cloud.running if in_the_way(other)))
    if not endless:
        return Expectation(None, f"unknown: {wait.sentence}")
    others = f" (and so {len(endless) - 1} more in its way)" if len(endless) > 1 else ""
    return Expectation(None, f"unknown: {endless[0]} has no time limit{others}", endless[:BLOCKERS_MAX])
