"""How jobs must end: said once more, small and by itself, from their scripts and from what really happened."""

from collections import Counter
from collections.abc import Iterable, Sequence

from xingliu.kernel.clock import SECOND_US
from xingliu.sim.lives import Life, Mishap, Way, read_life
from xingliu.sim.machines import Replica
from xingliu.workloads.model import Job, JobSpec, JobState

SLACK_US = 4 * SECOND_US
"""How far from its time limit an attempt's end must be to be foretold: ranks begin apart, and a step may be long."""


def cause_of_way(way: Way) -> str:
    """The word a restart policy knows this end by; empty for a good one."""
    if way.mishap is Mishap.NOT_LAUNCHED:
        return "launch-failure"
    if way.mishap is Mishap.SHIM_LOST:
        return "node-failure"
    return "signal" if way.signal else f"exit:{way.exit_code}" if way.exit_code else ""


def expected(spec: JobSpec, life: Life) -> tuple[JobState, int] | None:
    """The state a job ends in where nothing goes wrong but its script, and in which attempt; None where time decides."""
    restarts: Counter[str] = Counter()
    used_us = 0
    for number in range(1, 1000):
        way = life.way(number)
        if spec.time_limit_us is not None and way.mishap is not Mishap.NOT_LAUNCHED:
            used_us += way.work_us
            if used_us - number * SLACK_US > spec.time_limit_us:
                return JobState.TIMED_OUT, number
            if used_us + number * SLACK_US > spec.time_limit_us:
                return None
        cause = cause_of_way(way)
        if not cause:
            return JobState.SUCCEEDED, number
        if cause not in spec.restart.on_events or restarts[cause] >= spec.restart.max:
            return JobState.FAILED, number
        restarts[cause] += 1
    raise AssertionError("a life without end")


def cause_of(replica: Replica) -> str:
    """The same of a replica as it really ended by itself; empty for a good end."""
    if replica.mishap is Mishap.SHIM_LOST:
        return "node-failure"
    if replica.mishap is Mishap.NOT_LAUNCHED:
        return "launch-failure"
    exit_code, signal = replica.end
    return "signal" if signal else f"exit:{exit_code}" if exit_code else ""


def foretold(
    job: Job, replicas: Sequence[Replica], asked: set[str], *, calm: bool, unlaunchable: bool
) -> tuple[JobState, int] | None:
    """How the job's script alone says it ends; None where anything else had a part in it.

    Troubles of the control plane are no part: they may delay an end, and change none. Time limits are foretold only in
    calm, for a clock that is set forward uses them up.
    """
    left_alone = not asked and not unlaunchable and not any(replica.struck for replica in replicas)
    if not left_alone or (job.spec.time_limit_us is not None and not calm):
        return None
    return expected(job.spec, read_life(job.spec.parts[0].run))


def objections(
    job: Job, replicas: Sequence[Replica], asked: set[str], wanted: tuple[JobState, int] | None, *, unlaunchable: bool
) -> Iterable[str]:
    """What is wrong with how the job ended.

    Args:
        asked: what was asked of it: stop, hold, release by people; evict for another job.
        wanted: the state and number of attempts foretold, None where they cannot be.
        unlaunchable: its launch may have failed before any machine heard of it.
    """
    if wanted is not None and wanted != (job.state, job.attempt):
        yield f"should be {wanted[0]} in attempt {wanted[1]}, not {job.state} in attempt {job.attempt}"
    last = [replica for replica in replicas if replica.attempt == job.attempt]
    bad = [cause_of(replica) for replica in last if replica.by_itself and cause_of(replica)]
    good = _went_well(job, last)
    yield from _check_state(job, asked, good=good, bad=bad, unlaunchable=unlaunchable)
    if good and job.state is not JobState.SUCCEEDED and not asked and job.spec.time_limit_us is None:
        yield f"every rank exited with 0, yet it is {job.state}"
    yield from _check_restarts(job)
    yield from _check_killed(job, replicas, asked)


def _went_well(job: Job, attempt: Sequence[Replica]) -> bool:
    """Whether every rank that decides was there, and exited with 0 by itself."""
    deciding = {replica.rank: replica for replica in attempt if job.spec.decides(replica.rank)}
    there = deciding.keys() == {rank for rank in range(job.spec.all_nodes) if job.spec.decides(rank)}
    return there and all(replica.by_itself and replica.end == (0, None) for replica in deciding.values())


def _check_state(job: Job, asked: set[str], *, good: bool, bad: list[str], unlaunchable: bool) -> Iterable[str]:
    match job.state:
        case JobState.SUCCEEDED if not good:
            yield "it did not really succeed"
        case JobState.CANCELLED if "stop" not in asked:
            yield "nobody asked it to stop"
        case JobState.TIMED_OUT if job.spec.time_limit_us is None:
            yield "it has no time limit"
        case JobState.FAILED if not unlaunchable:
            policy = job.spec.restart
            final = [cause for cause in bad if cause not in policy.on_events or job.restarts.get(cause, 0) >= policy.max]
            if not final:
                yield f"it failed for {bad or 'nothing'}, which its policy restarts ({dict(job.restarts)})"
        case _:
            pass


def _check_restarts(job: Job) -> Iterable[str]:
    """Never more than the policy allows, nor for other causes."""
    for cause, count in job.restarts.items():
        if cause not in job.spec.restart.on_events or count > job.spec.restart.max:
            yield f"restarted {count} times for {cause}"


def _check_killed(job: Job, replicas: Sequence[Replica], asked: set[str]) -> Iterable[str]:
    """Nothing is stopped without a reason that a user could be told."""
    if asked or job.spec.time_limit_us is not None:
        return
    for replica in replicas:
        peers = [other for other in replicas if other.attempt == replica.attempt and other is not replica]
        excused = any(other.by_itself and cause_of(other) for other in peers) or job.spec.secrets or _went_well(job, peers)
        if not replica.by_itself and not excused:
            yield f"{replica.lease} was stopped for no reason"
