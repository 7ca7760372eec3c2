"""Real PyTorch DDP, two ranks on two emulated nodes: a rank is killed, and the gang goes on from its checkpoint.

torch comes from the demo's own virtual environment, fetched once for a checkout. XL_KILLS and XL_SEED as in test_kills.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import sleep

import pytest
from demo.following import rank_processes
from tests.edge.living import FINAL, Json, LivingCloud, living_cloud, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = ROOT / "demo" / "environment.py"
FIRST_SEED = int(os.environ.get("XL_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("XL_KILLS", "1")))
STEPS = 80
CLOUD = {
    "kind": "cloud",
    "flavors": [{"name": "part", "price": "0.05/core-hour"}],
    "pools": [
        {
            "name": "parts",
            "flavor": "part",
            "nodes": ["p1", "p2"],
            "share": {"cpu": 1, "memory": "1500MB"},
            "overcommit": True,
        }
    ],
    "queues": [{"name": "default"}],
}
JOB = {
    "kind": "job",
    "name": "ddp",
    "nodes": 2,
    "resources": {"cpu": 1, "memory": "1500MB"},
    "python": "torch",
    "workdir": str(ROOT / "demo"),
    "env": {"STEPS": STEPS},
    "run": "exec python train.py",
    "time_limit": "10m",
    "checkpoint": {"path": "ckpt", "every": "5s"},
    "restart": {"on_events": ["signal", "exit:75"], "max": 3},
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    made = subprocess.run([sys.executable, ENVIRONMENT], stdout=subprocess.PIPE, text=True, check=True)
    torch = Path(made.stdout.strip())
    folder = tmp_path_factory.mktemp("ddp")
    file = folder / "cloud.yaml"
    file.write_text(json.dumps({**CLOUD, "interpreters": {"torch": str(torch)}}))
    with living_cloud(folder / "home") as cloud:
        cloud.xl("apply", "-y", str(file))
        yield cloud


def submit(cloud: LivingCloud, folder: Path) -> str:
    file = folder / "ddp.yaml"
    file.write_text(json.dumps(JOB))
    return str(json.loads(cloud.xl("run", "-y", "--json", str(file)).stdout)["id"])


def steps(log: str) -> list[int]:
    return [int(number) for number in re.findall(r"^step (\d+) loss", log, re.MULTILINE)]


def last_checkpoint(log: str) -> int:
    return max(map(int, re.findall(r"^checkpoint at step (\d+)$", log, re.MULTILINE)), default=0)


def wait_for_log(cloud: LivingCloud, job: str, said: Callable[[str], int]) -> int:
    """What `said` finds in rank 0's first log once it finds something; a job that ended without it failed the test."""

    def look() -> int:
        over, log = cloud.job(job)["state"] in FINAL, cloud.log(job, attempt=1)
        assert said(log) or not over, log
        return said(log)

    return wait_until(look, "rank 0 says what is waited for", every_s=0.3)


def rank_of(attempts: list[Json], number: int) -> dict[int, Json]:
    return {one["rank"]: one for one in attempts if one["number"] == number}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_rank_ends_the_gang_once_and_training_goes_on_from_the_checkpoint(
    cloud: LivingCloud, tmp_path: Path, seed: int
) -> None:
    dice = Random(f"ddp {seed}")
    job_id, victim = submit(cloud, tmp_path), dice.randrange(2)
    wait_for_log(cloud, job_id, last_checkpoint)
    sleep(dice.uniform(0, 2))
    [pid] = rank_processes(job_id, victim)
    os.kill(pid, signal.SIGKILL)
    [job] = cloud.wait_for_end(job_id)
    attempts = cloud.attempts(job_id)
    assert (job["state"], job["exit_code"], sum(job["restarts"].values())) == ("SUCCEEDED", 0, 1), job
    first, second = rank_of(attempts, 1), rank_of(attempts, 2)
    assert (first[victim]["outcome"], first[victim]["signal"]) == ("FAILED", signal.SIGKILL), first
    assert [second[rank]["outcome"] for rank in (0, 1)] == ["SUCCEEDED", "SUCCEEDED"], second
    assert {one["node"] for one in second.values()} == {"p1", "p2"}
    assert_went_on(cloud.log(job_id, attempt=1), cloud.log(job_id, attempt=2))
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def assert_went_on(before: str, after: str) -> None:
    saved = last_checkpoint(before)
    assert f"resumed from step {saved}\n" in after
    assert steps(after)[0] == saved + 1, "it did not go on where the checkpoint was"
    assert steps(after)[-1] == STEPS
    assert f"done after {STEPS} steps" in after
    assert steps(before)[0] == 1


def test_a_held_training_saves_itself_and_goes_on_when_released(cloud: LivingCloud, tmp_path: Path) -> None:
    job_id = submit(cloud, tmp_path)
    wait_for_log(cloud, job_id, lambda log: len(steps(log)))
    cloud.xl("hold", job_id)
    wait_until(lambda: cloud.job(job_id)["state"] == "PENDING", "it waits, held")
    log = cloud.log(job_id, attempt=1)
    saved = last_checkpoint(log)
    assert f"asked to end after step {saved}\n" in log, "SIGTERM did not make it save"
    cloud.xl("release", job_id)
    [job] = cloud.wait_for_end(job_id)
    assert (job["state"], job["restarts"]) == ("SUCCEEDED", {}), job
    assert f"resumed from step {saved}\n" in cloud.log(job_id, attempt=2)
    cloud.assert_conserved()
