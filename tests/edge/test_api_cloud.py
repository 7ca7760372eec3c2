"""The operator file over the API: shown first, applied whole or not at all, and every node's time still adds up."""

from collections.abc import Iterator

import pytest
from tests.edge.served import Json, Served, hello, served

FIRST: Json = {
    "kind": "cloud",
    "currency": "EUR",
    "flavors": [{"name": "small", "price": "0.04/core-hour"}],
    "pools": [{"name": "lab", "flavor": "small", "nodes": "n[1-2]", "share": {"cpu": 0.5, "memory": "100MB"}}],
    "queues": [{"name": "default"}, {"name": "research", "quota": {"small": 1}}],
}


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def apply(cloud: Served, document: Json, *, preview: bool = False) -> Json:
    return cloud.admin.made("/v1/cloud:apply", {"document": document, "preview": preview})


def states(cloud: Served) -> dict[str, str]:
    return {node["name"]: node["state"] for node in cloud.admin.items("/v1/nodes")}


def test_a_preview_tells_what_an_application_then_does(cloud: Served) -> None:
    (box,) = states(cloud)
    before = cloud.version
    preview = apply(cloud, FIRST, preview=True)
    assert (preview["applied"], cloud.version) == (False, before)
    done = apply(cloud, FIRST)
    assert (done["applied"], cloud.version, done["changes"]) == (True, before + 1, preview["changes"])
    assert states(cloud) == {box: "retired", "n1": "joining", "n2": "joining"}
    assert {queue["name"]: queue["quota"] for queue in cloud.admin.items("/v1/queues")} == {
        "default": None,
        "research": {"cpu.small": 1000},
    }
    assert cloud.admin.get("/v1/cloud").json() == FIRST
    assert cloud.admin.get("/v1/whoami").json()["cloud"]["currency"] == "EUR"
    story = cloud.admin.items("/v1/events", type="cloud.applied")
    assert [event["facts"]["changes"] for event in story] == [[change["sentence"] for change in done["changes"]]]
    assert cloud.admin.get("/v1/usage/conservation").json()["holds"] is True


def test_applying_the_same_file_again_changes_nothing(cloud: Served) -> None:
    apply(cloud, FIRST)
    before = cloud.version
    assert apply(cloud, FIRST)["changes"] == []
    assert cloud.version == before


def test_before_a_file_was_applied_the_cloud_says_what_would_make_it(cloud: Served) -> None:
    document = cloud.admin.get("/v1/cloud").json()
    assert document["pools"][0]["nodes"] == next(iter(states(cloud)))
    assert apply(cloud, document)["changes"] == []


def test_a_node_that_was_retired_comes_back(cloud: Served) -> None:
    apply(cloud, FIRST)
    without = {**FIRST, "pools": [{**FIRST["pools"][0], "nodes": "n1"}]}
    apply(cloud, without)
    assert states(cloud)["n2"] == "retired"
    apply(cloud, FIRST)
    assert states(cloud)["n2"] == "joining"
    steps = [(event["facts"]["from"], event["facts"]["to"]) for event in cloud.admin.items("/v1/events", subject="n2")]
    assert steps == [(None, "joining"), ("joining", "retired"), ("retired", "joining")]


def test_a_queue_goes_by_its_order_or_that_of_the_one_above_it(cloud: Served) -> None:
    below = [{"name": "lab"}, {"name": "batch", "order": "shortest-first"}]
    tree = [{"name": "default"}, {"name": "research", "order": "first-come", "children": below}]
    apply(cloud, {**FIRST, "queues": tree})
    orders = {"default": "fair", "research": "first-come", "lab": "first-come", "batch": "shortest-first"}
    assert {queue["name"]: queue["order"] for queue in cloud.admin.items("/v1/queues")} == orders
    assert apply(cloud, cloud.admin.get("/v1/cloud").json())["changes"] == []
    (change,) = apply(cloud, {**FIRST, "queues": [tree[0], {"name": "research", "children": below}]})["changes"]
    assert change["sentence"] == "queue research changes: order first-come becomes none"
    assert cloud.admin.get("/v1/queues/lab").json()["order"] == "fair"


def test_a_queue_in_use_is_not_taken_away_and_nothing_else_is_either(cloud: Served) -> None:
    apply(cloud, FIRST)
    job = cloud.admin.made("/v1/jobs", {"document": hello(queue="research")})["id"]
    without = {**FIRST, "currency": "USD", "queues": [{"name": "default"}]}
    before = cloud.version
    for preview in (True, False):
        refused = cloud.admin.post("/v1/cloud:apply", {"document": without, "preview": preview}).json()
        assert (refused["code"], job in refused["detail"]) == ("queue_in_use", True)
    assert cloud.version == before
    cloud.admin.made(f"/v1/jobs/{job}:stop")
    cloud.admin.made("/v1/projects", {"tenant": "default", "name": "lab", "queue": "research"})
    refused = cloud.admin.post("/v1/cloud:apply", {"document": without}).json()
    assert (refused["code"], "default/lab" in refused["detail"]) == ("queue_in_use", True)


def test_more_than_the_machine_has_is_refused_unless_overcommitted(cloud: Served) -> None:
    pool = {**FIRST["pools"][0], "share": {"cpu": 4000, "memory": "100MB"}}
    before = cloud.version
    assert cloud.admin.post("/v1/cloud:apply", {"document": {**FIRST, "pools": [pool]}}).json()["code"] == "machine_too_small"
    assert cloud.version == before
    assert apply(cloud, {**FIRST, "pools": [{**pool, "overcommit": True}]})["applied"] is True


def test_emulated_gpus_are_shown_as_emulated(cloud: Served) -> None:
    flavor = {"name": "fake", "gpu": "H100", "gpus_per_node": 4, "emulated": True, "price": "2.40/gpu-hour"}
    pool = {"name": "lab", "flavor": "fake", "nodes": "n1", "share": {"cpu": 1, "memory": "100MB"}}
    apply(cloud, {"kind": "cloud", "flavors": [flavor], "pools": [pool]})
    node = cloud.admin.get("/v1/nodes/n1").json()
    assert (node["emulated"], node["capacity"]["gpu.fake"]) == (True, 4000)
    assert [device["emulated"] for device in node["devices"]] == [True] * 4
    (kind,) = (one for one in cloud.admin.items("/v1/flavors") if one["name"] == "fake")
    assert (kind["emulated"], kind["gpu_price"]) == (True, "2.40")


def test_a_wrong_file_tells_every_problem(cloud: Served) -> None:
    wrong = {"kind": "cloud", "flavors": [{"name": "x"}], "pools": [{"name": "p", "flavor": "y", "nodes": []}], "budgets": []}
    refused = cloud.admin.post("/v1/cloud:apply", {"document": wrong}).json()
    assert refused["code"] == "invalid_spec"
    assert len(refused["problems"]) >= 3


def test_a_node_is_drained_with_a_reason_and_only_where_it_can_be(cloud: Served) -> None:
    (box,) = states(cloud)
    assert cloud.admin.post(f"/v1/nodes/{box}:drain", {"reason": " "}).json()["code"] == "no_reason"
    refused = cloud.admin.post(f"/v1/nodes/{box}:drain", {"reason": "new fan"}).json()
    assert (refused["code"], "joining" in refused["detail"]) == ("node_cannot_step", True)
    assert cloud.admin.post(f"/v1/nodes/{box}:resume", {"reason": "done"}).json()["code"] == "node_cannot_step"
