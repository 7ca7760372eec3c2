"""Deadlines from the outside: asked for, refused, and told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.edge.served import Served, hello, served


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def hours(count: float) -> str:
    """An instant so long from now."""
    return (datetime.now(UTC) + timedelta(hours=count)).isoformat()


def test_a_deadline_that_is_past_is_refused_and_nothing_is_made(cloud: Served) -> None:
    before = cloud.version
    for path in ("/v1/jobs", "/v1/jobs:plan"):
        refused = cloud.admin.post(path, {"document": hello(deadline=hours(-2))}).json()
        (problem,) = refused["problems"]
        assert (refused["status"], problem["key"], problem["message"]) == (422, "deadline", "deadline: it passed 2h ago")
    assert cloud.version == before


def test_a_deadline_is_shown_with_the_job_and_with_why_it_waits(cloud: Served) -> None:
    document = hello(deadline=hours(1.5), time_limit="2h", resources={"cpu": 4000})
    plan = cloud.admin.made("/v1/jobs:plan", {"document": document})
    assert (plan["verdict"], plan["due"]["missed"]) == ("never", True)
    job = cloud.admin.made("/v1/jobs", {"document": document})
    why = cloud.admin.get(f"/v1/jobs/{job['id']}/why").json()
    assert why["due"]["at_us"] == job["deadline_us"] == why["due"]["start_by_us"] + 2 * 3600 * 10**6
    assert why["due"]["sentence"].endswith("it can no longer be met if it runs for all of the 2h that its time limit leaves it.")
    other = cloud.admin.made("/v1/jobs", {"document": hello()})
    assert (other["deadline_us"], cloud.admin.get(f"/v1/jobs/{other['id']}/why").json()["due"]) == (None, None)
