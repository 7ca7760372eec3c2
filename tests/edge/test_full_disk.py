"""A disk that fills up: what ran ends with a clear end, what comes next waits or runs."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local import Clock, LocalCloud, launch, local_cloud, until

from xingliu.fleet.model import Node
from xingliu.workloads.records import Phase

LEASE = "j1.main.0.1"
DISK_BYTES = 40 * 2**20


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cloud on a small disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "small", disk], check=True)
    try:
        with local_cloud(disk / "home") as cloud:
            yield cloud
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def node(cloud: LocalCloud) -> Node:
    return cloud.parts.machine.discover(Clock().now_us())


def test_a_job_that_fills_it_ends_exactly_and_the_next_one_runs(cloud: LocalCloud) -> None:
    record = cloud.run("echo before; head -c 1G /dev/zero > filler; echo after; exit 3")
    assert (record.phase, record.exit_code) == (Phase.ENDED, 3)
    assert "No space left on device" in cloud.log() or "bytes of output are missing" in cloud.log() or cloud.log() == "before\n"
    until(lambda: not (cloud.home / "replicas" / LEASE / "scratch").exists(), "its scratch being deleted")
    assert cloud.run("exit 4", lease="j2.main.0.1").exit_code == 4


def test_what_could_not_be_kept_of_a_log_is_said_once_there_is_room(cloud: LocalCloud) -> None:
    script = (
        "echo first; head -c 1G /dev/zero > filler; for i in $(seq 20000); do echo lost $i; done; rm filler; sleep 0.2; echo last"
    )
    record = cloud.run(script)
    assert record.exit_code == 0
    assert cloud.log().startswith("first\n")
    assert cloud.log().endswith("last\n")
    assert "bytes of output are missing here: the disk was full" in cloud.log()


def test_a_full_disk_refuses_new_replicas_with_a_reason_and_makes_the_node_unfit(cloud: LocalCloud) -> None:
    assert cloud.parts.launcher.health([node(cloud)])[0].reason == ""
    filler = cloud.home / "filler"
    free = os.statvfs(cloud.home)
    filler.write_bytes(b"x" * (free.f_bavail * free.f_frsize - 200_000))
    cloud.start(launch(LEASE, "true"))
    record = cloud.until_over(LEASE)
    assert record.phase is Phase.LAUNCH_FAILED
    assert "disk is full" in record.message
    assert "disk is full" in cloud.parts.launcher.health([node(cloud)])[0].reason
    filler.unlink()
    assert cloud.run("exit 5", lease="j2.main.0.1").exit_code == 5
