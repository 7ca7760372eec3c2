"""What is said of a job's start before it, beside what happens then."""

from typing import Any

import pytest

from xingliu.control import forecasts
from xingliu.control.forecasts import Forecast, Miss
from xingliu.forecast.ahead import look_ahead
from xingliu.forecast.model import Basis, Outlook
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId, UserId
from xingliu.scheduling.model import Snapshot
from xingliu.sim.cloud import SimCloud
from xingliu.sim.faults import CALM_IN
from xingliu.sim.lives import Life, Way
from xingliu.sim.plane import Plane
from xingliu.workloads.model import JobState

MIA = UserId("acme/mia")
ESTATE = {
    "kind": "cloud",
    "flavors": [{"name": "cpu", "price": "1/core-hour"}],
    "pools": [{"name": "p", "flavor": "cpu", "nodes": ["n1"], "share": {"cpu": 2, "memory": "4GB"}}],
    "queues": [{"name": "default"}, {"name": "research"}, {"name": "batch"}],
}


def cloud_of_one_node() -> SimCloud:
    """Nobody wishes and nothing goes wrong; one node with two cores."""
    cloud = SimCloud(4 * CALM_IN, steps=0)
    plane(cloud).cloud.apply(cloud.actors[UserId("admin")], ESTATE, preview=False)
    cloud.let_pass(SECOND_US)
    cloud.let_pass(SECOND_US)
    return cloud


def plane(cloud: SimCloud) -> Plane:
    assert cloud.plane is not None
    return cloud.plane


def submit(cloud: SimCloud, work_s: int, limit_s: int | None = None, user: UserId = MIA) -> JobId:
    """One that takes the whole node."""
    run = Life((Way(work_us=work_s * SECOND_US),)).script()
    limit = {} if limit_s is None else {"time_limit": f"{limit_s}s"}
    document = {"kind": "job", "name": "story", "run": run, "queue": "default", "resources": {"cpu": 2}, **limit}
    return plane(cloud).submissions.submit(cloud.actors[user], document).id


def said(cloud: SimCloud, job: JobId) -> Forecast:
    """What its user is told now."""
    why = plane(cloud).jobs.why(cloud.actors[MIA], job)
    assert why.forecast is not None
    return why.forecast


def pass_s(cloud: SimCloud, seconds: int) -> None:
    for _ in range(2 * seconds):
        cloud.let_pass(SECOND_US // 2)


def passing(cloud: SimCloud, until: JobState, job: JobId) -> None:
    for _ in range(200):
        if cloud.jobs()[job].state is until:
            return
        cloud.let_pass(SECOND_US // 2)
    raise AssertionError(f"{job} is {cloud.jobs()[job]}, not {until}")


def test_how_far_off_forecasts_by_time_limits_were_is_measured_at_the_start() -> None:
    cloud = cloud_of_one_node()
    first = submit(cloud, work_s=20, limit_s=60)
    passing(cloud, JobState.RUNNING, first)
    waiting = submit(cloud, work_s=1)
    cloud.let_pass(SECOND_US)
    before = said(cloud, waiting)
    assert before.expectation.basis is Basis.TIME_LIMITS and before.miss is None
    passing(cloud, JobState.STARTING, waiting)
    opened_us = cloud.record.events[-1].at_us
    start_us = before.expectation.start_us
    assert start_us is not None and start_us - opened_us > 30 * SECOND_US
    assert plane(cloud).forecasts.miss(Basis.TIME_LIMITS) == Miss(start_us - opened_us, of=1)


def test_a_job_without_a_time_limit_is_assumed_to_run_as_long_as_those_of_its_project_that_are_over() -> None:
    """Three ran for 4, 10 and 16 seconds; when it has run for six, the later of the two that ran longer is the middle."""
    cloud = cloud_of_one_node()
    for work_s in (4, 10, 16):
        passing(cloud, JobState.SUCCEEDED, submit(cloud, work_s))
    running = submit(cloud, work_s=100)
    passing(cloud, JobState.RUNNING, running)
    waiting = submit(cloud, work_s=1)
    begun = said(cloud, waiting)
    pass_s(cloud, 6)
    after = said(cloud, waiting)
    assert (begun.expectation.basis, after.expectation.basis) == (Basis.HISTORY, Basis.HISTORY)
    started_us = cloud.jobs()[running].started_us
    assert started_us is not None and begun.expectation.start_us is not None and after.expectation.start_us is not None
    ran_s = [round((start_us - started_us) / SECOND_US) for start_us in (begun.expectation.start_us, after.expectation.start_us)]
    assert ran_s == [10, 16]
    pass_s(cloud, 12)
    assert said(cloud, waiting).expectation.sentence.startswith(f"unknown: {running} has no time limit")


def test_the_history_is_read_again_by_a_new_control_plane() -> None:
    cloud = cloud_of_one_node()
    for work_s in (10, 10, 10):
        passing(cloud, JobState.SUCCEEDED, submit(cloud, work_s))
    running = submit(cloud, work_s=100)
    passing(cloud, JobState.RUNNING, running)
    waiting = submit(cloud, work_s=1)
    before = said(cloud, waiting).expectation
    cloud.restart()
    cloud.let_pass(SECOND_US)
    assert before.basis is Basis.HISTORY
    assert said(cloud, waiting).expectation == before


def test_an_unchanged_cloud_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = cloud_of_one_node()
    passing(cloud, JobState.RUNNING, submit(cloud, work_s=100, limit_s=200))
    waiting = submit(cloud, work_s=1)
    cloud.let_pass(SECOND_US)
    looks: list[int] = []

    def counted(snapshot: Snapshot, *rest: Any) -> Outlook:
        looks.append(snapshot.version)
        return look_ahead(snapshot, *rest)

    monkeypatch.setattr(forecasts, "look_ahead", counted)
    first = said(cloud, waiting)
    pass_s(cloud, 5)
    second = said(cloud, waiting)
    assert second.expectation == first.expectation and second.as_of_us > first.as_of_us
    assert len(looks) <= 1


def test_in_a_large_cloud_what_was_seen_last_is_told_with_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = cloud_of_one_node()
    passing(cloud, JobState.RUNNING, submit(cloud, work_s=100, limit_s=200))
    waiting = submit(cloud, work_s=1)
    monkeypatch.setattr(forecasts, "SMALL", 0)
    assert said(cloud, waiting).expectation.sentence.startswith("unknown: nobody has looked ahead since it came")
    plane(cloud).forecasts.look()
    seen = said(cloud, waiting)
    looked_us = seen.as_of_us
    submit(cloud, work_s=1)
    pass_s(cloud, 3)
    stale = said(cloud, waiting)
    assert (stale.expectation, stale.as_of_us) == (seen.expectation, looked_us)


def planned(cloud: SimCloud, gpu: int | None = None) -> tuple[str, str | None, str]:
    """What is said of such a job before it is submitted: the verdict, the reason, and when."""
    asked = {"cpu": 2} if gpu is None else {"cpu": 2, "gpu": gpu}
    document = {"kind": "job", "name": "new", "run": "true", "queue": "default", "resources": asked}
    (found,) = plane(cloud).submissions.plan(cloud.actors[MIA], document)
    return found.verdict.value, None if found.wait is None else found.wait.reason.value, found.forecast.expectation.sentence


def test_in_a_large_cloud_a_plan_is_told_by_the_last_cycle_and_what_was_seen_of_one_like_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud = cloud_of_one_node()
    monkeypatch.setattr(forecasts, "SMALL", 0)
    assert planned(cloud) == ("now", None, "now")
    assert planned(cloud, gpu=1)[:2] == ("never", "InvalidRequest")
    passing(cloud, JobState.RUNNING, submit(cloud, work_s=100, limit_s=200))
    verdict, reason, when = planned(cloud)
    assert (verdict, reason) == ("later", "WaitingForCapacity") and "only looked ahead for once it is submitted" in when
    waiting = submit(cloud, work_s=1)
    pass_s(cloud, 1)
    plane(cloud).forecasts.look()
    assert planned(cloud)[2] == f"about when {waiting} does, the last of its queue that asks for the same"


@pytest.mark.parametrize("limit_s", [None, 200])
def test_whose_end_it_waits_for_is_named_only_to_those_who_see_that_job(limit_s: int | None) -> None:
    cloud = cloud_of_one_node()
    hers = submit(cloud, work_s=100, limit_s=limit_s, user=UserId("zeta/mia"))
    passing(cloud, JobState.RUNNING, hers)
    expectation = said(cloud, submit(cloud, work_s=1)).expectation
    assert hers not in expectation.sentence and "a job of another project" in expectation.sentence
    assert not expectation.blockers
