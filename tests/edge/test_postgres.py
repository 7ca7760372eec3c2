"""The whole cloud on PostgreSQL: what SQLite carries by default, a server carries as well."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, wait_until
from tests.postgres import fresh_database

pytestmark = pytest.mark.engine
SMALL = {"cpu": 0.2, "memory": "64MB"}


@pytest.fixture
def store(postgres_url: str) -> str:
    return fresh_database(postgres_url)


@pytest.fixture
def cloud(tmp_path: Path, store: str) -> Iterator[LivingCloud]:
    cloud = LivingCloud(tmp_path / "home")
    try:
        cloud.xl("up", "--detach", "--port", "0", "--store", store)
        yield cloud
    finally:
        cloud.end()


def test_jobs_run_and_survive_a_killed_control_plane(cloud: LivingCloud) -> None:
    job = cloud.submit(name="on-postgres", resources=SMALL, run="sleep 3; exit 6")
    cloud.wait_for_state(job, "RUNNING")
    os.kill(wait_until(cloud.control_plane, "there is a control plane"), signal.SIGKILL)
    assert cloud.wait_for_end(job)[0]["exit_code"] == 6
    assert [attempt["exit_code"] for attempt in cloud.attempts(job)] == [6]
    assert not (cloud.home / "store.db").exists()
    cloud.assert_conserved()


def test_a_second_cloud_on_the_same_database_is_refused_and_the_first_goes_on(
    cloud: LivingCloud, store: str, tmp_path: Path
) -> None:
    other = LivingCloud(tmp_path / "other")
    refused = other.xl("up", "--detach", "--port", "0", "--store", store, ok=False)
    assert refused.returncode == 1
    assert "Another control plane works on this store." in refused.stderr
    job = cloud.submit(name="still-here", resources=SMALL, run="true")
    assert cloud.wait_for_end(job)[0]["state"] == "SUCCEEDED"
