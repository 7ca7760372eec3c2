"""What holds for every eviction, in any cloud; and that stopping one for another comes to an end."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from tests.pure.clouds import crowded

from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId, QueueName
from xingliu.kernel.resources import Resources
from xingliu.scheduling.eviction import cost_of
from xingliu.scheduling.model import PendingJob, QueueView, RunningJob, Snapshot
from xingliu.scheduling.policy import decide
from xingliu.scheduling.running import charge_of

ROUNDS_MAX = 200


def _path(views: dict[QueueName, QueueView], queue: QueueName | None) -> list[QueueView]:
    path = []
    while queue is not None and queue in views:
        path.append(views[queue])
        queue = views[queue].parent
    return path


def _held(snapshot: Snapshot, top: QueueName, gone: set[JobId]) -> Resources:
    views = {of.name: of for of in snapshot.queues}
    mine = [job for job in snapshot.running if job.id not in gone and any(of.name == top for of in _path(views, job.queue))]
    return sum((charge_of(job) for job in mine), Resources())


def _bound(kind: str, quota: Resources) -> bool:
    return kind in quota or kind == "cpu.cpu" or kind.startswith("gpu.")


def _may(snapshot: Snapshot, job: PendingJob, victim: RunningJob, gone: set[JobId]) -> bool:
    """The rules once more, in other words."""
    assert victim.again is not None
    named = {of.name: of for of in snapshot.queues}
    least_us = next((of.min_runtime_us for of in _path(named, victim.queue) if of.min_runtime_us), 0)
    if snapshot.now_us - victim.started_us < least_us:
        return False
    if victim.queue == job.queue:
        lower = victim.again.priority < job.priority
        return lower or (victim.again.priority == job.priority and victim.again.preemptible and not job.preemptible)
    views = {of.name: of for of in snapshot.queues}
    mine = {of.name for of in _path(views, job.queue)}
    side = [of for of in _path(views, victim.queue) if of.name not in mine][-1]
    held = _held(snapshot, side.name, gone)
    above = side.quota is not None and any(
        held[kind] > side.quota[kind] for kind in charge_of(victim) if _bound(kind, side.quota)
    )
    return above and victim.again.preemptible and views[job.queue].quota is not None


def without(snapshot: Snapshot, gone: set[JobId]) -> Snapshot:
    """The same cloud once those have left and do not come back."""
    cloud = VirtualCloud(
        replace(
            snapshot,
            running=tuple(replace(job, ends_us=snapshot.now_us if job.id in gone else None) for job in snapshot.running),
        )
    )
    cloud.step()
    return cloud.snapshot() if gone else snapshot


@given(crowded())
def test_only_whom_the_rules_name_is_stopped_and_nobody_twice(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    jobs, running = {of.id: of for of in snapshot.pending}, {of.id: of for of in snapshot.running}
    started = (RunningJob(of.job, "", jobs[of.job].queue, of.seats, None) for of in plan.placements)
    after = replace(snapshot, running=(*snapshot.running, *started))
    assert len({evict.job for evict in plan.evictions}) == len(plan.evictions), "somebody is stopped twice"
    for evict in plan.evictions:
        assert _may(after, jobs[evict.preemptor], running[evict.job], set()), f"{evict} is against the rules"


@given(crowded())
def test_one_job_alone_has_the_cheapest_stopped_that_let_it_start(snapshot: Snapshot) -> None:
    for job in snapshot.pending[:3]:
        alone = replace(snapshot, pending=(job,))
        plan = decide(alone)
        if plan.placements or job.held:
            assert not plan.evictions, "nobody is stopped for a job that starts, or must not"
            continue
        stopped = {evict.job for evict in plan.evictions}
        costs = []
        for count in range(1, len(snapshot.running) + 1):
            for victims in combinations(sorted(snapshot.running, key=lambda of: cost_of(of, snapshot.now_us)), count):
                gone: set[JobId] = set()
                allowed = True
                for victim in victims:
                    allowed = allowed and _may(alone, job, victim, gone)
                    gone.add(victim.id)
                if allowed and decide(without(alone, gone)).placements and _stays_within(alone, job, gone):
                    costs.append(_total(snapshot, gone))
        if stopped:
            assert decide(without(alone, stopped)).placements, f"{job.id} does not start after {stopped} left"
            assert _total(snapshot, stopped) == min(costs)


def _stays_within(snapshot: Snapshot, job: PendingJob, gone: set[JobId]) -> bool:
    """Whoever is stopped in another queue is stopped to refill what is the job's own."""
    others = [of for of in snapshot.running if of.id in gone and of.queue != job.queue]
    if not others:
        return True
    place = decide(without(snapshot, gone)).placements[0]
    views = {of.name: of for of in snapshot.queues}
    cost = sum((seat.charge for seat in place.seats), Resources())
    for other in others:
        shared = {of.name for of in _path(views, other.queue)}
        for view in _path(views, job.queue):
            if view.name in shared:
                break
            held = _held(snapshot, view.name, set())
            if view.quota is not None and any(held[k] + cost[k] > view.quota[k] for k in cost if _bound(k, view.quota)):
                return False
    return True


def _total(snapshot: Snapshot, gone: set[JobId]) -> tuple[int, int]:
    costs = [cost_of(of, snapshot.now_us) for of in snapshot.running if of.id in gone]
    return sum(gpu for gpu, _ in costs), sum(cpu for _, cpu in costs)


@given(crowded())
def test_preempting_and_reclaiming_come_to_an_end_and_every_preemptor_starts(snapshot: Snapshot) -> None:
    """Nothing ends by itself, nothing is submitted: after finitely many rounds nobody is stopped for anybody any more."""
    endless = tuple(replace(of, ends_us=None) for of in snapshot.running)
    patient = tuple(replace(of, time_left_us=None) for of in snapshot.pending)
    cloud = VirtualCloud(replace(snapshot, running=endless, pending=patient))
    waiting_for: set[JobId] = set()
    for _ in range(ROUNDS_MAX):
        plan = decide(cloud.snapshot())
        waiting_for -= {place.job for place in plan.placements}
        cloud.follow(plan)
        assert all(cloud.pending[job].claim is not None for job in waiting_for), f"{waiting_for} were promised room in vain"
        waiting_for |= {evict.preemptor for evict in plan.evictions}
        if not cloud.step() and not plan.placements:
            break
    else:
        raise AssertionError("jobs go on stopping one another")
    assert not waiting_for
