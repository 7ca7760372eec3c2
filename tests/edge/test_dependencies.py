"""Jobs that wait for others' ends and for an instant, as people meet them."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until
from tests.edge.served import Served, Someone, hello, served

SMALL = {"cpu": 0.1, "memory": "60MB"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("dependencies") / "home") as found:
        yield found


def submit(cloud: LivingCloud, name: str, run: str = "true", **keys: object) -> str:
    return cloud.submit(name=name, run=run, resources=SMALL, **keys)


def reason(cloud: LivingCloud, job: str) -> str:
    return str((cloud.job(job).get("wait") or {}).get("reason"))


def test_a_chain_runs_in_order_and_what_waits_for_the_other_end_says_so_for_good(cloud: LivingCloud) -> None:
    submit(cloud, "gate", "sleep 300")
    prep = submit(cloud, "prep", after={"any": ["gate"]})
    train = submit(cloud, "train", after=["prep"])
    rescue = submit(cloud, "rescue", after={"failed": ["prep"]})
    clean = submit(cloud, "clean", after={"ok": ["train"], "any": [rescue[:8], "prep"]})
    wait_until(lambda: reason(cloud, prep) == reason(cloud, clean) == "DependencyWaiting", "they wait")
    why = cloud.xl("why", "clean").stdout
    assert f"It waits for train ({train}) to succeed, and for 2 more." in why and "position" not in why
    cloud.xl("stop", "gate")
    wait_until(lambda: cloud.job(train)["state"] == "SUCCEEDED", "the chain runs")
    assert cloud.job(prep)["finished_us"] <= cloud.job(train)["started_us"]
    wait_until(lambda: reason(cloud, rescue) == "DependencyFailed", "prep will not fail any more")
    assert "stop it, or submit it again" in cloud.xl("why", "rescue").stdout
    assert [one["met"] for one in cloud.job(clean)["after"]] == [True, None, True]
    assert cloud.xl("ps").stdout.count("Dependency") == 2
    cloud.xl("stop", "rescue")
    wait_until(lambda: cloud.job(clean)["state"] == "SUCCEEDED", "any end of rescue will do")
    assert "job.dependency-failed" in cloud.xl("events", rescue).stdout


def test_a_whole_array_or_one_element_of_it_is_waited_for(cloud: LivingCloud) -> None:
    script = '[ "$XL_ARRAY_INDEX" != 1 ] || exit 3'
    submit(cloud, "parts", script, array="0-2", max_parallel=1)
    whole, first = submit(cloud, "whole", after=["parts"]), submit(cloud, "first", after=["parts[0]"])
    any_end, second = submit(cloud, "any", after={"any": ["parts"]}), submit(cloud, "second", after={"failed": ["parts[1]"]})
    cloud.wait_for_end(first, any_end, second)
    assert {cloud.job(job)["state"] for job in (first, any_end, second)} == {"SUCCEEDED"}
    wait_until(lambda: reason(cloud, whole) == "DependencyFailed", "one of its elements failed")
    late = submit(cloud, "late", after=["parts[1]"])
    assert cloud.job(late)["after"][0]["met"] is False, "known at submission"
    cloud.xl("stop", "whole", "late")


def test_a_job_does_not_start_before_its_instant(cloud: LivingCloud) -> None:
    job = submit(cloud, "tomorrow", not_before="24h")
    soon = submit(cloud, "soon", not_before="2s")
    wait_until(lambda: reason(cloud, job) == "NotBefore", "it waits")
    why = cloud.xl("why", "tomorrow").stdout
    assert "It may not start before" in why and "when its not_before has come" in why
    cloud.wait_for_end(soon)
    done = cloud.job(soon)
    assert done["not_before_us"] == done["submitted_us"] + 2_000_000 <= done["started_us"]
    cloud.xl("stop", "tomorrow")


def test_a_plan_of_what_waits_says_for_what(cloud: LivingCloud, tmp_path: Path) -> None:
    submit(cloud, "endless", "sleep 300")
    (tmp_path / "next.yaml").write_text("kind: job\nname: next\nrun: 'true'\nafter: [endless]\n")
    planned = cloud.xl("plan", str(tmp_path / "next.yaml"), ok=False)
    assert planned.returncode == 3 and "waits: It waits for endless" in planned.stdout
    cloud.xl("stop", "endless")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "home"


@pytest.fixture(scope="module")
def world(home: Path) -> Iterator[Served]:
    with served(home) as found:
        yield found


def test_what_is_not_there_or_not_of_this_project_is_not_waited_for_and_not_revealed(world: Served, home: Path) -> None:
    owner, stranger = world.tenant("acme", "vision", "other"), world.tenant("beta", "lab")
    secret = stranger.made("/v1/jobs", {"document": hello("secret", project="beta/lab")})["id"]
    elsewhere = owner.made("/v1/jobs", {"document": hello("elsewhere", project="acme/other")})["id"]

    def waits_for(who: Someone, name: str) -> dict[str, object]:
        answer = who.post("/v1/jobs", {"document": hello("next", project="acme/vision", after=[name])})
        assert answer.status_code == 422
        return {key: value for key, value in answer.json().items() if key != "request"}

    unknown = json.dumps(waits_for(owner, "nobody"))
    assert "there is no job or array nobody in project acme/vision" in unknown
    for name in (secret, "secret", secret[:8], elsewhere, "elsewhere", "next", "secret[1]"):
        assert json.dumps(waits_for(owner, name)) == unknown.replace("nobody", name)
    with sqlite3.connect(home / "store.db") as connection:
        assert connection.execute("SELECT count(*) FROM workloads WHERE name = 'next'").fetchone() == (0,)


def test_a_circle_of_jobs_cannot_be_made(world: Served) -> None:
    """A name means what was submitted before."""
    admin = world.admin
    assert admin.post("/v1/jobs", {"document": hello("one", after=["two"])}).status_code == 422
    one = admin.made("/v1/jobs", {"document": hello("one")})["id"]
    two = admin.made("/v1/jobs", {"document": hello("two", after=["one"])})["id"]
    again = admin.made("/v1/jobs", {"document": hello("one", after=["one", "two"])})
    assert [one["job"] for one in again["after"]] == [one, two]
