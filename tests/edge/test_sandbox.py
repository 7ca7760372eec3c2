"""What a job of one tenant can reach of everybody else: nothing."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local import ACME_UID, BETA_UID, LocalCloud, is_alive, launch, local_cloud

from xingliu.adapters.local.isolation import Walls
from xingliu.workloads.records import Phase

ACME, BETA = "j1.main.0.1", "j2.main.0.1"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path / "home") as cloud:
        if cloud.parts.isolation.walls is not Walls.UID:
            pytest.skip("only root with bubblewrap keeps tenants apart")
        yield cloud


@pytest.fixture
def acme(cloud: LocalCloud) -> LocalCloud:
    """A running job of acme with a secret in its environment, files in its folders and a line in its log."""
    script = "echo private > /job/file; echo private > file; chmod -R 777 /job /xl/work; echo line; sleep 1000"
    cloud.start(launch(ACME, script, environment={"TOKEN": "hidden"}, secrets=("hidden",), uid=ACME_UID))
    cloud.until_log("line", ACME)
    for name in ("xingliu.db", "secret.key", "client.json"):
        (cloud.home / name).write_text("private")
        (cloud.home / name).chmod(0o644)
    return cloud


def refused(cloud: LocalCloud, script: str, *, uid: int = BETA_UID) -> str:
    """Run a script of beta's that says `reached` if it got at what it must not; what it said."""
    cloud.start(launch(BETA, f"{script}\necho done", uid=uid))
    record = cloud.until_over(BETA)
    said = cloud.log(BETA)
    assert record.phase is Phase.ENDED
    assert "done" in said
    assert "reached" not in said
    assert "private" not in said
    return said


@pytest.mark.parametrize(
    "name", ["xingliu.db", "secret.key", "client.json", "run/spawner.sock", "run/spawner.lock", "jobs/j1/files/file"]
)
def test_the_homes_files_do_not_exist_for_a_job(acme: LocalCloud, name: str) -> None:
    assert (acme.home / name).exists()
    refused(acme, f"cat {acme.home}/{name}; ls -la {acme.home}; [ -e {acme.home} ] && echo reached")


def test_another_jobs_folders_and_log_cannot_be_found(acme: LocalCloud) -> None:
    said = refused(
        acme, f"find / -xdev -name file -newer /etc/hostname 2>/dev/null; ls /job /xl/work; ls {acme.home}/replicas/{ACME}"
    )
    assert "/file" not in said


def test_no_way_leads_out_through_proc(acme: LocalCloud) -> None:
    script = "ls /proc | grep -c '^[0-9]*$'; for p in /proc/[0-9]*; do ls -la $p/root/root/ && echo reached; cat $p/environ; done"
    assert "hidden" not in refused(acme, script + "; ls -la /proc/1/cwd/ /proc/1/fd && echo reached")


def test_another_tenants_processes_are_not_seen_and_cannot_be_signalled(acme: LocalCloud) -> None:
    victim = acme.command(ACME, "sleep 1000")
    refused(acme, f"kill -9 {victim} && echo reached; pgrep -x sleep && echo reached; kill -9 -1; true")
    assert is_alive(victim)
    assert is_alive(acme.shim_pid(ACME))


def test_even_the_same_project_does_not_see_another_jobs_processes(acme: LocalCloud) -> None:
    refused(acme, "pgrep -x sleep && echo reached", uid=ACME_UID)


def test_a_job_has_no_rights_and_cannot_get_any(acme: LocalCloud) -> None:
    said = refused(
        acme,
        "id; grep -E 'Cap|NoNewPrivs' /proc/self/status; su -c id root; mount -t tmpfs x /xl/work && echo reached",
    )
    assert f"uid={BETA_UID}(job) gid={BETA_UID}(job) groups={BETA_UID}(job)" in said
    assert said.count("0000000000000000") == 5
    assert "NoNewPrivs:\t1" in said


def test_the_system_is_read_only_and_its_secrets_unreadable(acme: LocalCloud) -> None:
    refused(
        acme,
        "for f in /etc/shadow /etc/gshadow; do cat $f && echo reached; done;"
        "for d in / /usr /etc /opt /bin /run /var /home /sys /dev; do touch $d/x && echo reached; done;"
        "ls /root/* /sys/fs/cgroup/* && echo reached; true",
    )


def test_memory_shared_between_processes_is_not_shared_between_jobs(acme: LocalCloud) -> None:
    refused(acme, "ls /dev/shm | grep . && echo reached; ipcs -m | grep 0x && echo reached; true")


def test_dev_shm_has_the_size_asked_for(cloud: LocalCloud) -> None:
    cloud.run(
        "df --output=size -B1 /dev/shm | tail -1; head -c 20M /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x", shm_bytes=2**24
    )
    assert cloud.log().split()[0] == str(2**24)
    assert cloud.log().split()[-1] == str(2**24)


def test_a_home_that_lies_in_a_folder_every_job_sees_is_hidden() -> None:
    home = Path(f"/opt/xingliu-test-{os.getpid()}")
    with local_cloud(home) as cloud:
        (home / "secret.key").write_text("private")
        refused(cloud, f"cat {home}/secret.key; ls {home} | grep . && echo reached; ls /opt")
    for path in sorted(home.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    home.rmdir()


def test_an_interpreter_of_the_jobs_choice_shows_no_folder_that_was_hidden(cloud: LocalCloud, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3"):
        (tmp_path / "bin" / name).symlink_to("/usr/bin/python3")
    (cloud.home / "secret.key").write_text("private")
    (tmp_path / "lib" / "python3.11").mkdir(parents=True)
    record = cloud.run("true", python=str(tmp_path / "bin" / "python"))
    assert record.phase is Phase.LAUNCH_FAILED
    assert "no Python interpreter" in record.message
    cloud.start(launch(BETA, f"ls {cloud.home}; which python", python=str(tmp_path / "bin" / "python"), python_declared=True))
    assert cloud.until_over(BETA).exit_code == 0
    assert cloud.log(BETA) == f"{tmp_path}/bin/python\n"


def test_replicas_of_one_job_share_its_folder_and_nothing_else(cloud: LocalCloud) -> None:
    cloud.start(launch("j1.main.0.1", "echo zero > /job/zero; echo zero > zero; echo zero > /tmp/zero"))
    assert cloud.until_over("j1.main.0.1").exit_code == 0
    cloud.run("cat $XL_JOB_DIR/zero; ls /xl/work /tmp", lease="j1.main.1.1")
    assert cloud.log("j1.main.1.1").split() == ["zero", "/tmp:", "/xl/work:"]


def test_jobs_reach_each_other_on_the_machines_address(cloud: LocalCloud) -> None:
    """Ranks need it for their rendezvous; the node's page says that jobs share the network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        record = cloud.run(f"exec 9<>/dev/tcp/127.0.0.1/{port}")
    assert record.exit_code == 0
    assert any("network" in str(line) for line in cloud.parts.isolation.facts()["missing"])  # type: ignore[attr-defined]


def test_emulated_gpus_are_numbers_and_no_devices(cloud: LocalCloud) -> None:
    cloud.run('echo "$XL_EMULATED_GPUS|$CUDA_VISIBLE_DEVICES|$(ls /dev | grep -c nvidia)"', gpus=(1, 3), gpus_emulated=True)
    assert cloud.log().strip() == "1,3||0"


def test_a_gpu_that_is_not_there_fails_the_launch_with_a_reason(cloud: LocalCloud) -> None:
    record = cloud.run("true", gpus=(63,))
    assert record.phase is Phase.LAUNCH_FAILED
    assert "no GPU 63" in record.message
