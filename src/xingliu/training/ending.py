"""How an attempt of a gang ends, and what becomes of the job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xingliu.workloads.model import FOR_ANOTHER, Attempt, Job, JobState, Lease, Outcome, StopWhy
from xingliu.workloads.records import Phase, ReplicaRecord
from xingliu.workloads.signals import signal_name
from xingliu.workloads.states import check_step


@dataclass(frozen=True, slots=True)
class End:
    """The job after its attempt, and the event that tells it."""

    job: Job
    event: str
    sentence: str
    facts: Mapping[str, object]


def outcome_of(job: Job, record: ReplicaRecord) -> Outcome:
    """How one replica ended. What ends after the job was asked to stop ends because of that.

    Clocks decide only where the replica was not reached by the stop: a node's may be behind the one that wrote `stop_us`.
    """
    if record.phase is Phase.LOST:
        return Outcome.NODE_FAILURE
    if job.stop_us is not None and (record.stopped or record.ended_us is None or record.ended_us >= job.stop_us):
        if job.stop_why in FOR_ANOTHER:
            return Outcome.PREEMPTED
        return Outcome.TIMED_OUT if job.stop_why is StopWhy.TIME_LIMIT else Outcome.CANCELLED
    if record.phase is Phase.LAUNCH_FAILED:
        return Outcome.LAUNCH_FAILED
    return Outcome.SUCCEEDED if record.exit_code == 0 else Outcome.FAILED


def cause_of(attempt: Attempt) -> str:
    """The word a restart policy knows this end by."""
    if attempt.outcome is Outcome.NODE_FAILURE:
        return "node-failure"
    if attempt.outcome is Outcome.LAUNCH_FAILED:
        return "launch-failure"
    return "signal" if attempt.signal is not None else f"exit:{attempt.exit_code}"


def done(job: Job, attempts: Sequence[Attempt]) -> bool:
    """Whether every rank has succeeded whose end is the job's."""
    return all(attempt.outcome is Outcome.SUCCEEDED for attempt in attempts if job.spec.decides(attempt.rank))


def describe(job: Job, attempt: Attempt) -> str:
    """One sentence about how a replica ended."""
    how = {
        Outcome.SUCCEEDED: "succeeded",
        Outcome.NODE_FAILURE: "was lost",
        Outcome.PREEMPTED: "was stopped for another job",
        Outcome.LAUNCH_FAILED: "could not be launched",
    }.get(attempt.outcome or Outcome.FAILED)
    if how is None:
        how = f"was killed by {signal_name(attempt.signal)}" if attempt.signal else f"exited with {attempt.exit_code}"
    return f"{job.spec.called(attempt.rank)} {how}" + (f": {attempt.message}" if attempt.message else "")


def decide_end(job: Job, attempts: Sequence[Attempt], leases: Sequence[Lease], *, now_us: int) -> End:
    """What becomes of a job whose attempt is over in every rank and whose leases are all released."""
    job = replace(job, running_us=job.running_us + _running_us(leases), generation=job.generation + 1)
    if done(job, attempts):
        whose = " and ".join(job.spec.stop_when) or "every rank"
        deciding = next(attempt for attempt in attempts if job.spec.decides(attempt.rank))
        return _final(job, JobState.SUCCEEDED, deciding, now_us, f"{whose} succeeded")
    worst = _first_bad(attempts, leases)
    shown = worst or next(attempt for attempt in attempts if attempt.outcome is not Outcome.SUCCEEDED)
    if job.stop_why is StopWhy.CANCEL:
        return _final(job, JobState.CANCELLED, shown, now_us, "it was asked to stop")
    if job.stop_why is StopWhy.TIME_LIMIT:
        return _final(job, JobState.TIMED_OUT, shown, now_us, "it reached its time limit")
    if job.stop_why in FOR_ANOTHER and (worst is None or worst.outcome is Outcome.NODE_FAILURE):
        return _pending(job, "it made room for another job", "job.preempted", why=job.stop_why)
    if worst is None:
        return _pending(job, "it is held", "job.paused")
    return _after_failure(job, worst, now_us)


def _after_failure(job: Job, worst: Attempt, now_us: int) -> End:
    """Failed, or started again if its policy says so and there is running time left."""
    cause, policy, limit_us = cause_of(worst), job.spec.restart, job.spec.time_limit_us
    done = job.restarts.get(cause, 0)
    if cause not in policy.on_events:
        return _final(job, JobState.FAILED, worst, now_us, describe(job, worst))
    if done >= policy.max:
        return _final(job, JobState.FAILED, worst, now_us, f"{describe(job, worst)}; restarted {done} times for {cause} already")
    if limit_us is not None and job.running_us >= limit_us:
        return _final(job, JobState.TIMED_OUT, worst, now_us, f"{describe(job, worst)}; its time limit is used up")
    job = replace(job, restarts={**job.restarts, cause: done + 1})
    return _pending(job, describe(job, worst), "job.restarting", cause=cause, restarts=dict(job.restarts))


def _first_bad(attempts: Sequence[Attempt], leases: Sequence[Lease]) -> Attempt | None:
    """The rank whose own end is the gang's: the earliest; one that never ran counts as earliest."""
    own = (Outcome.FAILED, Outcome.NODE_FAILURE, Outcome.LAUNCH_FAILED)
    bad = [pair for pair in zip(attempts, leases, strict=True) if pair[0].outcome in own]
    return min(bad, key=lambda pair: (pair[1].ended_us or 0, pair[0].rank))[0] if bad else None


def _running_us(leases: Sequence[Lease]) -> int:
    started = [lease.started_us for lease in leases if lease.started_us is not None]
    ended = [lease.ended_us for lease in leases if lease.ended_us is not None]
    return max(0, max(ended) - min(started)) if started and ended else 0


def _final(job: Job, state: JobState, shown: Attempt, now_us: int, sentence: str) -> End:
    job = replace(
        job,
        state=check_step(job.id, job.state, state),
        finished_us=now_us,
        stop_why=None,
        stop_us=None,
        kill_at_us=None,
        stopped_for=None,
        exit_code=shown.exit_code,
        signal=shown.signal,
        message="" if state is JobState.SUCCEEDED else sentence,
    )
    facts = {"exit_code": job.exit_code, "signal": job.signal, "number": job.attempt}
    return End(job, f"job.{state.lower().replace('_', '-')}", sentence, facts)


def _pending(job: Job, sentence: str, event: str, **facts: object) -> End:
    state = check_step(job.id, job.state, JobState.PENDING)
    job = replace(job, state=state, stop_why=None, stop_us=None, kill_at_us=None, stopped_for=None, wait=None)
    return End(job, event, sentence, {"number": job.attempt, **facts})
