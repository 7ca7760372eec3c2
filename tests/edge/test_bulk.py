"""Selections of jobs, queues that are held, and places in line, as people meet them: the command and the API."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import XL, LivingCloud, living_cloud, wait_until
from tests.edge.served import Served, hello, served

QUEUES = """
kind: cloud
flavors:
  - {name: half, price: 3.60/core-hour}
pools:
  - {name: halves, flavor: half, nodes: half-1, share: {cpu: 1, memory: 2GB}}
queues:
  - {name: default}
  - {name: labs, children: [{name: research, quota: {half: 1}}, {name: batch, quota: {half: 1}}]}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    folder = tmp_path_factory.mktemp("bulk")
    (folder / "cloud.yaml").write_text(QUEUES)
    with living_cloud(folder / "home") as cloud:
        cloud.xl("apply", "-y", str(folder / "cloud.yaml"))
        yield cloud


def submit(cloud: LivingCloud, *names: str, queue: str = "research") -> list[str]:
    resources = {"cpu": 1, "memory": "60MB"}
    return [cloud.submit(name=name, queue=queue, run="sleep 300", resources=resources) for name in names]


def reason(cloud: LivingCloud, job: str) -> str:
    return str((cloud.job(job).get("wait") or {}).get("reason"))


def test_a_held_queue_keeps_what_waits_says_who_and_why_and_lets_it_go(cloud: LivingCloud, tmp_path: Path) -> None:
    assert "labs is held: power is out" in cloud.xl("queue", "hold", "labs", "--reason", "power is out").stdout
    one, two = submit(cloud, "one", "two")
    wait_until(lambda: reason(cloud, two) == "Held", "it waits in a held queue")
    why = wait_until(lambda: said if "position 2 of 2" in (said := cloud.xl("why", two).stdout) else None, "its place")
    assert "Its queue labs is held until it is released." in why
    assert "position 2 of 2 in queue research" in why
    assert "queue labs is held by admin since" in why and "power is out" in why
    assert [one["type"] for one in cloud.client.get("/v1/events", subject="labs")["items"]][-1] == "queue.held"

    shown = cloud.xl("queue", "show", "labs").stdout
    assert "by admin for" in shown and "in line: 2" in shown
    assert "used lately" in shown and "USER" in cloud.xl("queue", "show", "research").stdout.split("in line")[0]
    assert shown.index(one) < shown.index(two)
    assert "labs (held)" in cloud.xl("queue", "tree").stdout
    (tmp_path / "more.yaml").write_text(QUEUES.replace("half: 1}}]", "half: 2}}]"))
    cloud.xl("apply", "-y", str(tmp_path / "more.yaml"))
    assert json.loads(cloud.xl("queue", "show", "labs", "--json").stdout)["hold"]["reason"] == "power is out"

    cloud.xl("queue", "release", "labs")
    cloud.wait_for_state(one, "RUNNING")
    cloud.xl("queue", "hold", "labs", "--reason", "again")
    wait_until(lambda: reason(cloud, two) == "Held", "it waits again")
    assert cloud.job(one)["state"] == "RUNNING", "what runs goes on"
    cloud.xl("queue", "release", "labs")
    cloud.xl("stop", one, two)
    cloud.wait_for_end(one, two)


def test_a_selection_is_shown_first_and_done_only_with_a_yes(cloud: LivingCloud) -> None:
    cloud.xl("queue", "hold", "batch", "--reason", "a test")
    jobs = submit(cloud, "sweep-1", "sweep-2", "other", queue="batch")
    words = ("stop", "--queue", "labs", "--name", "sweep-*")
    preview = cloud.xl(*words, "--preview").stdout
    assert preview.startswith("2 jobs would be stopped:") and jobs[0] in preview and jobs[2] not in preview
    refused = cloud.xl(*words, ok=False)
    assert refused.returncode == 1 and "Add -y" in refused.stderr
    assert {cloud.job(job)["state"] for job in jobs} == {"PENDING"}
    assert cloud.xl(*words, "-y").stdout == "2 jobs stopped\n"
    assert [cloud.job(job)["state"] for job in jobs] == ["CANCELLED", "CANCELLED", "PENDING"]
    assert cloud.xl(*words, "-y").stdout == "no jobs stopped\n"
    held = json.loads(cloud.xl("hold", "--user", "admin", "--state", "pending", "-y", "--json").stdout)
    assert (held["count"], held["jobs"]) == (1, [jobs[2]])
    assert cloud.xl("ps", "--user", "admin", "--queue", "labs").stdout.count("HELD") == 1
    assert cloud.xl("ps", "--user", "nobody").stdout == ""
    assert cloud.xl("release", "--all", "-y").stdout == "1 job released\n"
    assert cloud.xl("stop", jobs[2]).stdout == f"{jobs[2]} stops\n"
    cloud.xl("queue", "release", "batch")


@pytest.mark.parametrize("words", [(), ("x", "--all"), ("x", "--project", "p")])
def test_nothing_or_both_is_no_way_to_say_which_jobs(cloud: LivingCloud, words: tuple[str, ...]) -> None:
    refused = cloud.xl("stop", *words, ok=False)
    assert refused.returncode == 1 and ("Name a JOB, or select some" in refused.stderr or "not both" in refused.stderr)


def test_many_jobs_are_stopped_while_the_cycle_turns_and_ctrl_c_says_how_far_it_came(cloud: LivingCloud) -> None:
    cloud.xl("queue", "hold", "batch", "--reason", "a test")
    count, client = 1200, cloud.client
    document = {"kind": "job", "name": "many", "queue": "batch", "run": "true"}
    for _ in range(count):
        client.post("/v1/jobs", {"document": document})
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("XL_")}, "XL_HOME": str(cloud.home)}
    with subprocess.Popen([XL, "stop", "--name", "many", "-y"], env=env, stdout=-1, stderr=-1, text=True) as process:
        waiting = {"state": "PENDING", "queue": "batch", "limit": 1}
        wait_until(lambda: client.get("/v1/jobs", state="CANCELLED", queue="batch", name="many")["items"], "it has begun")
        assert client.get("/v1/jobs", **waiting) is not None, "others are served meanwhile"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    interrupted = process.returncode == 130
    assert (f"of {count} jobs stopped. The same command goes on" in err) if interrupted else (out == f"{count} jobs stopped\n")
    cloud.xl("stop", "--name", "many", "-y")
    assert json.loads(cloud.xl("stop", "--name", "many", "--preview", "--json").stdout)["count"] == 0
    cloud.xl("queue", "release", "batch")


# who may -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A cloud whose cycle does not turn."""
    with served(tmp_path_factory.mktemp("still")) as found:
        yield found


def test_only_operators_hold_queues(still: Served) -> None:
    owner = still.tenant("acme", "nlp")
    assert owner.post("/v1/queues/default:hold", {"reason": "mine"}).json()["code"] == "forbidden"
    assert owner.post("/v1/queues/default:release").json()["code"] == "forbidden"
    operator = still.user("ops", None, ("operator", ""))
    assert operator.post("/v1/queues/default:hold", {"reason": " "}).json()["code"] == "no_hold_reason"
    assert operator.post("/v1/queues/none:hold", {"reason": "x"}).status_code == 404
    held = operator.made("/v1/queues/default:hold", {"reason": "quotas change"})
    assert held["held"] and (held["hold"]["actor"], held["hold"]["reason"]) == ("ops", "quotas change")
    version = still.version
    assert operator.made("/v1/queues/default:hold", {"reason": "quotas change"}) == held
    assert still.version == version, "a repetition changes nothing"
    assert owner.get("/v1/queues/default").json()["hold"]["reason"] == "quotas change"
    assert operator.made("/v1/queues/default:release")["hold"] is None


def test_a_selection_never_reaches_beyond_what_is_seen_and_allowed(still: Served) -> None:
    beta = still.tenant("beta", "one", "two")
    gamma = still.tenant("gamma", "one")
    for owner, project in ((beta, "beta/one"), (beta, "beta/two"), (gamma, "gamma/one")):
        owner.made("/v1/jobs", {"document": hello("mass"), "project": project})
    half = still.user("half", "beta", ("member", "beta/one"), ("viewer", "beta/two"))
    assert half.post("/v1/jobs:stop", {"project": "gamma/one"}).status_code == 404
    assert half.post("/v1/jobs:stop", {}).json()["code"] == "bad_selection"
    told = half.made("/v1/jobs:stop", {"all": True, "preview": True})
    assert (told["count"], told["refused"]) == (1, [{"project": "beta/two", "count": 1}])
    done = half.made("/v1/jobs:stop", {"all": True})
    assert (done["count"], done["refused"], done["next"]) == (1, told["refused"], None)
    assert [job["state"] for job in gamma.items("/v1/jobs", name="mass")] == ["PENDING"]
    assert len(half.items("/v1/jobs", user="owner")) == 2 and half.items("/v1/jobs", user="half") == []
    viewer = still.user("viewer", "beta", ("viewer", "beta/two"))
    assert viewer.made("/v1/jobs:hold", {"all": True})["count"] == 0


def test_two_at_once_stop_each_job_once(still: Served) -> None:
    delta = still.tenant("delta", "one")
    jobs = [delta.made("/v1/jobs", {"document": hello("twice"), "project": "delta/one"})["id"] for _ in range(20)]
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(delta.made("/v1/jobs:stop", {"project": "delta/one"})["count"]))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == len(jobs)
    ended = [event["subject"] for event in delta.items("/v1/events", type="job.cancelled", project="delta/one")]
    assert sorted(ended) == sorted(jobs)
