"""A job of two roles with real processes: they find each other, one decides the end, and the others are asked to stop."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until

CLOUD = {
    "kind": "cloud",
    "flavors": [{"name": "part", "price": "0.05/core-hour"}],
    "pools": [
        {
            "name": "parts",
            "flavor": "part",
            "nodes": ["p1", "p2", "p3"],
            "share": {"cpu": 1, "memory": "300MB"},
            "overcommit": True,
        }
    ],
    "queues": [{"name": "default"}],
}
TRAINER = """
exec python3 - <<'PY'
import os, socket, sys, time
print("world", os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["XL_ROLE"], os.environ["XL_JOB_NODES"], flush=True)
server = socket.create_server((os.environ["XL_TRAINER_ADDR"], int(os.environ["XL_TRAINER_PORT"])))
for _ in range(2):
    connection, _ = server.accept()
    name = connection.makefile().readline().strip()
    connection.sendall(b"weights 7\\n")
    print("served", name, flush=True)
while not os.path.exists(os.path.join(os.environ["XL_JOB_DIR"], "enough")):
    time.sleep(0.05)
PY
"""
EVALUATOR = """
exec python3 - <<'PY'
import os, signal, socket, sys, time
def asked(*_):
    print("asked to stop", flush=True)
    time.sleep(0.2)
    print("saved", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, asked)
where = os.environ["XL_TRAINER_ADDR"], int(os.environ["XL_TRAINER_PORT"])
while True:
    try:
        trainer = socket.create_connection(where)
        break
    except OSError:
        time.sleep(0.05)
trainer.sendall(f"{os.environ['XL_ROLE']} {os.environ['RANK']} of {os.environ['WORLD_SIZE']}\\n".encode())
print("got", trainer.makefile().readline().strip(), flush=True)
while True:
    time.sleep(60)
PY
"""
SMALL = {"cpu": 0.5, "memory": "100MB"}


def job(name: str) -> dict[str, object]:
    roles = {
        "evaluator": {"nodes": 2, "resources": SMALL, "run": EVALUATOR},
        "trainer": {"resources": SMALL, "run": TRAINER},
    }
    return {"kind": "job", "name": name, "roles": roles, "stop_when": "trainer", "checkpoint": {"grace": "30s"}}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    folder = tmp_path_factory.mktemp("roles")
    file = folder / "cloud.yaml"
    file.write_text(json.dumps(CLOUD))
    with living_cloud(folder / "home") as cloud:
        cloud.xl("apply", "-y", str(file))
        yield cloud


def submit(cloud: LivingCloud, folder: Path, name: str) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(job(name)))
    return str(json.loads(cloud.xl("run", "-y", "--json", str(file)).stdout)["id"])


def until_served(cloud: LivingCloud, name: str) -> None:
    wait_until(lambda: cloud.xl("logs", "--role", "trainer", name).stdout.count("served") == 2, "both evaluators were served")


def enough(cloud: LivingCloud, name: str) -> None:
    """Let the trainer end."""
    cloud.xl("attach", name, "--role", "trainer", "--", "sh", "-c", 'touch "$XL_JOB_DIR/enough"')


def test_roles_meet_at_their_addresses_and_the_deciding_one_ends_the_job(cloud: LivingCloud, tmp_path: Path) -> None:
    planned = cloud.xl("plan", str(_file(tmp_path)))
    assert "rl: 3 nodes for evaluator and trainer, on " in planned.stdout
    job_id = submit(cloud, tmp_path, "rl")
    until_served(cloud, "rl")
    assert "2 evaluator, 1 trainer" in cloud.xl("ps").stdout
    told = cloud.xl("why", "rl").stdout
    assert "evaluator 0 on " in told and "evaluator 1 on " in told and "trainer 0 on " in told
    enough(cloud, "rl")
    [ended] = cloud.wait_for_end(job_id)
    assert (ended["state"], ended["exit_code"], ended["nodes"], ended["resources"]) == ("SUCCEEDED", 0, 3, None)
    assert [(role["name"], role["nodes"]) for role in ended["roles"]] == [("evaluator", 2), ("trainer", 1)]
    outcomes = [(one["rank"], one["role"], one["role_rank"], one["outcome"]) for one in cloud.attempts(job_id)]
    assert outcomes == [
        (0, "evaluator", 0, "CANCELLED"),
        (1, "evaluator", 1, "CANCELLED"),
        (2, "trainer", 0, "SUCCEEDED"),
    ]
    log = cloud.xl("logs", "rl").stdout
    assert {"[evaluator 0] got weights 7", "[evaluator 1] saved", "[trainer 0] world 0 1 trainer 3"} <= set(log.splitlines())
    assert cloud.xl("logs", "--role", "evaluator", "--rank", "1", "rl").stdout == "got weights 7\nasked to stop\nsaved\n"
    assert "trainer ended, so the job ends" in cloud.xl("events", "rl").stdout
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def test_the_control_plane_is_killed_while_the_others_are_asked_to_stop(cloud: LivingCloud, tmp_path: Path) -> None:
    job_id = submit(cloud, tmp_path, "killed")
    until_served(cloud, "killed")
    enough(cloud, "killed")
    for _ in range(3):
        pid = wait_until(cloud.control_plane, "the control plane lives")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda gone=pid: cloud.control_plane() not in (None, gone), "the next one lives")  # type: ignore[misc]
    [ended] = cloud.wait_for_end(job_id)
    assert (ended["state"], ended["attempt"]) == ("SUCCEEDED", 1), ended
    for rank in ("0", "1"):
        assert cloud.xl("logs", "--role", "evaluator", "--rank", rank, "killed").stdout.endswith("asked to stop\nsaved\n")
    cloud.assert_nothing_left()
    cloud.assert_conserved()


def test_a_role_or_rank_that_is_not_there_is_named(cloud: LivingCloud) -> None:
    unknown = cloud.xl("logs", "--role", "server", "rl", ok=False)
    assert unknown.returncode == 1 and "'server' is not a role of job rl" in unknown.stderr
    assert "Its roles are evaluator, trainer." in unknown.stderr
    beyond = cloud.xl("attach", "rl", "--role", "evaluator", "--rank", "2", ok=False)
    assert beyond.returncode == 1 and "They go from 0 to 1." in beyond.stderr


def _file(folder: Path) -> Path:
    file = folder / "plan.yaml"
    file.write_text(json.dumps(job("rl")))
    return file
