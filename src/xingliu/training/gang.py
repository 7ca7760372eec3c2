"""A gang's attempt: what the shims' records make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xingliu.kernel.events import CLOUD, EventDraft
from xingliu.kernel.ids import JobId, LeaseId
from xingliu.training.ending import decide_end, done, outcome_of
from xingliu.workloads.model import Attempt, Fault, Job, JobState, Lease, Outcome, StopWhy
from xingliu.workloads.records import Phase, ReplicaRecord


@dataclass(frozen=True, slots=True)
class Gang:
    """A job with the attempts and leases of its current number, in order of rank."""

    job: Job
    attempts: tuple[Attempt, ...]
    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What changed: new values to record, whole, and the events that say so."""

    job: Job
    attempts: tuple[Attempt, ...]
    leases: tuple[Lease, ...]
    events: tuple[EventDraft, ...]


def settle(gang: Gang, records: Mapping[LeaseId, ReplicaRecord], *, now_us: int) -> Progress | None:
    """The gang after what was seen of its replicas, by lease id; None when nothing changed."""
    events: list[EventDraft] = []
    attempts: list[Attempt] = []
    leases: list[Lease] = []
    for attempt, lease in zip(gang.attempts, gang.leases, strict=True):
        record = records.get(lease.id)
        if record is not None:
            attempt, lease = _seen(gang.job, attempt, lease, record, now_us, events)
        attempts.append(attempt)
        leases.append(lease)
    leases = _release(gang.job, attempts, leases, records, now_us, events)
    job = _job_after(gang.job, attempts, leases, now_us, events)
    if job is gang.job and tuple(attempts) == gang.attempts and tuple(leases) == gang.leases:
        return None
    return Progress(job, tuple(attempts), tuple(leases), tuple(events))


def _seen(
    job: Job, attempt: Attempt, lease: Lease, record: ReplicaRecord, now_us: int, events: list[EventDraft]
) -> tuple[Attempt, Lease]:
    if record.started_us is not None and lease.started_us is None and attempt.outcome is None:
        lease = replace(lease, started_us=_between(lease.opened_us, record.started_us, now_us))
        events.append(event("attempt.started", job, now_us, facts=_place(attempt, lease)))
    if record.saved is not None and record.saved != attempt.saved and attempt.outcome is None:
        attempt = replace(attempt, saved=replace(record.saved, seen_us=_between(lease.opened_us, record.saved.seen_us, now_us)))
    if record.over and attempt.outcome is None:
        attempt, lease = _ended(job, attempt, lease, record, now_us)
        events.append(_end_event(job, attempt, lease, now_us))
    return attempt, lease


def _release(
    job: Job,
    attempts: Sequence[Attempt],
    leases: Sequence[Lease],
    records: Mapping[LeaseId, ReplicaRecord],
    now_us: int,
    events: list[EventDraft],
) -> list[Lease]:
    """The leases after those that are verified empty are released.

    A rank that succeeded frees its devices at once, and so does every rank once the job is done. A gang that ends otherwise
    frees all of them together, so that one that starts again finds its seats, and nobody gets half of them meanwhile.
    """
    free = {lease.id for lease in leases if lease.released_us is None and _is_empty(records.get(lease.id))}
    together = not done(job, attempts) and (job.state is JobState.STOPPING or any(_is_bad(attempt) for attempt in attempts))
    if together and any(lease.released_us is None and lease.id not in free for lease in leases):
        return list(leases)
    released = []
    for attempt, lease in zip(attempts, leases, strict=True):
        if lease.id in free:
            lease = replace(lease, released_us=now_us)
            facts = {**_place(attempt, lease), "lease": lease.id, "released_us": now_us}
            events.append(event("lease.released", job, now_us, facts=facts))
        released.append(lease)
    return released


def _is_empty(record: ReplicaRecord | None) -> bool:
    return record is not None and record.over and record.empty_us is not None


def _is_bad(attempt: Attempt) -> bool:
    return attempt.outcome not in (None, Outcome.SUCCEEDED)


def _between(first_us: int, record_us: int, now_us: int) -> int:
    """A node's clock may be ahead or behind: nothing happened before what it follows, nor later than now."""
    return max(first_us, min(record_us, now_us))


def _ended(job: Job, attempt: Attempt, lease: Lease, record: ReplicaRecord, now_us: int) -> tuple[Attempt, Lease]:
    if lease.started_us is not None and record.ended_us is not None:
        lease = replace(lease, ended_us=_between(lease.started_us, record.ended_us, now_us))
    if record.phase is Phase.LOST:
        lease = replace(lease, fault=Fault.SHIM_LOST)
    attempt = replace(
        attempt,
        outcome=outcome_of(job, record),
        exit_code=record.exit_code,
        signal=record.signal,
        message=record.message,
        cpu_us=record.cpu_us,
        memory_peak_bytes=record.memory_peak_bytes,
    )
    return attempt, lease


def _job_after(job: Job, attempts: Sequence[Attempt], leases: Sequence[Lease], now_us: int, events: list[EventDraft]) -> Job:
    started = [lease.started_us for lease in leases if lease.started_us is not None]
    if job.started_us is None and started:
        job = replace(job, started_us=min(started))
    if job.state is JobState.STARTING and len(started) == len(leases):
        job = replace(job, state=JobState.RUNNING)
        after_last_start = max((at for at, told in enumerate(events, 1) if told.type == "attempt.started"), default=0)
        events.insert(after_last_start, event("job.started", job, now_us, facts={"number": job.attempt}))
    if all(
        attempt.outcome is not None and lease.released_us is not None for attempt, lease in zip(attempts, leases, strict=True)
    ):
        end = decide_end(job, attempts, leases, now_us=now_us)
        events.append(event(end.event, end.job, now_us, cause=end.sentence, facts=end.facts))
        return end.job
    if job.state not in (JobState.STARTING, JobState.RUNNING):
        return job
    bad = [attempt for attempt in attempts if _is_bad(attempt)]
    if done(job, attempts):
        others = any(attempt.outcome is not Outcome.SUCCEEDED for attempt in attempts)
        cause = f"{' and '.join(job.spec.stop_when)} ended, so the job ends"
        return _stopping(job, StopWhy.ROLE_ENDED, job.spec.checkpoint.grace_us, cause, now_us, events) if others else job
    if bad:
        cause = f"{job.spec.called(bad[0].rank)} ended, so the gang ends"
        return _stopping(job, StopWhy.RANK_ENDED, 0, cause, now_us, events)
    return job


def _stopping(job: Job, why: StopWhy, grace_us: int, cause: str, now_us: int, events: list[EventDraft]) -> Job:
    job = stopping(job, why, now_us=now_us, grace_us=grace_us)
    events.append(event("job.stopping", job, now_us, cause=cause, facts={"why": why}))
    return job


def stopping(job: Job, why: StopWhy, *, now_us: int, grace_us: int, stopped_for: JobId | None = None) -> Job:
    """The job, STOPPING from now on; one that is stopping already keeps its first reason unless this one is final."""
    if job.state is JobState.STOPPING and not (why is StopWhy.CANCEL and job.stop_why is not StopWhy.CANCEL):
        return job
    kill_at_us = now_us + grace_us
    if job.state is JobState.STOPPING and job.kill_at_us is not None:
        kill_at_us = min(kill_at_us, job.kill_at_us)
    return replace(
        job,
        state=JobState.STOPPING,
        stop_why=why,
        stop_us=now_us,
        kill_at_us=kill_at_us,
        stopped_for=stopped_for or job.stopped_for,
        generation=job.generation + 1,
    )


def overdue(gang: Gang, *, now_us: int) -> bool:
    """Whether the job's running time, summed over attempts, has reached its time limit."""
    limit_us = gang.job.spec.time_limit_us
    if limit_us is None or gang.job.state not in (JobState.STARTING, JobState.RUNNING):
        return False
    started = [lease.started_us for lease in gang.leases if lease.started_us is not None]
    return bool(started) and gang.job.running_us + now_us - min(started) >= limit_us


def event(
    type_: str,
    job: Job,
    at_us: int,
    *,
    actor: str = CLOUD,
    cause: str = "",
    facts: Mapping[str, object] | None = None,
) -> EventDraft:
    """An event of this job."""
    return EventDraft(
        type=type_,
        subject=job.id,
        actor=actor,
        at_us=at_us,
        tenant=job.tenant,
        project=job.project,
        cause=cause,
        facts=facts or {},
    )


def _end_event(job: Job, attempt: Attempt, lease: Lease, now_us: int) -> EventDraft:
    facts = {
        **_place(attempt, lease),
        "outcome": attempt.outcome,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "ended_us": lease.ended_us,
    }
    return event("attempt.ended", job, now_us, cause=attempt.message, facts=facts)


def _place(attempt: Attempt, lease: Lease) -> dict[str, object]:
    return {"rank": attempt.rank, "number": attempt.number, "node": lease.node}
