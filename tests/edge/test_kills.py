"""Whatever is killed with SIGKILL while jobs run: every job ends in its right state, nothing runs twice, nothing is left.

The moments are drawn from seeds; a failure names its seed. XL_KILLS=50 kills so often; XL_SEED=N begins at another seed.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import sleep

import pytest
from tests.edge.living import FINAL, Json, LivingCloud, living_cloud, wait_until

KILLS = int(os.environ.get("XL_KILLS", "3"))
FIRST_SEED = int(os.environ.get("XL_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + KILLS)
SMALL = {"cpu": "0.1", "memory": "60MB"}
NODE_FAILURE = "node-failure"

# Every replica proves that it is alone: it holds a lock of its rank for as long as it runs, and says when it began and
# ended. `sleep` is its own process, so that there is one to kill and one that could be left.
WITNESS = """
cd "$XL_JOB_DIR"
exec 9>>lock-$RANK
flock -n 9 || { echo "attempt $XL_ATTEMPT" >> twice; exit 99; }
echo "start $XL_ATTEMPT $RANK" >> story
sleep SECONDS || exit $?
echo "end $XL_ATTEMPT $RANK" >> story
exit CODE
"""

# For the gang: with a program of its own that can be found and killed.
FOREVER = """
cd "$XL_JOB_DIR"
exec 9>>lock-$RANK
flock -n 9 || { echo "attempt $XL_ATTEMPT" >> twice; exit 99; }
echo "start $XL_ATTEMPT $RANK" >> story
if [ "$XL_ATTEMPT" = 1 ]; then exec sleep 1000; fi
sleep 0.2
echo "end $XL_ATTEMPT $RANK" >> story
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("kills") / "home") as cloud:
        yield cloud


@dataclass(frozen=True)
class Submitted:
    """A job and the exit code it was written to end with."""

    job: str
    code: int


def submit_batch(cloud: LivingCloud, dice: Random, seed: int, *, count: int = 6) -> list[Submitted]:
    """Jobs of different lengths and exit codes, all running or about to."""
    batch = []
    for number in range(count):
        code = dice.choice((0, 0, 3, 42, 255))
        script = WITNESS.replace("SECONDS", f"{dice.uniform(0.2, 2.5):.2f}").replace("CODE", str(code))
        job = cloud.submit(name=f"kill-{seed}-{number}", resources=SMALL, run=script)
        batch.append(Submitted(job, code))
    return batch


def assert_ended_as_written(cloud: LivingCloud, one: Submitted) -> None:
    """One attempt, with the exit code it was written to end with, and its whole story once."""
    [job] = cloud.wait_for_end(one.job)
    attempts = cloud.attempts(one.job)
    assert len(attempts) == 1, f"it was to run once: {attempts}"
    [attempt] = attempts
    state = "SUCCEEDED" if one.code == 0 else "FAILED"
    assert (job["state"], job["exit_code"], job["signal"]) == (state, one.code, None), job
    assert (attempt["outcome"], attempt["exit_code"], attempt["signal"]) == (state, one.code, None), attempt
    assert_alone(cloud, one.job, ["start 1 0", "end 1 0"])


def assert_alone(cloud: LivingCloud, job: str, story: Sequence[str]) -> None:
    """No replica ever found another of its rank running, and the job did exactly this."""
    files = cloud.files(job)
    assert "twice" not in files, f"{job} ran twice at once: {files}"
    assert files["story"].splitlines() == list(story)


def wait_for_running(cloud: LivingCloud, jobs: Sequence[str]) -> None:
    wait_until(
        lambda: any(cloud.job(job)["state"] == "RUNNING" for job in jobs), f"one of {jobs} runs (states: {states(cloud, jobs)})"
    )


def states(cloud: LivingCloud, jobs: Sequence[str]) -> list[str]:
    return [cloud.job(job)["state"] for job in jobs]


@pytest.mark.parametrize("seed", SEEDS)
def test_killing_the_control_plane_changes_no_job(cloud: LivingCloud, seed: int) -> None:
    dice = Random(f"control plane {seed}")
    batch = submit_batch(cloud, dice, seed)
    sleep(dice.uniform(0, 2))
    victim = wait_until(cloud.control_plane, "there is a control plane")
    os.kill(victim, signal.SIGKILL)
    late = submit_batch(cloud, dice, seed, count=1)
    for one in [*batch, *late]:
        assert_ended_as_written(cloud, one)
    assert cloud.control_plane() not in (None, victim)
    cloud.assert_nothing_left()
    cloud.assert_conserved()


@pytest.mark.parametrize("seed", SEEDS)
def test_killing_a_shim_is_a_node_failure_without_an_exit_code(cloud: LivingCloud, seed: int) -> None:
    dice = Random(f"shim {seed}")
    script = WITNESS.replace("SECONDS", "1000").replace("CODE", "0")
    restart = {"on_events": [], "max": 0}
    victim = cloud.submit(name=f"victim-{seed}", resources=SMALL, run=script, restart=restart)
    batch = submit_batch(cloud, dice, seed)
    cloud.wait_for_state(victim, "RUNNING")
    sleep(dice.uniform(0, 1.5))
    os.kill(cloud.shim(victim), signal.SIGKILL)
    [job] = cloud.wait_for_end(victim)
    [attempt] = cloud.attempts(victim)
    assert (job["state"], job["exit_code"], job["signal"]) == ("FAILED", None, None), job
    assert (attempt["outcome"], attempt["exit_code"], attempt["signal"]) == ("NODE_FAILURE", None, None), attempt
    assert attempt["started_us"] <= attempt["ended_us"] <= attempt["released_us"]
    assert_alone(cloud, victim, ["start 1 0"])
    for one in batch:
        assert_ended_as_written(cloud, one)
    cloud.assert_nothing_left()
    cloud.assert_conserved()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_job_whose_shim_was_killed_runs_again_and_ends_well(cloud: LivingCloud, seed: int) -> None:
    dice = Random(f"shim, restarted {seed}")
    job_id = cloud.submit(name=f"again-{seed}", resources=SMALL, run=FOREVER)
    cloud.wait_for_state(job_id, "RUNNING")
    wait_until(lambda: "start 1 0" in cloud.files(job_id).get("story", ""), "its first attempt began")
    sleep(dice.uniform(0, 0.5))
    os.kill(cloud.shim(job_id), signal.SIGKILL)
    [job] = cloud.wait_for_end(job_id)
    first, second = cloud.attempts(job_id)
    assert (job["state"], job["exit_code"], job["restarts"]) == ("SUCCEEDED", 0, {NODE_FAILURE: 1}), job
    assert (first["outcome"], first["exit_code"], first["signal"]) == ("NODE_FAILURE", None, None), first
    assert (second["outcome"], second["exit_code"]) == ("SUCCEEDED", 0), second
    assert second["opened_us"] >= first["released_us"], "it was started again before it was verified empty"
    assert_alone(cloud, job_id, ["start 1 0", "start 2 0", "end 2 0"])
    cloud.assert_nothing_left()
    cloud.assert_conserved()


@pytest.mark.parametrize("seed", SEEDS)
def test_killing_a_rank_ends_its_attempt_with_that_signal(cloud: LivingCloud, seed: int) -> None:
    dice = Random(f"rank {seed}")
    restarted = dice.random() < 0.5
    restart = {"on_events": ["signal"] if restarted else [], "max": 1}
    job_id = cloud.submit(name=f"rank-{seed}", resources=SMALL, run=FOREVER, restart=restart)
    batch = submit_batch(cloud, dice, seed, count=3)
    wait_until(lambda: cloud.own_processes(job_id, "sleep"), "its rank runs")
    sleep(dice.uniform(0, 0.8))
    for _, pid in cloud.own_processes(job_id, "sleep"):
        os.kill(pid, signal.SIGKILL)
    [job] = cloud.wait_for_end(job_id)
    first = cloud.attempts(job_id)[0]
    assert (first["outcome"], first["exit_code"], first["signal"]) == ("FAILED", None, 9), first
    if restarted:
        assert (job["state"], job["exit_code"], job["restarts"]) == ("SUCCEEDED", 0, {"signal": 1}), job
        assert_alone(cloud, job_id, ["start 1 0", "start 2 0", "end 2 0"])
    else:
        assert (job["state"], job["exit_code"], job["signal"]) == ("FAILED", None, 9), job
        assert_alone(cloud, job_id, ["start 1 0"])
    for one in batch:
        assert_ended_as_written(cloud, one)
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def test_killing_the_supervisor_leaves_the_jobs_and_the_next_up_adopts_them(cloud: LivingCloud) -> None:
    dice = Random("supervisor")
    batch = submit_batch(cloud, dice, 0)
    wait_for_running(cloud, [one.job for one in batch])
    child = wait_until(cloud.control_plane, "there is a control plane")
    os.kill(cloud.supervisor(), signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the control plane ends with its supervisor", limit_s=30)
    cloud.up()
    for one in batch:
        assert_ended_as_written(cloud, one)
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def test_jobs_go_on_while_the_cloud_is_down(cloud: LivingCloud) -> None:
    """One ends while nobody looks, one is still running when the cloud is back."""
    short, long = (
        Submitted(cloud.submit(name=name, resources=SMALL, run=WITNESS.replace("SECONDS", s).replace("CODE", "7")), 7)
        for name, s in (("over-meanwhile", "1"), ("runs-on", "8"))
    )
    for one in (short, long):
        cloud.wait_for_state(one.job, "RUNNING")
    folder = cloud.home / "jobs" / short.job / "files"
    cloud.xl("down")
    assert cloud.xl("ps", ok=False).returncode == 1
    wait_until(lambda: "end 1 0" in (folder / "story").read_text(), "the short one ends by itself")
    cloud.up()
    assert_ended_as_written(cloud, short)
    assert_ended_as_written(cloud, long)
    [attempt] = cloud.attempts(short.job)
    assert attempt["ended_us"] - attempt["started_us"] < 8_000_000, "its end is its own, not when the cloud came back"
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def test_a_restored_cloud_tells_the_same_stories(tmp_path: Path) -> None:
    file = tmp_path / "cloud.tar.gz"
    with living_cloud(tmp_path / "home") as cloud:
        jobs = [cloud.submit(name=f"kept-{code}", resources=SMALL, run=f"exit {code}") for code in (0, 5)]
        before = cloud.wait_for_end(*jobs)
        cloud.xl("backup", str(file))
        usage = cloud.client.get("/v1/usage", by="job", until_us=max(job["finished_us"] for job in before))
        cloud.xl("down")
    other = LivingCloud(tmp_path / "other")
    try:
        other.xl("restore", str(file), "--home", str(other.home))
        other.up()
        after: list[Json] = [other.job(job) for job in jobs]
        assert after == before
        assert other.client.get("/v1/usage", by="job", until_us=usage["until_us"])["items"] == usage["items"]
        assert all(job["state"] in FINAL for job in after)
        other.assert_conserved()
    finally:
        other.end()
