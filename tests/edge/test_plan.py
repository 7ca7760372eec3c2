"""What-ifs from the outside: asked for beside the job, answered beside it, refused whole."""

from collections.abc import Iterator

import pytest
from tests.edge.served import Served, hello, served


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def test_each_change_is_answered_beside_the_job_and_nothing_is_recorded(cloud: Served) -> None:
    before, changes = cloud.version, [{"nodes": 1000}, {"cpu": 4000, "time_limit": "1h"}]
    plan = cloud.admin.made("/v1/jobs:plan", {"document": hello(), "changes": changes})
    assert plan["change"] == {} and [each["change"] for each in plan["what_ifs"]] == changes
    assert [each["verdict"] for each in plan["what_ifs"]] == ["never", "never"]
    assert [each["spec"].get("nodes", 1) for each in (plan, *plan["what_ifs"])] == [1, 1000, 1]
    assert cloud.version == before


@pytest.mark.parametrize("changes", [[{"nodes": 0}], [{"nodez": 1}], [{"nodes": 2}] * 13])
def test_a_change_that_cannot_be_is_refused_whole(cloud: Served, changes: list[dict[str, object]]) -> None:
    assert cloud.admin.post("/v1/jobs:plan", {"document": hello(), "changes": changes}).status_code == 422
