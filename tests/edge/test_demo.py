"""`./dev demo --small`, told for real on a home of its own, twice."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import Json, LivingCloud, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD_WITHIN_S = 240


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    cloud = LivingCloud(tmp_path_factory.mktemp("demo") / "home")
    try:
        yield cloud
    finally:
        cloud.end()


def start(cloud: LivingCloud, *words: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("XL_")}
    command = [sys.executable, str(ROOT / "demo" / "run.py"), "--small", *words]
    return subprocess.Popen(
        command,
        env={**env, "XL_HOME": str(cloud.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def tell(cloud: LivingCloud, *words: str) -> str:
    process = start(cloud, *words)
    said, _ = process.communicate(timeout=TOLD_WITHIN_S)
    assert process.returncode == 0, said
    return said


def test_interrupted_and_told_again_it_goes_on_and_its_numbers_add_up(cloud: LivingCloud) -> None:
    first = start(cloud)
    wait_until(lambda: list((cloud.home / "jobs").glob("*/files/ckpt/last.json")), "red's gang has a checkpoint")
    os.killpg(first.pid, signal.SIGINT)
    broken_off, _ = first.communicate(timeout=60)
    assert first.returncode == 130, broken_off
    said = tell(cloud)
    assert "of an earlier telling goes on" in said, "it should have found red's gang running"
    assert_killed_and_resumed(cloud, broken_off + said)
    assert_shorts_waited(cloud)
    assert_shared(cloud, said)
    assert "It holds, to the microsecond." in said
    assert_accounts(cloud, said)
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def assert_killed_and_resumed(cloud: LivingCloud, said: str) -> None:
    [gang] = cloud.client.pages("/v1/jobs", name="demo-count")
    assert (gang["state"], gang["attempt"], gang["project"]) == ("SUCCEEDED", 2, "demo-red/lab"), gang
    first = [one for one in cloud.attempts(gang["id"]) if one["number"] == 1]
    assert [one["signal"] for one in first if one["rank"] == 1] == [signal.SIGKILL], first
    assert "kill -9 " in said
    resumed = re.search(r"resumed from step (\d+)", said)
    assert resumed and int(resumed[1]) > 0, said
    assert f"resumed from step {resumed[1]}\n" in cloud.log(gang["id"], attempt=2)


def assert_shorts_waited(cloud: LivingCloud) -> None:
    [gang] = cloud.client.pages("/v1/jobs", name="demo-count")
    shorts = [job for job in cloud.client.pages("/v1/jobs", project="demo-blue/lab") if job["name"].startswith("demo-short")]
    assert sorted(job["name"] for job in shorts) == [f"demo-short-{number}" for number in range(1, 7)]
    assert {job["state"] for job in shorts} == {"SUCCEEDED"}
    waited = [event for event in cloud.client.pages("/v1/events", type="job.waiting") if event["project"] == "demo-blue/lab"]
    assert waited, "no short job ever waited"
    assert all(job["started_us"] >= gang["started_us"] for job in shorts)


def assert_shared(cloud: LivingCloud, said: str) -> None:
    """The sweep was stopped twice, each time for the job that then started, and went on from what it had saved."""
    [sweep], [urgent], [own] = (list(cloud.client.pages("/v1/jobs", name=f"demo-{name}")) for name in ("sweep", "urgent", "own"))
    assert {job["state"] for job in (sweep, urgent, own)} == {"SUCCEEDED"}
    assert (sweep["attempt"], sweep["restarts"]) == (3, {}), sweep
    attempts = cloud.attempts(sweep["id"])
    assert [(one["number"], one["outcome"]) for one in sorted(attempts, key=lambda one: (one["number"], one["rank"]))] == [
        *[(1, "PREEMPTED")] * 2,
        *[(2, "PREEMPTED")] * 2,
        *[(3, "SUCCEEDED")] * 2,
    ]
    stops = [event for event in events(cloud, "job.stopping") if event["subject"] == sweep["id"]]
    assert [event["facts"]["why"] for event in stops] == ["preempt", "reclaim"]
    for number, job in ((1, urgent), (2, own)):
        assert_made_room(cloud, [one for one in attempts if one["number"] == number], job)
        saved = re.search(r"asked to end after step (\d+)\n", cloud.log(sweep["id"], attempt=number))
        assert saved, f"attempt {number} did not save itself"
        assert f"resumed from step {saved[1]}\n" in cloud.log(sweep["id"], attempt=number + 1)
    assert "PreemptionInProgress" in said


def assert_made_room(cloud: LivingCloud, stopped: list[Json], job: Json) -> None:
    """A checkpoint of those who stopped was seen, the job waited for that reason, and started once they were gone."""
    assert all(one["saved"]["path"] == "ckpt" for one in stopped), stopped
    waits = [event["facts"]["reason"] for event in events(cloud, "job.waiting") if event["subject"] == job["id"]]
    assert waits == ["PreemptionInProgress"]
    [attempt] = cloud.attempts(job["id"])
    assert attempt["opened_us"] >= max(one["released_us"] for one in stopped if one["node"] == attempt["node"])


def events(cloud: LivingCloud, type_: str) -> list[Json]:
    return list(cloud.client.pages("/v1/events", type=type_))


def assert_accounts(cloud: LivingCloud, said: str) -> None:
    found = cloud.client.get("/v1/usage", by="tenant")
    rows = {row["key"]: row for row in found["items"]}
    assert {"demo-red", "demo-blue"} <= set(rows)
    for row in rows.values():
        assert row["goodput_milli_us"] + row["lost_milli_us"] == row["core_milli_us"] + row["gpu_milli_us"], row
        assert sum(row["badput"].values()) == row["lost_milli_us"], row
    assert_lost_only_what_was_not_saved(cloud, rows["demo-red"])
    assert rows["demo-blue"]["badput"].keys() <= {"preemption", "starting", "releasing"}
    for tenant in ("demo-red", "demo-blue"):
        assert re.search(rf"^ *{tenant} +[\d.,]+ +[\d.,]+ +[\d.,]+ +[\d.,]+ ", said, re.MULTILINE), said


def assert_lost_only_what_was_not_saved(cloud: LivingCloud, row: Json) -> None:
    """Of the attempt in which a rank was killed, all before its last checkpoint is goodput and all after it is lost."""
    [gang] = cloud.client.pages("/v1/jobs", name="demo-count")
    first = [one for one in cloud.attempts(gang["id"]) if one["number"] == 1]
    saved_us = max(one["saved"]["seen_us"] for one in first if one["saved"])
    lost_us = sum(one["ended_us"] - max(saved_us, one["started_us"]) for one in first)
    assert 0 < lost_us < sum(one["ended_us"] - one["started_us"] for one in first), first
    node = cloud.client.get(f"/v1/nodes/{first[0]['node']}")
    assert row["badput"]["failed attempt"] == lost_us * node["capacity"]["cpu"], (row, first)


def test_a_chapter_alone_uses_the_cloud_that_is_up(cloud: LivingCloud) -> None:
    up = json.loads((cloud.home / "run" / "up.lock").read_text())
    said = tell(cloud, "accounts")
    assert "it is used as it is" in said
    assert "It holds, to the microsecond." in said
    assert json.loads((cloud.home / "run" / "up.lock").read_text()) == up


def test_the_users_own_operator_file_is_left_alone(cloud: LivingCloud, tmp_path: Path) -> None:
    mine = LivingCloud(tmp_path / "mine")
    other = LivingCloud(tmp_path / "mine-demo")
    try:
        mine.up()
        [node] = mine.client.get("/v1/nodes")["items"]
        file = tmp_path / "cloud.yaml"
        document = {
            "kind": "cloud",
            "flavors": [{"name": "my-flavor", "price": "1/core-hour"}],
            "pools": [{"name": "my-pool", "flavor": "my-flavor", "nodes": node["name"]}],
            "queues": [{"name": "default"}],
        }
        file.write_text(json.dumps(document))
        mine.xl("apply", "-y", str(file))
        said = tell(mine, "accounts")
        assert "leaves that cloud as it is" in said
        assert [pool["name"] for pool in mine.client.get("/v1/cloud")["pools"]] == ["my-pool"]
        assert [pool["name"] for pool in other.client.get("/v1/cloud")["pools"]] == ["demo"]
    finally:
        mine.end()
        other.end()
