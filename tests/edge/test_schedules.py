"""Schedules as people meet them: the command and the API. What comes of due instants: tests/sim/test_schedules.py."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, living_cloud
from tests.edge.served import Served, Someone, hello, served

NIGHTLY = """
kind: job
name: nightly
run: echo done
schedule: {cron: "0 3 * * *", time_zone: Asia/Shanghai, overlap: queue}
"""
DAY_US = 24 * 3600 * 10**6


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("schedules") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def owner(world: Served) -> Someone:
    return world.tenant("acme", "vision")


def test_a_file_with_a_schedule_is_kept_shown_held_released_and_stopped(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "nightly.yaml"
    file.write_text(NIGHTLY)
    assert "kept as a schedule, due next" in cloud.xl("plan", str(file)).stdout
    assert "schedule nightly of default/default kept; due next" in cloud.xl("run", "-y", str(file)).stdout
    again = json.loads(cloud.xl("run", "-y", "--json", str(file)).stdout)
    assert [one["id"] for one in json.loads(cloud.xl("schedule", "ls", "--json").stdout)] == [again["id"]]
    first, second = again["coming_us"][:2]
    assert second - first == DAY_US and first % DAY_US == 19 * 3600 * 10**6, "three o'clock in Shanghai"
    assert "0 3 * * *" in cloud.xl("schedule", "ls").stdout
    shown = cloud.xl("schedule", "show", "nightly").stdout
    assert "due at 0 3 * * *, Asia/Shanghai; queue while" in shown and "submitted 0 so far" in shown

    assert "is held" in cloud.xl("schedule", "hold", "nightly").stdout
    held = json.loads(cloud.xl("schedule", "show", "nightly", "--json").stdout)
    assert held["held"] and held["coming_us"] == [] and "held" in cloud.xl("schedule", "ls").stdout
    assert json.loads(cloud.xl("schedule", "release", "nightly", "--json").stdout)["coming_us"][0] == first
    assert "is stopped" in cloud.xl("schedule", "stop", "nightly").stdout
    gone = cloud.xl("schedule", "show", "nightly", ok=False)
    assert gone.returncode == 1 and "no schedule nightly" in gone.stderr and "xl schedule ls" in gone.stderr
    assert "No schedules." in cloud.xl("schedule", "ls").stderr
    types = [one["type"] for one in cloud.client.get("/v1/events", subject=again["id"])["items"]]
    assert types == ["schedule.created", "schedule.held", "schedule.released", "schedule.stopped"]


def test_what_cannot_be_followed_is_not_kept(cloud: LivingCloud, tmp_path: Path) -> None:
    (tmp_path / "nightly.yaml").write_text(NIGHTLY)
    for option in ("--wait", "--follow"):
        refused = cloud.xl("run", "-y", option, str(tmp_path / "nightly.yaml"), ok=False)
        assert refused.returncode == 1 and "for a schedule" in refused.stderr
    assert "No schedules." in cloud.xl("schedule", "ls").stderr


def scheduled(name: str = "nightly", cron: str = "0 3 * * *", **more: object) -> dict[str, object]:
    return {"document": hello(name, project="acme/vision", schedule=cron, **more)}


def test_a_file_is_either_a_job_or_a_schedule(owner: Someone) -> None:
    refused = owner.post("/v1/jobs", scheduled())
    assert (refused.status_code, refused.json()["code"]) == (422, "has_schedule")
    refused = owner.post("/v1/schedules", {"document": hello("once", project="acme/vision")})
    assert (refused.status_code, refused.json()["code"]) == (422, "no_schedule")


def test_a_name_means_one_schedule_of_a_project_and_its_file_does_not_change(owner: Someone) -> None:
    made = owner.made("/v1/schedules", scheduled(), once="k")
    assert owner.made("/v1/schedules", scheduled(), once="k") == owner.made("/v1/schedules", scheduled()) == made
    for other in (scheduled(cron="0 4 * * *"), scheduled(nodes=2)):
        refused = owner.post("/v1/schedules", other)
        assert (refused.status_code, refused.json()["code"]) == (409, "already_scheduled")
    assert "schedule" not in made["spec"]


def test_what_would_be_refused_as_a_job_is_refused_at_once(world: Served, owner: Someone) -> None:
    before = world.version
    assert owner.post("/v1/schedules", scheduled("a", secrets=["NONE"])).status_code == 404
    assert owner.post("/v1/schedules", scheduled("a", queue="none")).status_code == 404
    assert world.version == before


def test_only_who_may_submit_makes_one_and_others_do_not_see_it(world: Served, owner: Someone) -> None:
    made = owner.made("/v1/schedules", scheduled("secret"))
    viewer, stranger = world.user("vic", "acme", ("viewer", "acme/vision")), world.tenant("beta", "lab")
    assert viewer.post("/v1/schedules", scheduled("mine")).status_code == 403
    assert viewer.get("/v1/schedules/secret").json()["id"] == made["id"]
    assert viewer.post("/v1/schedules/secret:stop").status_code == 403
    for name in (made["id"], "secret"):
        assert stranger.get(f"/v1/schedules/{name}").status_code == 404
        for verb in ("hold", "release", "stop"):
            assert stranger.post(f"/v1/schedules/{name}:{verb}").status_code == 404
    assert stranger.items("/v1/schedules") == []
    assert owner.items("/v1/schedules", name="secret", project="acme/vision") == [made]


def test_a_name_in_two_projects_has_to_be_said_by_its_id(world: Served, owner: Someone) -> None:
    made = owner.made("/v1/schedules", scheduled("both"))
    world.admin.made("/v1/schedules", {"document": hello("both", project="default/default", schedule="0 3 * * *")})
    refused = world.admin.get("/v1/schedules/both")
    assert (refused.status_code, refused.json()["code"]) == (409, "ambiguous_name") and made["id"] in refused.text
    assert world.admin.get(f"/v1/schedules/{made['id']}").json()["project"] == "acme/vision"
