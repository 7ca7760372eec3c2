"""How one machine becomes the nodes of an operator file, and what applying the file would change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.fleet.changes import Change, Fleet, compare, settings_after
from xingliu.fleet.cloudfile import cloud_document, read_cloud
from xingliu.fleet.declared import CloudFile
from xingliu.fleet.errors import MachineTooSmall, OneWholeMachine, TooFewGpus
from xingliu.fleet.layout import lay_out, lay_out_whole, model_of, same_model
from xingliu.fleet.model import CloudSettings, Device, Node, NodeState
from xingliu.kernel.documents import Document
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import FlavorName, NodeName, PoolName
from xingliu.kernel.resources import CPU, MEMORY, Resources

GB = 10**9


def machine(cores: int = 4, gb: int = 16, *models: str) -> Node:
    devices = tuple(Device(index, model, f"GPU-{index}", 80 * GB) for index, model in enumerate(models))
    capacity = Resources({CPU: cores * 1000, MEMORY: gb * GB})
    return Node(
        NodeName("box"), PoolName("?"), FlavorName("?"), capacity, NodeState.JOINING, 7, devices, facts={"system": "here"}
    )


def file(**parts: object) -> CloudFile:
    return read_cloud(Document.of({"kind": "cloud", **parts}))


CORES = [{"name": "small", "price": "0.04/core-hour"}]
H100 = [{"name": "h100", "gpu": "H100", "gpus_per_node": 2, "price": "2.40/gpu-hour"}]
EMULATED = [{"name": "fake", "gpu": "B300", "gpus_per_node": 8, "gpu_memory": "80GB", "emulated": True, "price": "1/gpu-hour"}]


def pool(
    nodes: object, share: tuple[float, str] | None = (1, "2GB"), *, flavor: str = "small", name: str = "lab", **more: object
) -> object:
    given_share = {"share": {"cpu": share[0], "memory": share[1]}} if share else {}
    return {"name": name, "flavor": flavor, "nodes": nodes, **given_share, **more}


# Layout ------------------------------------------------------------------------------------------------------------------


def test_shares_become_emulated_nodes_of_the_machine() -> None:
    nodes = lay_out(file(flavors=CORES, pools=[pool("n[1-2]", topology={"rack": "r1"})]), machine())
    assert [(node.name, node.capacity[CPU], node.capacity[MEMORY], node.emulated) for node in nodes] == [
        ("n1", 1000, 2 * GB, True),
        ("n2", 1000, 2 * GB, True),
    ]
    assert all(node.topology == {"rack": "r1"} and node.facts == {"system": "here"} and node.devices == () for node in nodes)
    assert all(node.state is NodeState.JOINING for node in nodes)


def test_a_pool_without_a_share_is_the_whole_machine() -> None:
    (node,) = lay_out(file(flavors=CORES, pools=[pool("all", None)]), machine())
    assert (node.capacity[CPU], node.capacity[MEMORY], node.emulated) == (4000, 16 * GB, False)


def test_real_gpus_are_dealt_out_once_each() -> None:
    nodes = lay_out(file(flavors=H100, pools=[pool("n[1-2]", flavor="h100")]), machine(4, 16, *["NVIDIA H100 80GB HBM3"] * 4))
    assert [[device.index for device in node.devices] for node in nodes] == [[0, 1], [2, 3]]
    assert all(node.capacity["gpu.h100"] == 2000 for node in nodes)


def test_emulated_gpus_say_so_and_have_names_of_their_own() -> None:
    nodes = lay_out(file(flavors=EMULATED, pools=[pool("n[1-2]", flavor="fake")]), machine())
    devices = [device for node in nodes for device in node.devices]
    assert len({device.uuid for device in devices}) == len(devices) == 16
    assert all(device.emulated and device.model == "B300" and device.memory_bytes == 80 * GB for device in devices)
    assert all(node.capacity["gpu.fake"] == 8000 for node in nodes)


@pytest.mark.parametrize(
    ("cloud", "refusal"),
    [
        (file(flavors=CORES, pools=[pool("n[1-5]")]), MachineTooSmall),
        (file(flavors=CORES, pools=[pool("n[1-2]", (1, "9GB"))]), MachineTooSmall),
        (file(flavors=CORES, pools=[pool("n1", (0.5, "1GB")), pool("all", None, name="whole")]), MachineTooSmall),
        (file(flavors=CORES, pools=[pool("n[1-5]", overcommit=True)]), None),
        (file(flavors=CORES, pools=[pool("n[1-9]", overcommit=True), pool("m[1-5]", name="strict")]), MachineTooSmall),
        (file(flavors=CORES, pools=[pool("n[1-2]", None)]), OneWholeMachine),
        (file(flavors=H100, pools=[pool("n1", flavor="h100")]), TooFewGpus),
    ],
)
def test_a_file_that_asks_for_more_than_the_machine_is_refused(cloud: CloudFile, refusal: type[XingliuError] | None) -> None:
    found = None
    try:
        lay_out(cloud, machine(4, 16))
    except XingliuError as error:
        found = type(error)
        assert str(error) and error.advice()
    assert found is refusal


def test_gpus_of_another_model_do_not_count() -> None:
    with pytest.raises(TooFewGpus, match="2 H100; this machine has 1"):
        lay_out(file(flavors=H100, pools=[pool("n1", flavor="h100")]), machine(4, 16, "NVIDIA H100 80GB HBM3", "NVIDIA L40S"))


@pytest.mark.parametrize(
    ("found", "model", "asked"),
    [
        ("NVIDIA H100 80GB HBM3", "H100", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100", "A100-80GB"),
        ("NVIDIA H200", "H200", "h200"),
        ("Tesla T4", "T4", "T4"),
        ("NVIDIA L40S", "L40S", "L40S"),
        ("NVIDIA RTX A6000", "A6000", "RTX-A6000"),
        ("NVIDIA GeForce RTX 4090", "4090", "RTX-4090"),
        ("Something Else", "SOMETHING", "Else"),
    ],
)
def test_a_drivers_name_for_a_model_is_what_people_call_it(found: str, model: str, asked: str) -> None:
    assert model_of(found) == model
    assert same_model(asked, found) and same_model(model, found)
    assert not same_model("L4", found) and not same_model("H100-96GB", found)


def test_without_a_file_the_machine_is_one_node_at_a_price_above_zero() -> None:
    flavor, first_pool, node = lay_out_whole(machine())
    assert (flavor.name, flavor.gpu, first_pool.flavor, node.pool, node.emulated) == ("cpu", None, "cpu", "default", False)
    assert flavor.core_price.nano_per_hour > 0
    flavor, _, node = lay_out_whole(machine(4, 16, *["NVIDIA H100 80GB HBM3"] * 8))
    assert (flavor.name, flavor.gpu, node.capacity["gpu.h100"]) == ("h100", "H100", 8000)
    assert flavor.gpu_price.nano_per_hour > 0


# Changes -----------------------------------------------------------------------------------------------------------------


def empty() -> Fleet:
    return Fleet(CloudSettings(), {}, {}, {}, {}, {})


def applied(now: Fleet, cloud: CloudFile, of: Node) -> Fleet:
    """What is there afterwards, as `control.cloud` does it."""
    nodes = {node.name: node for node in lay_out(cloud, of)}
    changes = compare(now, cloud, nodes.values())
    flavors = {**now.flavors, **{spec.name: spec.flavor for spec in cloud.flavors}}
    pools = {**now.pools, **{spec.name: spec.pool for spec in cloud.pools}}
    queues = {**now.queues, **{queue.name: queue for queue in cloud.queues}}
    kept = {**now.nodes, **nodes}
    for change in changes:
        if change.change == "retire":
            kept[NodeName(change.name)] = replace(kept[NodeName(change.name)], state=NodeState.RETIRED)
        elif change.change == "delete":
            {"flavor": flavors, "pool": pools, "queue": queues}[change.noun].pop(change.name)  # type: ignore[attr-defined]
    return Fleet(settings_after(now, cloud, {}), flavors, pools, queues, kept, cloud.interpreters)


def told(now: Fleet, cloud: CloudFile, of: Node) -> list[tuple[str, str, str]]:
    return [(change.noun, change.name, change.change) for change in compare(now, cloud, lay_out(cloud, of))]


FIRST = file(flavors=CORES, pools=[pool("n[1-2]")], queues=[{"name": "default"}, {"name": "research", "quota": {"small": 1}}])


def test_a_first_file_creates_what_it_names_and_a_second_time_nothing() -> None:
    assert told(empty(), FIRST, machine()) == [
        ("flavor", "small", "create"),
        ("queue", "default", "create"),
        ("queue", "research", "create"),
        ("pool", "lab", "create"),
        ("node", "n1", "create"),
        ("node", "n2", "create"),
    ]
    assert told(applied(empty(), FIRST, machine()), FIRST, machine()) == []


def test_a_change_is_told_by_what_differs() -> None:
    now = applied(empty(), FIRST, machine())
    dearer = file(
        currency="EUR",
        flavors=[{"name": "small", "price": "0.05/core-hour"}],
        pools=[pool("n[1-2]", (2, "2GB"))],
        queues=[{"name": "default"}, {"name": "research", "quota": {"small": 3}}],
    )
    changes = compare(now, dearer, lay_out(dearer, machine()))
    assert [change.sentence for change in changes] == [
        "cloud settings changes: currency USD becomes EUR",
        "flavor small changes: core_price 0.04 becomes 0.05",
        "queue research changes: quota {cpu.small: 1000} becomes {cpu.small: 3000}",
        "node n1 changes: capacity {cpu: 1000, memory: 2000000000} becomes {cpu: 2000, memory: 2000000000}",
        "node n2 changes: capacity {cpu: 1000, memory: 2000000000} becomes {cpu: 2000, memory: 2000000000}",
    ]


def test_nodes_that_vanish_are_retired_and_their_pool_and_flavor_stay_with_them() -> None:
    now = applied(empty(), FIRST, machine())
    other = file(flavors=[{"name": "big", "price": "1/core-hour"}], pools=[pool("m1", flavor="big", name="other")])
    assert told(now, other, machine()) == [
        ("flavor", "big", "create"),
        ("pool", "other", "create"),
        ("node", "m1", "create"),
        ("node", "n1", "retire"),
        ("node", "n2", "retire"),
    ]
    after = applied(now, other, machine())
    assert "lab" in after.pools and "small" in after.flavors
    assert told(after, FIRST, machine())[:2] == [("node", "n1", "create"), ("node", "n2", "create")]


def test_a_node_that_moves_leaves_a_pool_that_goes() -> None:
    now = applied(empty(), FIRST, machine())
    moved = file(flavors=[{"name": "big", "price": "1/core-hour"}], pools=[pool("n[1-2]", flavor="big", name="other")])
    assert told(now, moved, machine())[-2:] == [("pool", "lab", "delete"), ("flavor", "small", "delete")]


def test_a_section_that_is_left_out_stays_as_it_is() -> None:
    now = applied(empty(), FIRST, machine())
    assert told(now, file(), machine()) == []
    assert told(now, file(queues=[{"name": "default"}]), machine()) == [("queue", "research", "delete")]
    only = file(queues=[{"name": "only"}])
    after = applied(now, only, machine())
    assert after.settings.default_queue == "only"
    assert settings_after(after, file(), {}).default_queue == "only"


def test_interpreters_and_settings_are_changes_too() -> None:
    changes = compare(empty(), file(interpreters={"torch": "/opt/torch/bin/python"}), ())
    assert [change.sentence for change in changes] == [
        "cloud settings changes: interpreters {} becomes {torch: /opt/torch/bin/python}"
    ]


def test_how_turns_are_shared_is_told_whole() -> None:
    (change,) = compare(empty(), file(fair_share={"half_life": "1d"}), ())
    assert change.sentence == (
        "cloud settings changes: fair_share {half_life: 7d, entry: 10m, reserve_after: 30m} "
        "becomes {half_life: 1d, entry: 10m, reserve_after: 30m}"
    )


def test_what_is_there_can_be_written_as_a_file_that_changes_nothing() -> None:
    now = applied(empty(), FIRST, machine())
    again = read_cloud(Document.of(cloud_document(FIRST)))
    assert told(now, again, machine()) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from([0.25, 0.5])), unique_by=lambda one: one[0], max_size=4
    ),
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from([0.25, 0.5])), unique_by=lambda one: one[0], max_size=4
    ),
)
def test_applying_a_file_twice_is_applying_it_once(first: list[tuple[str, float]], second: list[tuple[str, float]]) -> None:
    now = empty()
    for nodes in (first, second):
        cloud = file(flavors=CORES, pools=[pool(name, (cores, "1GB"), name=f"of-{name}") for name, cores in nodes])
        now = applied(now, cloud, machine())
        assert told(now, cloud, machine()) == []
        alive = {node.name for node in now.nodes.values() if node.state is not NodeState.RETIRED}
        assert alive == {name for name, _ in nodes} or not nodes


def test_a_sentence_of_a_removal_names_what_goes() -> None:
    assert Change("queue", "old", "delete", {"quota": None}, None).sentence == "queue old is deleted"
    assert Change("node", "n1", "retire", {}, None).sentence == "node n1 is retired"
