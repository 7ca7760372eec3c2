"""Jobs of several roles: what their files mean, what each rank is told, and whose end is the job's."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import GB, cloud, node
from tests.pure.test_schemas import JOB as SCHEMA
from tests.pure.test_spec import names, said, scripts

from xingliu.control.placing import Placing, place_job
from xingliu.control.world import pending_job, running_job
from xingliu.kernel.documents import Document, parse
from xingliu.kernel.ids import JobId, ProjectId, QueueName, TenantId, UserId
from xingliu.scheduling.model import Part, Seat
from xingliu.scheduling.policy import decide
from xingliu.training.environment import environment
from xingliu.training.gang import Gang, Progress, settle
from xingliu.workloads.model import (
    Checkpoint,
    GpuRequest,
    Job,
    JobSpec,
    JobState,
    Outcome,
    ResourceRequest,
    RestartPolicy,
    RoleSpec,
    StopWhy,
)
from xingliu.workloads.records import Phase, ReplicaRecord
from xingliu.workloads.spec import job_document, read_job
from xingliu.workloads.specs import keep_spec

S = 1_000_000
FILE = """
kind: job
name: rl-run
roles:
  learner: {nodes: 2, resources: {gpu: H100:8}, run: python learner.py}
  roll-out: {nodes: 3, resources: {cpu: 2}, run: python rollout.py --learner $XL_LEARNER_ADDR}
  evaluator: {run: python evaluate.py}
time_limit: 12h
stop_when: learner
"""
SPEC = read_job(parse(FILE, "rl.yaml"))


# Files ----------------------------------------------------------------------------------------------------------------


def test_each_role_has_nodes_resources_and_a_command_of_its_own() -> None:
    assert SPEC.roles == (
        RoleSpec("learner", "python learner.py", 2, ResourceRequest(gpu=GpuRequest(8, "H100"))),
        RoleSpec("roll-out", "python rollout.py --learner $XL_LEARNER_ADDR", 3, ResourceRequest(cpu_milli=2000)),
        RoleSpec("evaluator", "python evaluate.py"),
    )
    assert (SPEC.stop_when, SPEC.all_nodes, SPEC.parts) == (("learner",), 6, SPEC.roles)


def test_a_job_without_roles_is_one_part_called_main() -> None:
    spec = JobSpec("train", "python train.py", nodes=4)
    assert spec.parts == (RoleSpec("main", "python train.py", 4, spec.resources),)
    assert (spec.all_nodes, spec.role_of(3), spec.called(3), spec.decides(3)) == (4, ("main", 3), "rank 3", True)


REFUSED = {
    "no role": ("roles: {}", "roles: it names no role"),
    "a list": ("roles: [learner]", "roles: a list is not a mapping of roles"),
    "no command": ("roles: {a: {nodes: 2}}", "there is no 'run' in roles.a"),
    "no nodes": ("roles: {a: {run: x, nodes: 0}}", "roles.a.nodes: 0 is not a whole number from 1 to 100000"),
    "a name that is none": ("roles: {A_b: {run: x}}", "'A_b' cannot be a key of roles"),
    "a name that is torch's": (
        "roles: {master: {run: x}}",
        "'master' cannot be a role: XL_MASTER_ADDR is taken",
    ),
    "a key that is the job's": ("roles: {a: {run: x, env: {B: c}}}", "there is no key 'env' in roles.a"),
    "another system's word": ("run: x\ntaskRoles: {a: {run: x}}", "there is no key 'taskRoles'; it is 'roles' here"),
    "nodes beside roles": ("nodes: 2\nroles: {a: {run: x}}", "with roles, 'nodes' belongs into each of them"),
    "a command beside roles": ("run: x\nroles: {a: {run: x}}", "with roles, 'run' belongs into each of them"),
    "an end without roles": ("run: x\nstop_when: a", "stop_when: 'a' is no role of this job"),
    "an end of nobody": ("roles: {a: {run: x}}\nstop_when: b", "stop_when: 'b' is no role of this job"),
    "an end of none": ("roles: {a: {run: x}}\nstop_when: []", "stop_when: it names no role"),
    "an end twice": ("roles: {a: {run: x}}\nstop_when: [a, a]", "stop_when: a role is named twice"),
    "too many nodes": (
        "roles: {a: {run: x, nodes: 60000}, b: {run: x, nodes: 60000}}",
        "roles: together they ask for more than 100000 nodes",
    ),
    "too many roles": (
        "roles: {" + ", ".join(f"r{number}: {{run: x}}" for number in range(17)) + "}",
        "roles: there are more than 16 roles",
    ),
    "neither a command nor roles": ("time_limit: 1h", "there is no 'run'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused_that_has(case: str) -> None:
    text, message = REFUSED[case]
    (line,) = said(f"kind: job\nname: a\n{text}\n")
    assert line.partition(": ")[2] == message


def test_an_editor_wants_a_command_or_roles() -> None:
    assert SCHEMA.is_valid(parse(FILE, "rl.yaml").value)
    assert not SCHEMA.is_valid({"kind": "job", "name": "a"})


resources = st.builds(ResourceRequest, st.integers(10, 4_096_000), st.integers(1, 1000).map(lambda count: count * GB))
roles = st.lists(
    st.builds(RoleSpec, names.filter(lambda name: name not in ("master", "node")), scripts, st.integers(1, 6000), resources),
    min_size=1,
    max_size=16,
    unique_by=lambda role: role.name,
)


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    given_roles = tuple(draw(roles))
    stop_when = draw(st.lists(st.sampled_from([role.name for role in given_roles]), unique=True))
    return JobSpec(draw(names), roles=given_roles, stop_when=tuple(stop_when))


@given(specs())
def test_what_is_written_reads_back_the_same(spec: JobSpec) -> None:
    document = job_document(spec)
    assert read_job(Document.of(document)) == spec
    SCHEMA.validate(document)


@given(specs())
def test_every_rank_has_one_role_and_they_count_from_zero_in_each(spec: JobSpec) -> None:
    counted = [spec.role_of(rank) for rank in range(spec.all_nodes)]
    assert counted == [(role.name, number) for role in spec.roles for number in range(role.nodes)]


# Ranks ----------------------------------------------------------------------------------------------------------------


def job(**more: object) -> Job:
    spec = replace(SPEC, **more)  # type: ignore[arg-type]
    tenant, project, queue = TenantId("acme"), ProjectId("acme/lab"), QueueName("q")
    return Job(JobId("j1"), tenant, project, UserId("acme/mia"), queue, keep_spec({}, spec), JobState.PENDING, 50 * S)


def placed(**more: object) -> Placing:
    """On a cloud that has exactly the nodes for it."""
    small = {"resources": ResourceRequest(cpu_milli=1000)}
    shrunk = tuple(replace(role, **small) for role in SPEC.roles)  # type: ignore[arg-type]
    waiting = job(roles=shrunk, **more)
    nodes = [node(f"n{number}", cores=2 if number < 3 else 1) for number in range(4)]
    (place,) = decide(cloud(*nodes, pending=[pending_job(waiting)])).placements
    addresses = {role.name: (f"10.0.0.{number}", 29500 + number) for number, role in enumerate(waiting.spec.roles)}
    return place_job(waiting, place, addresses=addresses, cycle=1, now_us=100 * S)


def gang(**more: object) -> Gang:
    placing = placed(**more)
    return Gang(placing.job, placing.attempts, placing.leases)


def test_all_roles_are_parts_of_one_gang() -> None:
    waiting = pending_job(job())
    assert waiting.parts == tuple(Part(role.nodes, role.resources, role.name) for role in SPEC.roles)


def test_each_rank_is_recorded_with_its_role_and_meets_its_own() -> None:
    placing = placed()
    assert [(attempt.id, attempt.rank, attempt.main_port) for attempt in placing.attempts] == [
        ("j1.learner.0.1", 0, 29500),
        ("j1.learner.1.1", 1, 29500),
        ("j1.roll-out.0.1", 2, 29501),
        ("j1.roll-out.1.1", 3, 29501),
        ("j1.roll-out.2.1", 4, 29501),
        ("j1.evaluator.0.1", 5, 29502),
    ]
    seats = running_job(Gang(placing.job, placing.attempts, placing.leases)).seats
    assert [(seat.rank, seat.role, seat.role_rank) for seat in seats] == [
        (rank, *SPEC.role_of(rank)) for rank in range(SPEC.all_nodes)
    ]
    assert all(isinstance(seat, Seat) for seat in seats)


def test_a_rank_finds_its_own_role_as_torchrun_would_set_it_and_the_others_by_name() -> None:
    ips = [f"10.1.0.{number}" for number in range(6)]
    env = environment(gang(), 3, node_ips=ips, secrets={})
    torchrun = {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29501"}
    ours = {"XL_NODES": "3", "XL_NODE_RANK": "1", "XL_MASTER_ADDR": "10.0.0.1", "XL_NODE_IPS": "10.1.0.2\n10.1.0.3\n10.1.0.4"}
    role = {"XL_ROLE": "roll-out", "XL_ROLE_RANK": "1", "XL_JOB_RANK": "3", "XL_JOB_NODES": "6"}
    learner = {"XL_LEARNER_ADDR": "10.0.0.0", "XL_LEARNER_PORT": "29500", "XL_LEARNER_IPS": "10.1.0.0\n10.1.0.1"}
    others = {"XL_ROLL_OUT_ADDR": "10.0.0.1", "XL_ROLL_OUT_PORT": "29501", "XL_EVALUATOR_IPS": "10.1.0.5"}
    assert {**torchrun, **ours, **role, **learner, **others}.items() <= env.items()


# Ends -----------------------------------------------------------------------------------------------------------------


def record(now: Gang, rank: int, exit_code: int | None = None, **more: object) -> ReplicaRecord:
    """It runs, or has ended."""
    lease = now.leases[rank].id
    if exit_code is None:
        return ReplicaRecord(lease, Phase.RUNNING, 110 * S)
    ended = {"ended_us": 120 * S, "empty_us": 121 * S, "exit_code": exit_code, **more}
    return ReplicaRecord(lease, Phase.ENDED, 110 * S, **ended)  # type: ignore[arg-type]


def after(now: Gang, codes: Mapping[int, int | None], now_us: int = 150 * S, **more: object) -> Progress:
    """What the gang becomes when those ranks are seen, with how each ended; the others run."""
    records = [record(now, rank, codes.get(rank), **more) for rank in range(len(now.leases))]
    step = settle(now, {each.lease: each for each in records}, now_us=now_us)
    assert step is not None
    return step


def next_gang(step: Progress) -> Gang:
    return Gang(step.job, step.attempts, step.leases)


LEARNERS = {0: 0, 1: 0}


def test_when_the_roles_that_decide_have_ended_the_others_are_stopped_with_signal_and_grace() -> None:
    step = after(gang(checkpoint=Checkpoint(grace_us=30 * S)), LEARNERS)
    assert (step.job.state, step.job.stop_why, step.job.kill_at_us) == (JobState.STOPPING, StopWhy.ROLE_ENDED, 180 * S)
    assert [lease.released_us is not None for lease in step.leases] == [True, True, False, False, False, False]


def test_until_all_of_them_have_nobody_is_stopped() -> None:
    assert after(gang(), {0: 0}).job.state is JobState.RUNNING
    assert after(gang(stop_when=("learner", "evaluator")), LEARNERS).job.state is JobState.RUNNING
    assert after(gang(stop_when=()), LEARNERS).job.state is JobState.RUNNING


def test_the_job_ends_as_they_did_however_the_stopped_ones_end() -> None:
    stopping = next_gang(after(gang(), LEARNERS))
    dead = {"exit_code": None, "signal": 15, "stopped": True, "ended_us": 151 * S, "empty_us": 152 * S}
    ended = [replace(record(stopping, rank, 0), **dead) for rank in range(2, 6)]  # type: ignore[arg-type]
    step = settle(stopping, {each.lease: each for each in ended}, now_us=160 * S)
    assert step is not None and (step.job.state, step.job.exit_code, step.job.signal) == (JobState.SUCCEEDED, 0, None)
    assert [attempt.outcome for attempt in step.attempts] == [Outcome.SUCCEEDED] * 2 + [Outcome.CANCELLED] * 4
    assert step.events[-1].cause == "learner succeeded"


def test_a_rank_that_fails_because_they_ended_does_not_fail_the_job() -> None:
    """A server whose trainer has gone may be seen to fail in the same instant."""
    step = after(gang(), {**LEARNERS, 2: 1, 3: 0, 4: 0, 5: 0})
    assert step.job.state is JobState.SUCCEEDED


def test_a_rank_of_any_role_that_fails_before_them_ends_the_gang() -> None:
    step = after(gang(restart=RestartPolicy(())), {3: 7})
    assert (step.job.state, step.job.stop_why) == (JobState.STOPPING, StopWhy.RANK_ENDED)
    assert step.events[-1].cause == "roll-out 1 ended, so the gang ends"
    killed = {"exit_code": None, "signal": 9, "stopped": True, "ended_us": 151 * S, "empty_us": 152 * S}
    now = next_gang(step)
    ended = [replace(record(now, rank, 0), **killed) for rank in (0, 1, 2, 4, 5)]  # type: ignore[arg-type]
    done = settle(now, {each.lease: each for each in [*ended, record(now, 3, 7)]}, now_us=160 * S)
    assert done is not None and (done.job.state, done.job.exit_code) == (JobState.FAILED, 7)
    assert done.job.message == "roll-out 1 exited with 7"


def test_a_restart_counts_for_the_job_and_begins_all_roles_anew() -> None:
    step = after(gang(restart=RestartPolicy(("exit:7",), 1)), {0: 7, 1: 7, 2: 7, 3: 7, 4: 7, 5: 7})
    assert (step.job.state, step.job.restarts) == (JobState.PENDING, {"exit:7": 1})
    assert len(pending_job(step.job).parts) == 3


def test_a_role_that_does_not_decide_may_end_well_before_the_others() -> None:
    step = after(gang(), {5: 0})
    assert (step.job.state, step.leases[5].released_us) == (JobState.RUNNING, 150 * S)


def test_a_job_that_is_done_stays_so_when_somebody_stops_or_holds_it_then() -> None:
    stopping = next_gang(after(gang(), LEARNERS))
    asked = replace(stopping, job=replace(stopping.job, stop_why=StopWhy.CANCEL))
    step = after(asked, {**LEARNERS, **dict.fromkeys(range(2, 6), 0)}, stopped=True)
    assert step.job.state is JobState.SUCCEEDED


@given(st.sampled_from([(), ("learner",), ("learner", "evaluator")]), st.lists(st.sampled_from([0, 1]), min_size=6, max_size=6))
def test_a_job_ends_well_exactly_when_all_that_decide_did(stop_when: tuple[str, ...], codes: list[int]) -> None:
    step = after(gang(stop_when=stop_when, restart=RestartPolicy(())), dict(enumerate(codes)))
    deciding = [code for rank, code in enumerate(codes) if not stop_when or SPEC.role_of(rank)[0] in stop_when]
    assert (step.job.state is JobState.SUCCEEDED) == (not any(deciding))
    assert step.job.state in (JobState.SUCCEEDED, JobState.FAILED)
