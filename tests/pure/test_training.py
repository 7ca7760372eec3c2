"""What becomes of a gang: from records of its replicas, the clock and what people ask, to its end."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.kernel.ids import (
    FlavorName,
    JobId,
    LeaseId,
    NodeName,
    PoolName,
    ProjectId,
    QueueName,
    TenantId,
    UserId,
    attempt_id,
    lease_id,
    replica_id,
    role_id,
)
from xingliu.kernel.resources import CPU, Resources
from xingliu.training.ending import cause_of, describe, outcome_of
from xingliu.training.environment import environment
from xingliu.training.gang import Gang, Progress, overdue, settle, stopping
from xingliu.workloads.model import (
    FINAL,
    Attempt,
    Checkpoint,
    Fault,
    Job,
    JobSpec,
    JobState,
    Lease,
    Outcome,
    RestartPolicy,
    Saved,
    StopWhy,
)
from xingliu.workloads.records import Phase, ReplicaRecord
from xingliu.workloads.specs import keep_spec
from xingliu.workloads.states import STEPS

S = 1_000_000
OPENED = 100 * S
NOW = 200 * S
JOB = JobId("j1")


def gang(ranks: int = 1, **spec: object) -> Gang:
    """A gang whose leases were just opened."""
    whole = JobSpec(name="train", run="python train.py", nodes=ranks, **spec)  # type: ignore[arg-type]
    tenant, project, queue = TenantId("acme"), ProjectId("acme/lab"), QueueName("default")
    job = Job(JOB, tenant, project, UserId("acme/mia"), queue, keep_spec({}, whole), JobState.STARTING, 50 * S, attempt=1)
    ids = [attempt_id(replica_id(role_id(JOB, "main"), rank), 1) for rank in range(ranks)]
    attempts = [
        Attempt(each, replica_id(role_id(JOB, "main"), rank), JOB, rank, 1, "10.0.0.1", 29500) for rank, each in enumerate(ids)
    ]
    leases = [
        Lease(
            lease_id(each),
            each,
            JOB,
            tenant,
            project,
            queue,
            PoolName("cores"),
            FlavorName("cpu"),
            NodeName(f"n{rank}"),
            Resources({CPU: 1000}),
            OPENED,
        )
        for rank, each in enumerate(ids)
    ]
    return Gang(job, tuple(attempts), tuple(leases))


def next_attempt(before: Gang) -> Gang:
    """The same job placed once more, with all new leases."""
    fresh = gang(len(before.leases))
    job = replace(before.job, state=JobState.STARTING)
    return Gang(job, fresh.attempts, fresh.leases)


def lease(rank: int) -> LeaseId:
    return LeaseId(f"{JOB}.main.{rank}.1")


def running(rank: int = 0, at_us: int = 110 * S) -> ReplicaRecord:
    return ReplicaRecord(lease(rank), Phase.RUNNING, started_us=at_us)


def ended(rank: int = 0, exit_code: int | None = 0, at_us: int = 120 * S, **more: object) -> ReplicaRecord:
    """Over, and nothing left of it a second later."""
    facts: dict[str, object] = {"started_us": 110 * S, "ended_us": at_us, "empty_us": at_us + S, "exit_code": exit_code}
    return ReplicaRecord(lease(rank), Phase.ENDED, **(facts | more))  # type: ignore[arg-type]


def killed(rank: int = 0, number: int = 9, at_us: int = 120 * S, **more: object) -> ReplicaRecord:
    return ended(rank, None, at_us, signal=number, **more)


def lost(rank: int = 0, at_us: int = 120 * S) -> ReplicaRecord:
    return ReplicaRecord(lease(rank), Phase.LOST, 110 * S, at_us, at_us + 2 * S)


def unlaunched(rank: int = 0) -> ReplicaRecord:
    return ReplicaRecord(lease(rank), Phase.LAUNCH_FAILED, empty_us=105 * S, message="no space for its folder")


def not_empty(record: ReplicaRecord) -> ReplicaRecord:
    return replace(record, empty_us=None)


def by_lease(*records: ReplicaRecord) -> Mapping[LeaseId, ReplicaRecord]:
    return {record.lease: record for record in records}


def after(before: Gang, *records: ReplicaRecord, now_us: int = NOW) -> Gang:
    step = settle(before, by_lease(*records), now_us=now_us)
    return before if step is None else Gang(step.job, step.attempts, step.leases)


def asked(before: Gang, why: StopWhy, now_us: int = 115 * S) -> Gang:
    return replace(before, job=stopping(before.job, why, now_us=now_us, grace_us=10 * S))


def told(before: Gang, *records: ReplicaRecord) -> list[str]:
    step = settle(before, by_lease(*records), now_us=NOW)
    return [event.type for event in step.events] if step else []


RESTART_ALL = RestartPolicy(("node-failure", "launch-failure", "signal", "exit:3"), 2)
ONE, TWO = gang(), gang(2)
ENDS = {
    "it exits with 0": (ONE, [ended()], "SUCCEEDED", 0),
    "all ranks exit with 0": (TWO, [ended(0), ended(1)], "SUCCEEDED", 0),
    "it exits with another code": (ONE, [ended(exit_code=3)], "FAILED", 3),
    "it is killed by a signal": (ONE, [killed()], "FAILED", None),
    "one rank fails and the other is stopped": (TWO, [ended(0, 3), killed(1, at_us=130 * S)], "FAILED", 3),
    "its cause is one to restart for": (gang(restart=RESTART_ALL), [ended(exit_code=3)], "PENDING", None),
    "its cause is another exit code": (gang(restart=RESTART_ALL), [ended(exit_code=4)], "FAILED", 4),
    "a signal is one to restart for": (gang(restart=RESTART_ALL), [killed()], "PENDING", None),
    "its node is lost, as the default policy restarts for": (ONE, [lost()], "PENDING", None),
    "it cannot be launched, as the default policy restarts for": (ONE, [unlaunched()], "PENDING", None),
    "nothing is one to restart for": (gang(restart=RestartPolicy(())), [lost()], "FAILED", None),
    "no restarts are left": (gang(restart=RestartPolicy(("node-failure",), 0)), [lost()], "FAILED", None),
    "a user stops it": (asked(ONE, StopWhy.CANCEL), [killed(number=15, stopped=True)], "CANCELLED", None),
    "a user stops it and it exits with 0": (asked(ONE, StopWhy.CANCEL), [ended(stopped=True)], "CANCELLED", 0),
    "a user stops it before it started": (asked(ONE, StopWhy.CANCEL), [unlaunched()], "CANCELLED", None),
    "a user stops it after it succeeded": (asked(ONE, StopWhy.CANCEL), [ended(at_us=114 * S)], "SUCCEEDED", 0),
    "a user holds it": (asked(ONE, StopWhy.HOLD), [killed(number=15, stopped=True)], "PENDING", None),
    "a user holds it and it exits with 0": (asked(ONE, StopWhy.HOLD), [ended(stopped=True)], "PENDING", None),
    "a user holds it after it failed": (asked(ONE, StopWhy.HOLD), [ended(exit_code=3, at_us=114 * S)], "FAILED", 3),
    "it makes room for another": (asked(ONE, StopWhy.PREEMPT), [killed(number=15, stopped=True)], "PENDING", None),
    "it makes room for another and exits with 0": (asked(ONE, StopWhy.RECLAIM), [ended(stopped=True)], "PENDING", None),
    "it makes room after it failed": (asked(ONE, StopWhy.PREEMPT), [ended(exit_code=3, at_us=114 * S)], "FAILED", 3),
    "its node is lost as it makes room": (asked(gang(restart=RestartPolicy(())), StopWhy.RECLAIM), [lost()], "PENDING", None),
    "held by a clock ahead of its node's": (asked(ONE, StopWhy.HOLD, 190 * S), [ended(stopped=True)], "PENDING", None),
    "its time is up": (
        asked(gang(time_limit_us=5 * S), StopWhy.TIME_LIMIT),
        [killed(number=15, stopped=True)],
        "TIMED_OUT",
        None,
    ),
    "its time is up while it is lost": (gang(time_limit_us=5 * S), [lost()], "TIMED_OUT", None),
    "it fails after its time, unrestartable": (gang(time_limit_us=5 * S), [ended(exit_code=3)], "FAILED", 3),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_job_ends_as_it_must_when(what: str) -> None:
    before, records, state, exit_code = ENDS[what]
    job = after(before, *records).job
    assert (job.state.value, job.exit_code) == (state, exit_code)
    assert (job.stop_why, job.stop_us, job.kill_at_us) == (None, None, None)
    assert (job.finished_us is None) == (job.state is JobState.PENDING)


STORIES = {
    "a start": (ONE, [running()], ["attempt.started", "job.started"]),
    "half of a start": (TWO, [running(1)], ["attempt.started"]),
    "a whole life at once": (
        ONE,
        [ended()],
        ["attempt.started", "job.started", "attempt.ended", "lease.released", "job.succeeded"],
    ),
    "an end that is not empty": (ONE, [not_empty(ended())], ["attempt.started", "job.started", "attempt.ended"]),
    "a rank that fails": (
        TWO,
        [not_empty(ended(0, 3)), running(1)],
        ["attempt.started", "attempt.ended", "attempt.started", "job.started", "job.stopping"],
    ),
    "a restart": (ONE, [unlaunched()], ["attempt.ended", "lease.released", "job.restarting"]),
    "a hold": (asked(ONE, StopWhy.HOLD), [unlaunched()], ["attempt.ended", "lease.released", "job.paused"]),
    "room for another": (
        asked(ONE, StopWhy.PREEMPT),
        [killed(stopped=True)],
        ["attempt.started", "attempt.ended", "lease.released", "job.preempted"],
    ),
    "nothing": (ONE, [], []),
    "a shim that is there and nothing yet": (ONE, [ReplicaRecord(lease(0), Phase.STARTING)], []),
}


@pytest.mark.parametrize("what", STORIES)
def test_the_log_tells_of(what: str) -> None:
    before, records, types = STORIES[what]
    assert told(before, *records) == types


def test_a_gang_runs_when_all_of_its_ranks_have_started() -> None:
    half = after(TWO, running(0))
    assert half.job.state is JobState.STARTING
    whole = after(half, running(0), running(1, 112 * S))
    assert whole.job.state is JobState.RUNNING
    assert whole.job.started_us == 110 * S


def test_one_rank_that_ends_badly_stops_the_others_at_once() -> None:
    stopped = after(after(TWO, running(0), running(1)), not_empty(ended(0, 3)), running(1))
    assert stopped.job.state is JobState.STOPPING
    assert stopped.job.stop_why is StopWhy.RANK_ENDED
    assert stopped.job.kill_at_us == NOW


def test_one_rank_that_ends_well_does_not_stop_the_others() -> None:
    assert after(after(TWO, running(0), running(1)), ended(0), running(1)).job.state is JobState.RUNNING


def test_the_first_rank_that_ended_badly_is_the_cause() -> None:
    both = after(gang(2, restart=RESTART_ALL), killed(0, at_us=125 * S), ended(1, 3, at_us=124 * S))
    assert both.job.restarts == {"exit:3": 1}


def test_a_rank_that_was_stopped_for_another_is_not_the_cause_even_by_a_clock_that_is_behind() -> None:
    first = after(gang(2, restart=RESTART_ALL), not_empty(ended(0, 3)), running(1))
    done = after(first, ended(0, 3), killed(1, at_us=111 * S, stopped=True))
    assert done.job.restarts == {"exit:3": 1}
    assert [attempt.outcome for attempt in done.attempts] == [Outcome.FAILED, Outcome.CANCELLED]


def test_a_job_stays_in_its_attempt_until_nothing_is_left_of_any_rank() -> None:
    almost = after(TWO, ended(0), not_empty(ended(1)))
    assert almost.job.state not in FINAL
    assert [lease.released_us for lease in almost.leases] == [NOW, None]
    assert after(almost, ended(1), now_us=NOW + S).job.state is JobState.SUCCEEDED


def test_making_room_for_another_is_an_outcome_of_its_own_and_costs_no_restart() -> None:
    before = asked(gang(restart=RestartPolicy(("signal",), 1)), StopWhy.PREEMPT)
    now = after(before, killed(number=15, stopped=True))
    assert now.attempts[0].outcome is Outcome.PREEMPTED
    assert (now.job.restarts, now.job.stopped_for, now.job.submitted_us) == ({}, None, before.job.submitted_us)


def test_the_last_checkpoint_that_was_seen_is_kept_with_the_attempt() -> None:
    saved = Saved("ckpt", "1:1:1", 112 * S)
    now = after(ONE, replace(running(), saved=saved))
    assert now.attempts[0].saved == saved
    assert after(now, ended()).attempts[0].saved == saved


def test_each_cause_has_restarts_of_its_own() -> None:
    now = gang(restart=RESTART_ALL)
    for record in (lost(), ended(exit_code=3), lost(), ended(exit_code=3)):
        now = next_attempt(after(now, record))
    assert now.job.restarts == {"node-failure": 2, "exit:3": 2}
    assert after(now, lost()).job.state is JobState.FAILED
    assert "restarted 2 times for node-failure already" in after(now, lost()).job.message


def test_running_time_is_summed_over_attempts_and_bounds_them() -> None:
    once = after(gang(time_limit_us=15 * S, restart=RESTART_ALL), killed())
    assert (once.job.state, once.job.running_us) == (JobState.PENDING, 10 * S)
    again = after(next_attempt(once), running())
    assert not overdue(again, now_us=115 * S - 1)
    assert overdue(again, now_us=115 * S)
    assert after(next_attempt(once), killed()).job.state is JobState.TIMED_OUT


def test_waiting_counts_for_no_time_limit() -> None:
    assert not overdue(gang(time_limit_us=S), now_us=NOW)
    assert not overdue(after(ONE, running()), now_us=1000 * NOW)
    assert not overdue(asked(after(gang(time_limit_us=S), running()), StopWhy.HOLD), now_us=NOW)


def test_a_lost_replica_is_billed_to_its_last_sign_of_life_and_nobody_pays_for_the_rest() -> None:
    (only,) = after(ONE, lost()).leases
    assert (only.started_us, only.ended_us, only.fault) == (110 * S, 120 * S, Fault.SHIM_LOST)


STOPS = {
    "a hold before a cancel": ((StopWhy.HOLD, StopWhy.CANCEL), StopWhy.CANCEL),
    "a cancel before a hold": ((StopWhy.CANCEL, StopWhy.HOLD), StopWhy.CANCEL),
    "a time limit before a hold": ((StopWhy.TIME_LIMIT, StopWhy.HOLD), StopWhy.TIME_LIMIT),
    "a rank's end before a cancel": ((StopWhy.RANK_ENDED, StopWhy.CANCEL), StopWhy.CANCEL),
    "a rank's end before a hold": ((StopWhy.RANK_ENDED, StopWhy.HOLD), StopWhy.RANK_ENDED),
}


@pytest.mark.parametrize("what", STOPS)
def test_the_first_reason_to_stop_stays_unless_a_later_one_is_final(what: str) -> None:
    (first, second), stays = STOPS[what]
    job = stopping(ONE.job, first, now_us=S, grace_us=5 * S)
    later = stopping(job, second, now_us=3 * S, grace_us=60 * S)
    assert later.stop_why is stays
    assert later.kill_at_us == 6 * S, "a second request never gives more time"


def test_a_sentence_says_how_a_rank_ended() -> None:
    assert after(ONE, killed(number=11)).job.message == "rank 0 was killed by SIGSEGV"
    assert after(ONE, ended(exit_code=2, message="out of disk")).job.message == "rank 0 exited with 2: out of disk"
    stuck = after(gang(restart=RestartPolicy(())), unlaunched())
    assert stuck.job.message == "rank 0 could not be launched: no space for its folder"


def test_a_rank_finds_what_torchrun_would_have_set() -> None:
    env = environment(gang(2, env={"LR": "1", "RANK": "9"}), 1, node_ips=["10.0.0.1", "10.0.0.2"], secrets={"TOKEN": "t"})
    torchrun = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
    assert torchrun.items() <= env.items()
    ours = {"XL_NODES": "2", "XL_NODE_RANK": "1", "XL_GPUS_PER_NODE": "0", "XL_MASTER_ADDR": "10.0.0.1", "XL_ATTEMPT": "1"}
    assert ours.items() <= env.items()
    assert (env["XL_MASTER_PORT"], env["XL_NODE_IPS"], env["LR"], env["TOKEN"]) == ("29500", "10.0.0.1\n10.0.0.2", "1", "t")


# What holds for any records -------------------------------------------------------------------------------------------

INSTANTS = st.integers(90 * S, 250 * S)
MAYBE = st.one_of(st.none(), INSTANTS)


@st.composite
def records(draw: st.DrawFn, rank: int) -> ReplicaRecord:
    """Anything a node with a wrong clock could tell, as long as it makes sense by itself."""
    phase = draw(st.sampled_from(Phase))
    if phase in (Phase.STARTING, Phase.LAUNCH_FAILED):
        return ReplicaRecord(lease(rank), phase, empty_us=draw(MAYBE) if phase is Phase.LAUNCH_FAILED else None)
    if phase is Phase.RUNNING:
        return ReplicaRecord(lease(rank), phase, started_us=draw(INSTANTS))
    code = draw(st.sampled_from([0, 0, 1, 3, None])) if phase is Phase.ENDED else None
    signal = 9 if phase is Phase.ENDED and code is None else None
    return ReplicaRecord(
        lease(rank), phase, draw(INSTANTS), draw(INSTANTS), draw(MAYBE), code, signal, stopped=draw(st.booleans())
    )


@st.composite
def gangs(draw: st.DrawFn) -> Gang:
    ranks = draw(st.integers(1, 3))
    restart = RestartPolicy(draw(st.sampled_from([(), ("node-failure", "signal"), ("exit:1", "launch-failure")])), 1)
    limit_us = draw(st.one_of(st.none(), st.integers(S, 50 * S)))
    fresh = gang(ranks, restart=restart, time_limit_us=limit_us, checkpoint=Checkpoint())
    why = draw(st.one_of(st.none(), st.sampled_from([StopWhy.CANCEL, StopWhy.HOLD, StopWhy.TIME_LIMIT])))
    return fresh if why is None else asked(fresh, why, draw(INSTANTS))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Gang, list[list[ReplicaRecord]]]:
    """A gang and what is seen of it in up to six cycles; reports may be old, missing or contradict each other."""
    fresh = draw(gangs())
    ranks = range(len(fresh.leases))
    cycles = draw(st.lists(st.lists(st.sampled_from(ranks).flatmap(records), max_size=4), max_size=6))
    return fresh, cycles


@given(histories())
def test_whatever_is_reported_states_step_as_they_may_and_instants_are_in_order(
    history: tuple[Gang, list[list[ReplicaRecord]]],
) -> None:
    now, cycles = history
    for number, seen in enumerate(cycles):
        now_us = NOW + number * S
        before, now = now, after(now, *seen, now_us=now_us)
        assert now.job.state is before.job.state or now.job.state in STEPS[before.job.state]
        for lease_now, attempt in zip(now.leases, now.attempts, strict=True):
            instants = [lease_now.opened_us, lease_now.started_us, lease_now.ended_us, lease_now.released_us, now_us]
            known = [us for us in instants if us is not None]
            assert known == sorted(known)
            assert lease_now.released_us is None or attempt.outcome is not None
        over = all(each.released_us is not None for each in now.leases)
        assert over == (now.job.state is JobState.PENDING or now.job.state in FINAL)
        if over:
            return


@given(histories())
def test_what_was_settled_once_stays_settled(history: tuple[Gang, list[list[ReplicaRecord]]]) -> None:
    now, cycles = history
    for seen in cycles:
        now = after(now, *seen)
        if now.job.state is JobState.PENDING or now.job.state in FINAL:
            return
        assert settle(now, by_lease(*seen), now_us=NOW) is None
        kept = after(now, *[replace(record, exit_code=7, signal=None) for record in seen])
        assert [each.exit_code for each in kept.attempts] == [each.exit_code for each in now.attempts]


@given(gangs(), st.data())
def test_ends_reported_one_by_one_or_all_at_once_lead_to_the_same_state(fresh: Gang, data: st.DataObject) -> None:
    """But for what is then said of ranks that were stopped: those are reported as stopped. What is over stays reported."""
    makers = [ended, killed, lost, lambda rank: ended(rank, 3)]
    first = data.draw(st.integers(0, len(fresh.leases) - 1))
    ends = {first: data.draw(st.sampled_from(makers))(first)}
    for rank in set(range(len(fresh.leases))) - {first}:
        ends[rank] = killed(rank, at_us=130 * S, stopped=True) if ends[first].exit_code != 0 else ended(rank)
    together = after(fresh, *ends.values())
    apart = after(fresh, ends[first])
    for count in range(1, len(ends) + 1):
        if apart.job.state is not JobState.PENDING and apart.job.state not in FINAL:
            apart = after(apart, *list(ends.values())[:count])
    if together.job.stop_why is None and fresh.job.stop_why is None:
        assert apart.job.state is together.job.state


@given(gangs(), st.sampled_from(Phase), st.booleans(), INSTANTS, st.sampled_from([0, 3]))
def test_an_outcome_claims_no_more_than_its_record(fresh: Gang, phase: Phase, stopped: bool, at_us: int, code: int) -> None:
    record = ReplicaRecord(lease(0), phase, 110 * S, at_us, exit_code=code if phase is Phase.ENDED else None, stopped=stopped)
    if not record.over:
        return
    outcome = outcome_of(fresh.job, record)
    assert outcome is not Outcome.SUCCEEDED or (phase is Phase.ENDED and code == 0)
    assert outcome is not Outcome.TIMED_OUT or fresh.job.stop_why is StopWhy.TIME_LIMIT
    assert outcome is not Outcome.CANCELLED or fresh.job.stop_why is not None
    attempt = replace(fresh.attempts[0], outcome=outcome, exit_code=record.exit_code)
    assert describe(fresh.job, attempt).startswith("rank 0 ")
    assert cause_of(attempt) in ("node-failure", "launch-failure", f"exit:{record.exit_code}")


def test_progress_says_everything_that_changed() -> None:
    step = settle(ONE, by_lease(ended()), now_us=NOW)
    assert isinstance(step, Progress)
    assert step.job.generation > ONE.job.generation
    assert {event.subject for event in step.events} == {JOB}


def test_a_gang_that_ends_badly_releases_its_leases_together() -> None:
    apart = after(TWO, killed(0))
    assert apart.job.state is JobState.STOPPING
    assert [each.released_us for each in apart.leases] == [None, None]
    both = after(apart, killed(0), killed(1, stopped=True))
    assert [each.released_us for each in both.leases] == [NOW, NOW]


def test_a_rank_that_succeeded_frees_its_devices_while_the_others_run() -> None:
    assert [each.released_us for each in after(TWO, ended(0)).leases] == [NOW, None]
