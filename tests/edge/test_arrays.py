"""Arrays as people meet them: one line, one answer and one verb for all; each element by its index."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until
from tests.edge.served import Served, Someone, hello, served

SWEEP = """
kind: job
name: sweep
run: echo "index $XL_ARRAY_INDEX of $XL_ARRAY_SIZE in $XL_ARRAY is $XL_JOB_NAME"
array: 0-6:2
max_parallel: 2
resources: {cpu: 0.1, memory: 60MB}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("arrays") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "home"


@pytest.fixture(scope="module")
def world(home: Path) -> Iterator[Served]:
    with served(home) as found:
        yield found


def test_an_array_is_planned_submitted_followed_and_told_as_one(cloud: LivingCloud, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    done = cloud.xl("run", "-y", "--wait", str(tmp_path / "sweep.yaml"))
    assert "sweep: an array of 4 jobs, each on 1 node" in done.stdout and "submitted: 4 jobs" in done.stdout
    lines = cloud.xl("ps", "-a").stdout.splitlines()
    [line] = [line for line in lines if "sweep" in line]
    array = line.split()[0]
    assert "sweep[0-6:2]" in line and "4 SUCCEEDED" in line and "at most 2 at once" in line
    assert cloud.xl("logs", "sweep[4]").stdout == f"index 4 of 4 in {array} is sweep[4]\n"
    every = json.loads(cloud.xl("ps", "-a", "--json").stdout)
    assert [job["name"] for job in every] == ["sweep[6]", "sweep[4]", "sweep[2]", "sweep[0]"]
    whole = cloud.xl("logs", "sweep", ok=False)
    assert whole.returncode == 1 and "sweep is an array of 4 jobs" in whole.stderr and "sweep[0]" in whole.stderr
    assert "sweep is an array of 4 jobs: 4 SUCCEEDED." in cloud.xl("why", "sweep").stdout


def test_one_element_or_all_are_held_released_and_stopped(cloud: LivingCloud, tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(SWEEP.replace("sweep", "long").replace("echo", "sleep 300; echo"))
    array = json.loads(cloud.xl("run", "-y", "--json", str(tmp_path / "long.yaml")).stdout)["array"]["id"]

    def counts() -> dict[str, int]:
        return dict(cloud.client.get(f"/v1/arrays/{array}")["counts"])

    wait_until(lambda: counts().get("RUNNING") == 2, "two of them run")
    cloud.xl("hold", "long[6]")
    cloud.xl("stop", "long[0]")
    wait_until(
        lambda: cloud.job(f"{array}-2")["state"] == cloud.job(f"{array}-4")["state"] == "RUNNING", "the next takes its place"
    )
    assert cloud.job(f"{array}-6")["held"] and counts() == {"RUNNING": 2, "PENDING": 1, "CANCELLED": 1}
    assert "Held" in cloud.xl("why", "long").stdout
    assert f"{array} is held" in cloud.xl("hold", "long").stdout
    wait_until(lambda: counts() == {"PENDING": 3, "CANCELLED": 1}, "all of them wait, held")
    assert cloud.xl("stop", "long", "--preview").stdout.startswith("3 jobs would be stopped:")
    cloud.xl("release", "long")
    wait_until(lambda: counts().get("RUNNING") == 2, "two of them run again")
    cloud.xl("stop", "long")
    wait_until(lambda: counts() == {"CANCELLED": 4}, "all of them end")


@pytest.fixture(scope="module")
def owner(world: Served) -> Someone:
    return world.tenant("acme", "vision")


def submit(who: Someone, **more: object) -> Any:
    document = hello("sweep", array="0-9", project="acme/vision", **more)
    return who.post("/v1/jobs", {"document": document})


def test_whoever_may_not_submit_or_asks_for_nonsense_gets_one_error_and_nothing_is_there(world: Served, owner: Someone) -> None:
    viewer = world.user("vic", "acme", ("viewer", "acme/vision"))
    before = world.version
    refused = submit(viewer)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    wrong = submit(owner, max_parallel=0)
    assert wrong.status_code == 422 and "max_parallel" in wrong.text
    assert world.version == before and owner.items("/v1/arrays") == owner.items("/v1/jobs") == []


def test_other_tenants_see_neither_the_array_nor_its_elements(world: Served, owner: Someone) -> None:
    first = submit(owner).json()
    array, stranger = first["array"]["id"], world.tenant("beta", "lab")
    for path in (f"/v1/arrays/{array}", f"/v1/arrays/{array}/why", f"/v1/jobs/{array}-3", "/v1/jobs/sweep[3]"):
        assert stranger.get(path).status_code == 404
        assert owner.get(path).status_code == 200
    for verb in ("stop", "hold", "release"):
        assert stranger.post(f"/v1/arrays/{array}:{verb}").status_code == 404
    assert stranger.items("/v1/arrays") == [] and stranger.get("/v1/jobs", array=array).status_code == 404
    assert [one["id"] for one in owner.items("/v1/arrays", user="owner", queue="default", name="sweep", active=True)] == [array]
    assert owner.items("/v1/arrays", user="nobody") == owner.items("/v1/arrays", queue="none") == []
    assert owner.items("/v1/jobs", alone=True) == [] and len(owner.items("/v1/jobs", array=array)) == 10


def test_the_same_request_twice_is_one_array(owner: Someone) -> None:
    document = hello("twice", array="0-2", project="acme/vision")
    one, two = (owner.made("/v1/jobs", {"document": document}, once="again") for _ in range(2))
    assert one["id"] == two["id"] and len(owner.items("/v1/jobs", array="twice")) == 3


def test_ten_thousand_elements_are_one_file_in_the_store(home: Path, owner: Someone) -> None:
    first = owner.made("/v1/jobs", {"document": hello("many", array="0-9999", project="acme/vision")})
    array = first["array"]["id"]
    assert owner.get(f"/v1/arrays/{array}").json()["counts"] == {"PENDING": 10_000}
    with sqlite3.connect(home / "store.db") as connection:
        count = "SELECT count(*), count(DISTINCT spec_id) FROM workloads WHERE array_id = ?"
        assert connection.execute(count, [array]).fetchone() == (10_000, 1)
    assert owner.post(f"/v1/arrays/{array}:stop").json()["counts"] == {"CANCELLED": 10_000}
