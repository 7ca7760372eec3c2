"""Moments that chance seldom finds: one thing happens, exactly between two others."""

from collections.abc import Callable, Sequence

import pytest

from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId, LeaseId, NodeName, UserId
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.scheduling.policy import decide
from xingliu.sim.cloud import Parts, SimCloud
from xingliu.sim.faults import CALM_IN
from xingliu.sim.launcher import SimLauncher
from xingliu.sim.lives import Life, OnStop, Way
from xingliu.sim.plane import Plane
from xingliu.workloads.model import Job, JobState
from xingliu.workloads.records import ReplicaRecord

CALM_SEED = 4 * CALM_IN
SECOND_LONG = Way(work_us=SECOND_US)


ONE_NODE = {
    "kind": "cloud",
    "flavors": [{"name": "cpu", "price": "1/core-hour"}],
    "pools": [{"name": "p", "flavor": "cpu", "nodes": ["n1"], "share": {"cpu": 2, "memory": "4GB"}}],
    "queues": [{"name": "default"}, {"name": "research"}, {"name": "batch"}],
}


class Interrupted(SimLauncher):
    """Something happens once, while a gang's address is looked up (after the decision, before its record), or while
    replicas are observed (after the gangs were read, before what became of them is recorded)."""

    happens: Callable[[], object] | None = None
    happens_seen: Callable[[], object] | None = None

    def address(self, node: NodeName) -> tuple[str, int]:
        happens, Interrupted.happens = Interrupted.happens, None
        if happens is not None:
            happens()
        return super().address(node)

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        happens, Interrupted.happens_seen = Interrupted.happens_seen, None
        if happens is not None:
            happens()
        return super().observe(leases)


def quiet_cloud() -> SimCloud:
    """Nobody wishes and nothing goes wrong but what the test does; the nodes are ready."""
    cloud = SimCloud(CALM_SEED, steps=0, parts=Parts(make_launcher=Interrupted))
    cloud.let_pass(SECOND_US)
    return cloud


def plane(cloud: SimCloud) -> Plane:
    assert cloud.plane is not None
    return cloud.plane


def submit(cloud: SimCloud, *ways: Way, **keys: object) -> JobId:
    run = Life(ways or (SECOND_LONG,)).script()
    document = {"kind": "job", "name": "story", "run": run, "queue": "default", **keys}
    job = plane(cloud).submissions.submit(cloud.actors[UserId("acme/mia")], document)
    cloud.requests.submitted.add(job.id)
    return job.id


def job_of(cloud: SimCloud, job: JobId) -> Job:
    return cloud.jobs()[job]


def passing(cloud: SimCloud, until: JobState, job: JobId) -> None:
    for _ in range(100):
        if job_of(cloud, job).state is until:
            return
        cloud.let_pass(SECOND_US // 2)
    raise AssertionError(f"{job} is {job_of(cloud, job)}, not {until}")


def hold(cloud: SimCloud, job: JobId) -> None:
    cloud.requests.asked[job].add("hold")
    plane(cloud).jobs.hold(cloud.actors[UserId("acme/mia")], job)


def stop(cloud: SimCloud, job: JobId) -> None:
    cloud.requests.asked[job].add("stop")
    plane(cloud).jobs.stop(cloud.actors[UserId("acme/mia")], job)


def drain_all(cloud: SimCloud, _job: JobId) -> None:
    boss = cloud.actors[UserId("admin")]
    for node in plane(cloud).nodes.list(boss, {"state": "ready"}):
        plane(cloud).nodes.drain(boss, node.node.name, reason="new fans")


def forbid(cloud: SimCloud, _job: JobId) -> None:
    boss, estate = cloud.actors[UserId("admin")], cloud.estate
    queues = [{"name": name, "quota": {"cpu": 0}} for name in ("default", "research", "batch")]
    plane(cloud).cloud.apply(boss, {**estate, "queues": queues}, preview=False)


AMID_A_CYCLE = {
    "it is held": (hold, JobState.PENDING),
    "it is stopped": (stop, JobState.CANCELLED),
    "its node is drained": (drain_all, JobState.PENDING),
    "its queue's quota is lowered": (forbid, JobState.PENDING),
}


@pytest.mark.parametrize("what", AMID_A_CYCLE)
def test_a_plan_is_dropped_whole_when_between_decision_and_record(what: str) -> None:
    happens, state = AMID_A_CYCLE[what]
    cloud = quiet_cloud()
    job = submit(cloud)
    Interrupted.happens = lambda: happens(cloud, job)
    cloud.let_pass(SECOND_US)
    assert (job_of(cloud, job).state, job_of(cloud, job).attempt) == (state, 0)
    assert cloud.stale_plans == 1


@pytest.mark.parametrize("asks", [hold, stop])
def test_nobody_is_stopped_for_a_job_that_was_held_or_stopped_while_it_was_decided(
    asks: Callable[[SimCloud, JobId], None],
) -> None:
    urgent: list[JobId] = []

    def decided_as_it_goes(snapshot: Snapshot) -> Plan:
        plan = decide(snapshot)
        if plan.evictions and urgent:
            asks(cloud, urgent.pop())
        return plan

    cloud = SimCloud(CALM_SEED, steps=0, parts=Parts(decide=decided_as_it_goes))
    plane(cloud).cloud.apply(cloud.actors[UserId("admin")], ONE_NODE, preview=False)
    cloud.let_pass(SECOND_US)
    low = submit(cloud, Way(work_us=60 * SECOND_US), priority="low", preemptible=True, resources={"cpu": 2})
    passing(cloud, JobState.RUNNING, low)
    urgent.append(submit(cloud, priority="urgent", resources={"cpu": 2}))
    cloud.let_pass(3 * SECOND_US)
    assert not urgent
    assert job_of(cloud, low).state is JobState.RUNNING


@pytest.mark.parametrize("asks", [hold, stop])
def test_what_somebody_asks_while_a_start_is_recorded_stands(asks: Callable[[SimCloud, JobId], None]) -> None:
    cloud = quiet_cloud()
    job = submit(cloud, Way(work_us=60 * SECOND_US))
    cloud.let_pass(SECOND_US)
    Interrupted.happens_seen = lambda: asks(cloud, job)
    cloud.let_pass(3 * SECOND_US)
    assert job_of(cloud, job).state is JobState.STOPPING
    assert job_of(cloud, job).held == (asks is hold)


def test_a_secret_deleted_under_a_running_job_does_not_end_it_even_when_the_control_plane_starts_anew() -> None:
    cloud = quiet_cloud()
    job = submit(cloud, Way(work_us=20 * SECOND_US), secrets=["TOKEN"])
    passing(cloud, JobState.RUNNING, job)
    plane(cloud).secrets.delete(cloud.actors[UserId("acme/mia")], "acme/lab", "TOKEN")
    cloud.restart()
    passing(cloud, JobState.SUCCEEDED, job)
    assert job_of(cloud, job).attempt == 1


def test_a_job_whose_secret_is_gone_before_it_started_never_starts_and_says_why() -> None:
    cloud = quiet_cloud()
    job = submit(cloud, secrets=["TOKEN"], restart={"on_events": []})
    Interrupted.happens = lambda: plane(cloud).secrets.delete(cloud.actors[UserId("acme/mia")], "acme/lab", "TOKEN")
    passing(cloud, JobState.FAILED, job)
    assert "Secret TOKEN" in job_of(cloud, job).message
    assert all(replica.started_us is None for replica in cloud.machines.replicas.values())


def test_a_held_job_that_saves_and_exits_with_0_goes_on_later_though_its_node_runs_behind() -> None:
    cloud = quiet_cloud()
    job = submit(cloud, Way(work_us=60 * SECOND_US, on_stop=OnStop.EXITS), SECOND_LONG)
    passing(cloud, JobState.RUNNING, job)
    cloud.timeline.step_clock(-3600 * SECOND_US)
    hold(cloud, job)
    passing(cloud, JobState.PENDING, job)
    plane(cloud).jobs.release(cloud.actors[UserId("acme/mia")], job)
    passing(cloud, JobState.SUCCEEDED, job)
    assert job_of(cloud, job).attempt == 2


def test_what_an_operator_took_out_stays_out_through_a_failure_of_the_node() -> None:
    cloud = quiet_cloud()
    boss = cloud.actors[UserId("admin")]
    name = plane(cloud).nodes.list(boss, {"state": "ready"})[0].node.name
    plane(cloud).nodes.drain(boss, name, reason="new fan")
    cloud.machines.silence(name, crash=True)
    for _ in range(10):
        cloud.let_pass(3 * SECOND_US)
    cloud.machines.answer(name)
    for _ in range(10):
        cloud.let_pass(3 * SECOND_US)
    page = plane(cloud).nodes.get(boss, name)
    assert (page.node.state.value, page.node.reason) == ("drained", "new fan")


def test_a_lease_is_released_only_when_its_node_answers_again_and_nothing_is_left_there() -> None:
    cloud = quiet_cloud()
    job = submit(cloud, Way(work_us=600 * SECOND_US), SECOND_LONG)
    passing(cloud, JobState.RUNNING, job)
    (replica,) = cloud.machines.living()
    cloud.machines.silence(replica.node, crash=True)
    for _ in range(10):
        cloud.let_pass(3 * SECOND_US)
    assert job_of(cloud, job).state is JobState.RUNNING, "nobody can know yet"
    cloud.machines.answer(replica.node)
    passing(cloud, JobState.SUCCEEDED, job)
    assert dict(job_of(cloud, job).restarts) == {"node-failure": 1}


def alone(cloud: SimCloud) -> None:
    """One node is left, so that jobs stand in each other's way."""
    boss = cloud.actors[UserId("admin")]
    for node in [page.node.name for page in plane(cloud).nodes.list(boss, {"state": "ready"})][1:]:
        plane(cloud).nodes.drain(boss, node, reason="new fans")
    cloud.let_pass(SECOND_US)


def whole_node(cloud: SimCloud) -> dict[str, object]:
    (node,) = [node for node in plane(cloud).world.nodes.values() if node.state == "ready"]
    return {"cpu": node.capacity["cpu"] // 1000, "memory": "500MB"}


@pytest.mark.parametrize(
    "amid", ["nothing", "the victim is stopped for good", "the control plane dies", "the urgent job is stopped"]
)
def test_an_urgent_job_has_one_of_lower_priority_stopped_which_comes_back(amid: str) -> None:
    cloud = quiet_cloud()
    alone(cloud)
    ways = (Way(work_us=60 * SECOND_US, on_stop=OnStop.IGNORES, saves_every_us=SECOND_US), SECOND_LONG)
    resources = whole_node(cloud)
    victim = submit(cloud, *ways, resources=resources, preemptible=True, checkpoint={"path": "ckpt", "grace": "4s"})
    passing(cloud, JobState.RUNNING, victim)
    urgent = submit(cloud, SECOND_LONG, resources=resources, priority="urgent")
    cloud.let_pass(SECOND_US)
    assert job_of(cloud, victim).stop_why == "preempt"
    wait = job_of(cloud, urgent).wait
    assert wait is not None and wait.reason == "PreemptionInProgress"
    actor = cloud.actors[UserId("acme/mia")]
    assert "1 job stops to make room for it" in str(plane(cloud).jobs.why(actor, urgent).wait)
    if amid == "the victim is stopped for good":
        stop(cloud, victim)
    elif amid == "the control plane dies":
        cloud.restart()
    elif amid == "the urgent job is stopped":
        stop(cloud, urgent)
    if amid != "the urgent job is stopped":
        passing(cloud, JobState.SUCCEEDED, urgent)
    end = JobState.CANCELLED if amid == "the victim is stopped for good" else JobState.SUCCEEDED
    passing(cloud, end, victim)
    came_back = job_of(cloud, victim)
    assert not came_back.restarts, "being stopped for another costs no restart"
    first = plane(cloud).jobs.attempts(actor, victim)[0][0]
    assert first.outcome == ("CANCELLED" if end is JobState.CANCELLED else "PREEMPTED")
    assert first.saved is not None and int(first.saved.state) >= 1
