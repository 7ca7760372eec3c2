"""A job planned as it is and with other values of some keys, in a cloud of two nodes with two cores each."""

from dataclasses import replace
from typing import Any

import pytest

from xingliu.control.submissions import JobPlan
from xingliu.fleet.quote import Quote
from xingliu.forecast.effects import Effects
from xingliu.forecast.model import Verdict
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import UserId
from xingliu.kernel.problems import InvalidDocument
from xingliu.sim.cloud import SimCloud
from xingliu.sim.faults import CALM_IN
from xingliu.sim.lives import Life, Way
from xingliu.sim.plane import Plane

MIA = UserId("acme/mia")
MINUTE_US = 60 * SECOND_US
NOTHING = Effects((), (), (), (), (), ())
ESTATE: dict[str, Any] = {
    "kind": "cloud",
    "flavors": [{"name": "cpu", "price": "3.60/core-hour"}],
    "pools": [{"name": "p", "flavor": "cpu", "nodes": ["n1", "n2"], "share": {"cpu": 2, "memory": "4GB"}}],
    "queues": [{"name": "default"}, {"name": "research"}, {"name": "batch", "quota": {"cpu": 1}}],
}
JOB = {"kind": "job", "name": "asked", "run": "true", "queue": "default", "resources": {"cpu": 2}, "time_limit": "30m"}


def plane(cloud: SimCloud) -> Plane:
    assert cloud.plane is not None
    return cloud.plane


def cloud_with_one_node_taken() -> SimCloud:
    """For ten minutes at most."""
    found = SimCloud(4 * CALM_IN, steps=0)
    plane(found).cloud.apply(found.actors[UserId("admin")], ESTATE, preview=False)
    for _ in range(2):
        found.let_pass(SECOND_US)
    long = {**JOB, "run": Life((Way(work_us=100 * MINUTE_US),)).script(), "time_limit": "10m"}
    plane(found).submissions.submit(found.actors[MIA], long)
    for _ in range(4):
        found.let_pass(SECOND_US)
    return found


@pytest.fixture(scope="module")
def cloud() -> SimCloud:
    return cloud_with_one_node_taken()


def planned(cloud: SimCloud, *changes: dict[str, object]) -> list[JobPlan]:
    before = plane(cloud).world.version
    plans = plane(cloud).submissions.plan(cloud.actors[MIA], JOB, changes=changes)
    assert plane(cloud).world.version == before, "nothing is recorded"
    return plans


def test_a_job_is_planned_beside_itself_with_other_keys(cloud: SimCloud) -> None:
    two, three, batch, shorter = {"nodes": 2}, {"nodes": 3}, {"queue": "batch"}, {"time_limit": "1h30m"}
    plans = planned(cloud, two, three, batch, shorter)
    assert [plan.verdict for plan in plans] == [Verdict.NOW, Verdict.LATER, Verdict.NEVER, Verdict.NEVER, Verdict.NOW]
    assert [plan.quote for plan in plans] == [
        Quote("USD", "core", 2000, per_hour_minor=720, total_minor=360),
        Quote("USD", "core", 4000, per_hour_minor=1440, total_minor=720),
        Quote("USD", "core", 6000, per_hour_minor=2160, total_minor=1080),
        Quote("USD", "core", 2000, per_hour_minor=720, total_minor=360),
        Quote("USD", "core", 2000, per_hour_minor=720, total_minor=1080),
    ]
    assert len({plan.forecast.as_of_us for plan in plans}) == 1


def test_two_nodes_are_there_when_the_time_limit_of_who_has_one_of_them_is_over(cloud: SimCloud) -> None:
    [_, both] = planned(cloud, {"nodes": 2})
    [runs] = plane(cloud).world.snapshot(cycle=0, now_us=plane(cloud).clock.now_us()).running
    assert both.forecast.expectation.start_us == runs.ends_us


def test_a_key_of_its_resources_is_changed_by_its_bare_name(cloud: SimCloud) -> None:
    as_it_is, less = planned(cloud, {"cpu": 1})
    assert (as_it_is.spec.resources.cpu_milli, less.spec.resources.cpu_milli) == (2000, 1000)


def test_a_change_that_makes_no_job_is_refused_with_its_words(cloud: SimCloud) -> None:
    with pytest.raises(InvalidDocument) as refused:
        planned(cloud, {"nodes": 2}, {"nodes": "many"})
    assert "nodes many" in str(refused.value)


def previewed(cloud: SimCloud, **sections: object) -> Effects:
    before = plane(cloud).world.version
    found = plane(cloud).cloud.apply(cloud.actors[UserId("admin")], {**ESTATE, **sections}, preview=True).effects
    assert found is not None and plane(cloud).world.version == before, "nothing is recorded"
    return found


def test_a_preview_tells_what_more_nodes_and_other_quotas_do_to_who_waits() -> None:
    cloud = cloud_with_one_node_taken()
    waits = plane(cloud).submissions.submit(cloud.actors[MIA], {**JOB, "nodes": 2}).id
    cloud.let_pass(SECOND_US)
    [pool], queues = ESTATE["pools"], ESTATE["queues"]
    assert previewed(cloud, pools=[{**pool, "nodes": ["n1", "n2", "n3"]}]) == replace(NOTHING, starts=(waits,))
    smaller = [{"name": "default", "quota": {"cpu": 3}}, *queues[1:]]
    assert previewed(cloud, queues=smaller) == replace(NOTHING, never=(waits,))
    wider = [{"name": "default", "quota": {"cpu": 4}}, *queues[1:]]
    assert previewed(cloud, queues=wider) == NOTHING


def test_what_changes_nothing_has_no_effects_to_tell() -> None:
    cloud = cloud_with_one_node_taken()
    assert plane(cloud).cloud.apply(cloud.actors[UserId("admin")], ESTATE, preview=True).effects is None
