"""Explanations are true, say the same as long as nothing changes, and survive a snapshot's export.

The change they name starts the job, and where they name none, none of the single changes that are looked at does.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import crowded, snapshots

from xingliu.fleet.model import NodeState
from xingliu.forecast.advice import advise
from xingliu.forecast.change import Change, ChangeKind, Effect
from xingliu.forecast.cloud_changes import cloud_candidates
from xingliu.forecast.own_changes import own_ladders
from xingliu.forecast.scene import Scene
from xingliu.forecast.snapshot_file import export, read_snapshot
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.eviction import cost_of
from xingliu.scheduling.model import PendingJob, Place, Plan, QueueView, Snapshot, StayPending
from xingliu.scheduling.orders import ORDERS, Policy
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import GpuRequest, PendingReason, Priority

Decide = Callable[[Snapshot], Plan]
ALTERED = {
    ChangeKind.RELEASE: lambda job, to: replace(job, held=to),
    ChangeKind.QUEUE: lambda job, to: replace(job, queue=to),
    ChangeKind.MODEL: lambda job, to: _asking(job, gpu=GpuRequest(job.parts[0].request.gpu.count, to)),
    ChangeKind.MEMORY: lambda job, to: _asking(job, memory_bytes=to),
    ChangeKind.CPU: lambda job, to: _asking(job, cpu_milli=to),
    ChangeKind.TIME_LIMIT: lambda job, to: replace(job, time_left_us=to),
    ChangeKind.PREEMPTIBLE: lambda job, to: replace(job, preemptible=to),
    ChangeKind.PRIORITY: lambda job, to: replace(job, priority=Priority(to).rank),
    ChangeKind.GPUS: lambda job, to: _asking(job, gpu=replace(job.parts[0].request.gpu, count=to)),
    ChangeKind.NODES: lambda job, to: replace(job, parts=(replace(job.parts[0], replicas=to),)),
}


def _asking(job: PendingJob, **keys: object) -> PendingJob:
    (part,) = job.parts
    return replace(job, parts=(replace(part, request=replace(part.request, **keys)),))  # type: ignore[arg-type]


def changed(snapshot: Snapshot, job: PendingJob, change: Change) -> Snapshot:
    """The cloud with that change alone, made in another way than the advice was found."""
    if change.kind in ALTERED:
        altered = ALTERED[change.kind](job, change.after)
        return replace(snapshot, pending=tuple(altered if of.id == job.id else of for of in snapshot.pending))
    if change.kind in (ChangeKind.STOP_OWN, ChangeKind.STOP_OTHER):
        return _without(snapshot, JobId(change.subject))
    if change.kind in (ChangeKind.RESUME_NODE, ChangeKind.REPAIR_NODE):
        ready = NodeState.READY
        return replace(
            snapshot, nodes=tuple(replace(of, state=ready) if of.name == change.subject else of for of in snapshot.nodes)
        )
    return replace(snapshot, queues=tuple(_queue(of, change) if of.name == change.subject else of for of in snapshot.queues))


def _queue(view: QueueView, change: Change) -> QueueView:
    if change.kind is ChangeKind.RELEASE_QUEUE:
        return replace(view, held=False)
    assert isinstance(change.after, int) and isinstance(change.before, int) and change.after > change.before
    amounts = Resources({**(getattr(view, change.bound) or {}), change.quota_kind: change.after})
    return replace(view, **{change.bound: amounts})  # type: ignore[arg-type]


def _without(snapshot: Snapshot, gone: JobId) -> Snapshot:
    """After that job was stopped and has ended, all others going on as they are."""
    running = tuple(
        replace(of, leaves_us=0 if of.id == gone else None, ends_us=0 if of.id == gone else None) for of in snapshot.running
    )
    cloud = VirtualCloud(replace(snapshot, running=running))
    cloud.step()
    now = cloud.snapshot()
    return replace(now, now_us=snapshot.now_us, running=tuple(of for of in snapshot.running if of.id != gone))


def _effect(snapshot: Snapshot, job: PendingJob, decided: Decide = decide) -> Effect | None:
    plan = decided(snapshot)
    if any(place.job == job.id for place in plan.placements):
        return Effect.STARTS
    return Effect.PREEMPTS if any(evict.preemptor == job.id for evict in plan.evictions) else None


@given(snapshots() | crowded(), st.data())
def test_the_named_change_alone_starts_the_job_and_where_none_is_named_none_does(snapshot: Snapshot, data: st.DataObject) -> None:
    plan = decide(snapshot)
    scene = Scene(snapshot, plan, decide)
    waiting = [of for of in snapshot.pending if of.id in scene.waits]
    if not waiting:
        return
    job = data.draw(st.sampled_from(waiting))
    wait, advice = scene.waits[job.id], advise(scene, job.id)
    if advice is None:
        assert wait.reason is PendingReason.PREEMPTION_IN_PROGRESS
    elif advice.change is not None:
        assert _effect(changed(snapshot, job, advice.change), job) is advice.effect, f"{advice} is not true of {job.id}"
    else:
        assert not [each for each in _every(snapshot, job, scene) if _effect(changed(snapshot, job, each), job)]


def _every(snapshot: Snapshot, job: PendingJob, scene: Scene) -> list[Change]:
    """All single changes of the kinds that are looked at, each value of each."""
    own = [Change(ladder.kind, job.id, ladder.before, value) for ladder in own_ladders(snapshot, job) for value in ladder.values]
    return own + [change for _, some in cloud_candidates(snapshot, job, scene.waits[job.id]) for change, _ in some]


ORDERED = st.sampled_from([partial(decide, policy=Policy(order=order)) for order in ORDERS.values()])


@given(snapshots() | crowded(), ORDERED, st.data())
def test_deciding_only_with_those_who_matter_decides_the_same(snapshot: Snapshot, decided: Decide, data: st.DataObject) -> None:
    scene = Scene(snapshot, decided(snapshot), decided)
    waiting = [of for of in snapshot.pending if of.id in scene.waits]
    job = data.draw(st.sampled_from(waiting)) if waiting else None
    if job is None or scene.waits[job.id].reason is PendingReason.PREEMPTION_IN_PROGRESS:
        return
    for ladder in own_ladders(snapshot, job):
        if ladder.values:
            altered = ladder.alter(data.draw(st.sampled_from(list(ladder.values))))
            everyone = tuple(altered if of.id == job.id else of for of in snapshot.pending)
            effect = _effect(replace(snapshot, pending=everyone), altered, decided)
            assert scene.with_job(altered) is effect, f"{ladder.kind} of {job.id}: {altered}"


@given(snapshots() | crowded(), ORDERED)
def test_a_job_that_is_not_submitted_yet_is_told_what_the_next_cycle_makes_of_it(snapshot: Snapshot, decided: Decide) -> None:
    *here, new = snapshot.pending or (None,)
    if new is None:
        return
    new = replace(new, submitted_us=snapshot.now_us, claim=None)
    before = replace(snapshot, pending=tuple(of for of in here if of is not None))
    found = Scene(before, decided(before), decided).submitted(new)
    after = decided(replace(before, pending=(*before.pending, new)))
    truly = next(of for of in after.decisions if of.job == new.id)
    if isinstance(truly, Place):
        assert found == truly
    else:
        assert isinstance(found, StayPending) and found.claim == truly.claim
        assert (found.wait.reason, found.wait.sentence) == (truly.wait.reason, truly.wait.sentence)


@given(snapshots() | crowded(), ORDERED, st.integers(1, 1_000_000))
def test_while_nothing_changes_every_explanation_stays_word_for_word(snapshot: Snapshot, decided: Decide, later_us: int) -> None:
    calm = _calm(snapshot, decided)
    first = decided(calm)
    later = replace(calm, cycle=calm.cycle + 1, now_us=calm.now_us + later_us)
    again = decided(later)
    assert [(stay.job, stay.wait.reason, stay.wait.sentence, stay.wait.numbers) for stay in first.stays] == [
        (stay.job, stay.wait.reason, stay.wait.sentence, stay.wait.numbers) for stay in again.stays
    ]
    if _by_cost(calm) != _by_cost(later):
        return  # a checkpoint that grows old makes its job dearer to stop than another: that is a change
    then, now = Scene(calm, first, decided), Scene(later, again, decided)
    assert [advise(then, of.id) for of in calm.pending[:3]] == [advise(now, of.id) for of in calm.pending[:3]]


def _by_cost(snapshot: Snapshot) -> list[JobId]:
    return [of.id for of in sorted(snapshot.running, key=lambda of: (cost_of(of, snapshot.now_us), of.id))]


def _calm(snapshot: Snapshot, decided: Decide) -> Snapshot:
    """The cloud once whoever can start has, and whoever has to stop is stopping: its plan is to wait."""
    cloud = VirtualCloud(snapshot)
    plan = decided(snapshot)
    while plan.placements or plan.evictions:
        cloud.follow(plan)
        plan = decided(cloud.snapshot())
    cloud.follow(plan)
    return cloud.snapshot()


@given(snapshots() | crowded())
def test_a_snapshot_that_went_through_a_file_is_decided_and_explained_the_same(snapshot: Snapshot) -> None:
    file = read_snapshot(json.loads(json.dumps(export(snapshot, decide, made_by="a test"))), "a file")
    assert (file.snapshot, file.plan) == (snapshot, decide(snapshot)) and decide(file.snapshot) == file.plan
    scene, replayed = Scene(snapshot, decide(snapshot), decide), Scene(file.snapshot, file.plan, decide)
    assert [advise(scene, of.id) for of in snapshot.pending[:1]] == [advise(replayed, of.id) for of in snapshot.pending[:1]]
