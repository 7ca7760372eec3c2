"""Whatever is killed with SIGKILL while a job makes room for another: no checkpoint, lease or job is lost.

The moments are drawn from seeds, between the signal and the kill; a failure names its seed. XL_KILLS=50 kills so often;
XL_SEED=N begins at another seed.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from time import sleep

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until
from tests.edge.test_kills import SEEDS, SMALL

SAVING_S = 1.0
STEPS = 200

# Two nodes, one queue's own each: what one leaves the other may borrow.
CLOUD = """
kind: cloud
currency: USD
flavors: [{name: small, price: 1/core-hour}]
pools: [{name: pair, flavor: small, nodes: "pair-[1-2]", share: {cpu: "0.2", memory: 500MB}}]
queues:
  - {name: default}
  - name: shared
    children: [{name: red, quota: {small: "0.2"}}, {name: blue, quota: {small: "0.2"}}]
"""

# Rank 0 counts, saves each fourth step and, a second after SIGTERM, its last one. The story tells from where it went on.
SWEEP = f"""
cd "$XL_JOB_DIR"
exec 9>>lock-$RANK
flock -n 9 || {{ echo "attempt $XL_ATTEMPT" >> twice; exit 99; }}
step=$(cat ckpt 2>/dev/null || echo 0)
save() {{ [ "$RANK" != 0 ] || {{ echo $step > ckpt.new; mv ckpt.new ckpt; echo "saved $step" >> story; }}; }}
end() {{ trap '' TERM; sleep {SAVING_S}; save; exit 143; }}
[ "$RANK" != 0 ] || echo "from $step" >> story
trap end TERM
while [ $step -lt {STEPS} ]; do
  [ "$XL_ATTEMPT" != 1 ] || sleep 0.1
  step=$((step + 1))
  [ $((step % 4)) != 0 ] || save
done
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    folder = tmp_path_factory.mktemp("preemption")
    file = folder / "cloud.yaml"
    file.write_text(CLOUD)
    with living_cloud(folder / "home") as cloud:
        cloud.xl("apply", str(file), "-y")
        yield cloud


def kill_control_plane(cloud: LivingCloud, _sweep: str) -> None:
    os.kill(wait_until(cloud.control_plane, "there is a control plane"), signal.SIGKILL)


def kill_shim(cloud: LivingCloud, sweep: str) -> None:
    """Rank 0's, if it has not ended yet; what it started ends with it."""
    with contextlib.suppress(KeyError, ProcessLookupError):
        os.kill(cloud.shim(sweep), signal.SIGKILL)


def kill_rank(cloud: LivingCloud, sweep: str) -> None:
    for pid, environ in cloud.replica_processes().items():
        if environ.get("XL_JOB") == sweep and environ.get("RANK") == "0" and pid not in cloud.shims().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kill_supervisor(cloud: LivingCloud, _sweep: str) -> None:
    child = wait_until(cloud.control_plane, "there is a control plane")
    os.kill(cloud.supervisor(), signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the control plane ends with its supervisor", limit_s=30)
    cloud.up()


KILLERS = (kill_control_plane, kill_shim, kill_rank, kill_supervisor)


@pytest.mark.parametrize("kill", KILLERS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("queue", "priority"), [("blue", "urgent"), ("red", "normal")], ids=["preempt", "reclaim"])
def test_what_is_killed_while_a_job_makes_room_loses_nothing(
    cloud: LivingCloud, queue: str, priority: str, seed: int, kill: Callable[[LivingCloud, str], None]
) -> None:
    dice = Random(f"{queue} {kill.__name__} {seed}")
    sweep = cloud.submit(
        name=f"sweep-{seed}",
        queue="blue",
        nodes=2,
        preemptible=True,
        resources={**SMALL, "cpu": "0.2"},
        checkpoint={"path": "ckpt", "every": "1s", "grace": "5s"},
        run=SWEEP,
    )
    wait_until(lambda: any(one["saved"] for one in cloud.attempts(sweep)), "a checkpoint of it was seen")
    other = cloud.submit(name=f"other-{seed}", queue=queue, priority=priority, resources={**SMALL, "cpu": "0.2"}, run="sleep 0.5")
    cloud.wait_for_state(sweep, "STOPPING")
    sleep(dice.uniform(0, SAVING_S * 1.2))
    kill(cloud, sweep)
    for job in cloud.wait_for_end(other, sweep):
        assert (job["state"], job["exit_code"]) == ("SUCCEEDED", 0), job
        assert job["restarts"] == {}, f"making room costs no restart: {job}"
    first = [one for one in cloud.attempts(sweep) if one["number"] == 1]
    assert {one["outcome"] for one in first} <= {"PREEMPTED", "NODE_FAILURE"}, first
    assert max(one["opened_us"] for one in cloud.attempts(other)) >= min(one["released_us"] for one in first)
    assert_went_on(cloud.files(sweep))
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def assert_went_on(files: Mapping[str, str]) -> None:
    """Every attempt after the first went on from the last step that was saved before it, and none ran beside another."""
    assert "twice" not in files, f"it ran twice at once: {files}"
    saved, went_on = 0, 0
    for line in files["story"].splitlines():
        word, step = line.split()
        assert int(step) >= saved, f"a checkpoint was lost: {files['story']}"
        saved, went_on = int(step), went_on + (word == "from" and saved > 0)
    assert went_on, f"it went on from a checkpoint: {files['story']}"
    assert saved == STEPS, f"it came to its end: {files['story']}"
