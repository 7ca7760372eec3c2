"""Why a job is where it is, as people meet it: the command, the change it names, and what others must not see."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until
from tests.edge.served import hello, served

CLOUD = """
kind: cloud
flavors:
  - {name: small, price: 3.60/core-hour}
pools:
  - {name: smalls, flavor: small, nodes: "small-[1-2]", share: {cpu: 1, memory: 1GB}, overcommit: true}
queues:
  - {name: default}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    folder = tmp_path_factory.mktemp("why")
    (folder / "cloud.yaml").write_text(CLOUD)
    with living_cloud(folder / "home") as cloud:
        cloud.xl("apply", "-y", str(folder / "cloud.yaml"))
        yield cloud


def submit(cloud: LivingCloud, name: str, **more: object) -> str:
    resources = {"cpu": 1, "memory": "60MB"}
    return cloud.submit(**{"name": name, "run": "sleep 300", "resources": resources, **more})


def command_of(cloud: LivingCloud, job: str) -> list[str]:
    """The command that `xl why` says to type, once a cycle has looked at the job."""
    wait_until(lambda: (cloud.job(job).get("wait") or {}).get("reason"), "a cycle has looked at it")
    last = cloud.xl("why", job).stdout.splitlines()[-1].split()
    assert last[0] == "xl", last
    return last[1:]


def test_the_command_that_why_names_starts_the_job(cloud: LivingCloud) -> None:
    one = submit(cloud, "one")
    cloud.wait_for_state(one, "RUNNING")
    wide = submit(cloud, "wide", nodes=2)
    command = command_of(cloud, wide)
    assert command == ["change", wide, "--nodes", "1"]
    cloud.xl(*command)
    cloud.wait_for_state(wide, "RUNNING", "STARTING")
    cloud.xl("stop", one, wide)
    cloud.wait_for_end(one, wide)


def test_a_preempted_job_says_for_whom_it_stops_and_what_comes_then(cloud: LivingCloud) -> None:
    run = "trap '' TERM; while true; do sleep 0.1; done"
    victims = [
        submit(cloud, f"victim-{of}", run=run, preemptible=True, checkpoint={"path": "ckpt", "grace": "8s"}) for of in (1, 2)
    ]
    for victim in victims:
        cloud.wait_for_state(victim, "RUNNING")
    urgent = submit(cloud, "urgent", priority="urgent")
    stopping = wait_until(
        lambda: next((of for of in victims if cloud.job(of)["state"] == "STOPPING"), None), "one is stopped for it"
    )
    said = cloud.xl("why", stopping).stdout
    assert "STOPPING (preempt)" in said and urgent in said
    assert "at the latest; then it waits in its old place, and goes on from what it saved in ckpt" in said
    waits = json.loads(cloud.xl("why", urgent, "--json").stdout)
    assert waits["advice"] is None and "others" not in waits["standing"]["then"]
    assert waits["standing"]["latest_us"] is not None
    cloud.wait_for_state(urgent, "RUNNING")
    assert cloud.xl("why", urgent).stdout.splitlines()[0] == "urgent does not wait: it is RUNNING."
    cloud.xl("stop", urgent, *victims)
    cloud.wait_for_end(urgent, *victims)
    assert "CANCELLED" in cloud.xl("why", urgent).stdout


def test_what_can_be_changed_of_a_waiting_job_and_what_not(tmp_path: Path) -> None:
    with served(tmp_path) as cloud:
        job = cloud.admin.made("/v1/jobs", {"document": hello(resources={"cpu": 1, "memory": "1GB"})})
        path = f"/v1/jobs/{job['id']}:change"
        changed = cloud.admin.made(path, {"document": {"nodes": 3, "resources": {"cpu": 2}, "priority": "high"}})
        assert (changed["nodes"], changed["priority"], changed["submitted_us"]) == (3, "high", job["submitted_us"])
        assert changed["resources"]["cpu_milli"] == 2000 and changed["resources"]["memory_bytes"] == 10**9
        for document, code in (
            ({"run": "rm -rf /"}, "bad_value"),
            ({"nodes": 0}, "invalid_spec"),
            ({"queue": "nowhere"}, "unknown"),
        ):
            version = cloud.version
            assert cloud.admin.post(path, {"document": document}).json()["code"] == code
            assert cloud.version == version, "a refusal changes nothing"
        other = cloud.tenant("acme", "vision")
        assert other.post(path, {"document": {"nodes": 1}}).status_code == 404
        cloud.admin.made(f"/v1/jobs/{job['id']}:stop")
        assert cloud.admin.post(path, {"document": {"nodes": 1}}).json()["code"] == "not_changeable"
        why = cloud.admin.get(f"/v1/jobs/{job['id']}/why").json()
        assert why["sentence"] == "It ended CANCELLED: it was asked to stop." and why["advice"] is None
