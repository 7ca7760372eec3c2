"""Jobs that misbehave on a real cloud: each has a clear end and a clear message, and the next job runs.

XL_FLOOD_MB=1000 makes the flood of output that large.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until

FLOOD_BYTES = int(os.environ.get("XL_FLOOD_MB", "200")) * 10**6
NO_RESTART = {"on_events": [], "max": 0}
EATS = "exec python3 -c 'held = bytearray(200_000_000); print(len(held))'"
DAEMON = "setsid sh -c 'trap \"\" TERM HUP; while true; do sleep 0.1; done' >/dev/null 2>&1 & sleep 0.3; echo left"
BOMB = "bomb() { bomb | bomb & }; bomb; sleep 30"
DEAF = "trap '' TERM; echo deaf; while true; do sleep 0.1; done"


@dataclass(frozen=True)
class Case:
    """What a job does, and how it is to end; `message` is part of what its owner is told."""

    run: str
    state: str = "FAILED"
    outcome: str = "FAILED"
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    options: Mapping[str, object] = field(default_factory=dict)


CASES = {
    "command-not-found": Case("no-such-program --now", exit_code=127, message="no-such-program"),
    "exits": Case("exit 42", exit_code=42),
    "no-interpreter": Case(
        "python --version", outcome="LAUNCH_FAILED", message="no Python interpreter 2.4", options={"python": "2.4"}
    ),
    "too-much-memory": Case(EATS, signal=9, message="memory limit", options={"resources": {"cpu": 0.5, "memory": "64MB"}}),
    "too-long": Case(
        "exec sleep 1000",
        state="TIMED_OUT",
        outcome="TIMED_OUT",
        signal=15,
        message="time limit",
        options={"time_limit": "1s"},
    ),
    "deaf": Case(
        DEAF,
        state="TIMED_OUT",
        outcome="TIMED_OUT",
        signal=9,
        message="time limit",
        options={"time_limit": "1s", "checkpoint": {"grace": "1s"}},
    ),
    "setup-fails": Case("echo never", exit_code=3, message="setup", options={"setup": "exit 3"}),
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("misbehaviour") / "home") as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def the_next_job_runs(cloud: LivingCloud) -> Iterator[None]:
    """After each of them: nothing is left, every second is accounted for, and another job runs."""
    yield
    job = cloud.submit(name="next", resources={"cpu": 2, "memory": "100MB"}, run="echo fine")
    [ended] = cloud.wait_for_end(job)
    assert ended["state"] == "SUCCEEDED", ended
    cloud.assert_nothing_left()
    cloud.assert_conserved()


@pytest.mark.parametrize("name", CASES)
def test_every_end_is_clear(cloud: LivingCloud, name: str) -> None:
    case = CASES[name]
    resources = {"cpu": 0.5, "memory": "200MB"}
    job_id = cloud.submit(name=name, run=case.run, **{"restart": NO_RESTART, "resources": resources, **case.options})
    [job] = cloud.wait_for_end(job_id)
    [attempt] = cloud.attempts(job_id)
    assert (job["state"], attempt["outcome"]) == (case.state, case.outcome), (job, attempt)
    assert case.message in job["message"], job
    if case.exit_code is not None or case.signal is not None:
        assert (job["exit_code"], job["signal"]) == (case.exit_code, case.signal), job


def test_a_fork_bomb_is_over_at_its_time_limit_at_the_latest(cloud: LivingCloud) -> None:
    """On some machines its processes go over their memory limit first."""
    options = {"time_limit": "2s", "checkpoint": {"grace": "1s"}, "restart": NO_RESTART}
    job_id = cloud.submit(name="bomb", resources={"cpu": 0.5, "memory": "500MB"}, run=BOMB, **options)
    [job] = cloud.wait_for_end(job_id)
    assert job["state"] in ("TIMED_OUT", "FAILED"), job
    assert "time limit" in job["message"] or "memory limit" in job["message"], job


def test_what_a_job_leaves_in_the_background_ends_with_it(cloud: LivingCloud) -> None:
    job_id = cloud.submit(name="daemon", resources={"cpu": 0.5, "memory": "200MB"}, run=DAEMON)
    [job] = cloud.wait_for_end(job_id)
    assert (job["state"], cloud.log(job_id)) == ("SUCCEEDED", "left\n"), job
    assert not cloud.own_processes(job_id, "sleep")


def test_a_flood_of_output_fills_no_disk_and_its_end_is_kept(cloud: LivingCloud) -> None:
    run = f"head -c {FLOOD_BYTES} /dev/zero | tr '\\0' x | fold -w 99; echo; echo the end"
    job_id = cloud.submit(name="flood", resources={"cpu": 1, "memory": "200MB"}, run=run)
    largest = 0

    def over() -> bool:
        nonlocal largest
        largest = max(largest, _log_bytes(cloud))
        return bool(cloud.job(job_id)["state"] == "SUCCEEDED")

    wait_until(over, "the flood is over", limit_s=600)
    assert largest < 50_000_000, f"its log took {largest} bytes"
    assert cloud.xl("logs", "--tail", "1", job_id).stdout == "the end\n"


def _log_bytes(cloud: LivingCloud) -> int:
    total = 0
    for path in cloud.home.glob("*/*/log.*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def test_a_port_that_is_taken_is_said_by_whoever_wanted_it(cloud: LivingCloud, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = f"exec python3 -c 'import socket; socket.create_server((\"127.0.0.1\", {port}))'"
        [job] = cloud.wait_for_end(cloud.submit(name="port", resources={"cpu": 0.5, "memory": "200MB"}, run=run))
        assert (job["state"], job["exit_code"]) == ("FAILED", 1), job
        assert "Address already in use" in cloud.log(job["id"])
        other = LivingCloud(tmp_path / "other")
        refused = other.xl("up", "--detach", "--port", str(port), ok=False)
        assert refused.returncode == 1
        assert f"Port {port} on 127.0.0.1 is taken" in refused.stderr


def node_state(cloud: LivingCloud) -> str:
    [node] = cloud.client.get("/v1/nodes")["items"]
    return str(node["state"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_refused_early_and_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.system(f"mount -t tmpfs -o size=1600m tmpfs {disk}") == 0
    assert mounted, "no small disk could be mounted"
    try:
        with living_cloud(disk / "home") as small:
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - 500_000_000)
            said = small.xl("run", "-y", "--", "true", ok=False)
            assert said.returncode == 1
            assert "disk" in said.stderr.lower(), said.stderr
            ballast.unlink()
            wait_until(lambda: node_state(small) == "ready", "the node is ready again", limit_s=60)
            assert small.xl("run", "-y", "--wait", "--", "echo", "room").returncode == 0
    finally:
        os.system(f"umount {disk}")
