"""Operator files: what they mean, what is refused with which words, and back again."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.fleet.cloudfile import cloud_document, cloud_keys, read_cloud
from xingliu.fleet.declared import CloudFile, FlavorSpec, NodeShare, PoolSpec
from xingliu.fleet.model import CloudSettings, FairShare, Flavor, MailServer, MailTls, Queue, QueueOrder
from xingliu.fleet.ranges import expand, fold
from xingliu.kernel.documents import Document, parse
from xingliu.kernel.ids import FlavorName, NodeName, PoolName, QueueName
from xingliu.kernel.money import Price
from xingliu.kernel.problems import InvalidDocument
from xingliu.kernel.resources import Resources

CLOUD = """
kind: cloud
currency: EUR
flavors:
  - {name: h100, gpu: H100, gpus_per_node: 8, gpu_memory: 80GB, emulated: true, price: 2.40/gpu-hour}
  - {name: cpu, price: {core-hour: 0.05}}
pools:
  - name: train
    flavor: h100
    nodes: "g[01-02]"
    share: {cpu: 1, memory: 2GB}
    topology: {zone: z1, rack: r1}
    overcommit: true
  - {name: small, flavor: cpu, nodes: [a, "b[9-10]"]}
queues:
  - {name: research, quota: {h100: 12, cpu: 0.5}}
  - {name: open}
default_queue: open
interpreters: {torch: /opt/torch/bin/python}
"""


MAIL = (
    None,
    MailServer("mail.example.org", "cloud@example.org", MailTls.STARTTLS, 587),
    MailServer("::1", "a@b", MailTls.NONE, 25),
    MailServer("m", "a@b", MailTls.TLS, 4650, "u", password_secret="MAIL_PASSWORD", ca_file="/etc/ca.pem"),
)


def said(text: str) -> list[str]:
    """The problems of an operator file, each with its line."""
    with pytest.raises(InvalidDocument) as caught:
        read_cloud(parse(text, "cloud.yaml"))
    return str(caught.value).splitlines()


def test_a_file_means_what_it_says() -> None:
    h100 = Flavor(FlavorName("h100"), Price(0), Price(2_400_000_000), "H100", emulated=True)
    cpu = Flavor(FlavorName("cpu"), Price(50_000_000), Price(0))
    train = PoolSpec(
        PoolName("train"),
        h100.name,
        (NodeName("g01"), NodeName("g02")),
        NodeShare(1000, 2 * 10**9),
        {"zone": "z1", "rack": "r1"},
        overcommit=True,
    )
    assert read_cloud(parse(CLOUD, "cloud.yaml")) == CloudFile(
        CloudSettings("EUR", QueueName("open")),
        (FlavorSpec(h100, 8, 80 * 10**9), FlavorSpec(cpu)),
        (train, PoolSpec(PoolName("small"), cpu.name, (NodeName("a"), NodeName("b9"), NodeName("b10")))),
        (Queue(QueueName("research"), Resources({"gpu.h100": 12_000, "cpu.cpu": 500})), Queue(QueueName("open"))),
        {"torch": "/opt/torch/bin/python"},
    )


def test_one_line_is_a_cloud() -> None:
    assert read_cloud(parse("kind: cloud\n", "cloud.yaml")) == CloudFile()


def test_queues_are_a_tree_and_jobs_go_to_its_leaves() -> None:
    tree = """
flavors: [{name: h100, gpu: H100, price: 2.40/gpu-hour}]
queues:
  - name: nlp
    quota: {h100: 512}
    weight: 2
    order: first-come
    children:
      - {name: research, quota: {h100: 384}, borrow_limit: {h100: 256}, min_runtime: 30m, user_limit: {h100: 64}}
      - {name: serving, quota: {h100: 128}, lend_limit: {h100: 0}, order: fair}
  - {name: spare, quota: {h100: 0}}
default_queue: spare
"""
    file = read_cloud(parse("kind: cloud\n" + tree, "cloud.yaml"))
    nlp, research, serving, spare = file.queues
    assert [queue.parent for queue in file.queues] == [None, "nlp", "nlp", None]
    assert [queue.order for queue in file.queues] == ["first-come", None, "fair", None]
    assert (nlp.weight, research.min_runtime_us) == (2, 30 * 60 * 1_000_000)
    assert research.borrow_limit == Resources({"gpu.h100": 256_000}) and research.user_limit == Resources({"gpu.h100": 64_000})
    assert serving.lend_limit == Resources() and spare.quota == Resources()
    assert read_cloud(Document.of(cloud_document(file))) == file
    with pytest.raises(InvalidDocument, match="no queue 'nlp' in this file that jobs can wait in"):
        read_cloud(parse("kind: cloud\n" + tree.replace("default_queue: spare", "default_queue: nlp"), "cloud.yaml"))


def test_a_quota_that_leaves_a_flavor_out_gives_none_of_it() -> None:
    file = read_cloud(parse(CLOUD.replace("h100: 12, cpu: 0.5", "h100: 12"), "cloud.yaml"))
    assert file.queues[0].quota is not None
    assert not Resources({"cpu.cpu": 1}).within(file.queues[0].quota)
    assert file.queues[1].quota is None


def test_emulated_gpus_are_one_a_node_unless_said() -> None:
    file = read_cloud(parse(CLOUD.replace("gpus_per_node: 8, ", ""), "cloud.yaml"))
    assert [spec.emulated_gpus for spec in file.flavors] == [1, 0]


REFUSED = {
    ("kind: cloud", "kind: job"): "line 2: this describes a job, not a cloud",
    ("currency: EUR", "currency: Euro"): "line 3: currency: 'Euro' is not a currency",
    ("2.40/gpu-hour", "2.40"): "line 5: flavors[0].price: '2.40' is not a price for a stated unit",
    ("2.40/gpu-hour", "x/gpu-hour"): "line 5: flavors[0].price: 'x' is not a price",
    ("2.40/gpu-hour", "-1/gpu-hour"): "line 5: flavors[0].price: '-1' is not a price",
    ("2.40/gpu-hour", "{}"): "line 5: flavors[0].price: it names no price",
    ("2.40/gpu-hour", "{gpu: 1}"): "line 5: there is no key 'gpu' in flavors[0].price; it is 'gpu-hour' here",
    ("2.40/gpu-hour", "2.40/core-hour"): "line 5: flavor h100 has GPUs and no price for them",
    ("price: {core-hour: 0.05}", "price: 1/gpu-hour"): "line 6: flavor cpu has no price for its cores",
    ("core-hour: 0.05", "core-hour: 0.05, gpu-hour: 1"): "line 6: flavor cpu has no GPUs, so its price means nothing",
    (
        "price: {core-hour: 0.05}",
        "emulated: true, price: 1/core-hour",
    ): "line 6: flavor cpu has no GPUs, so its emulated means nothing",
    (", price: {core-hour: 0.05}", ""): "line 6: there is no 'price' in flavors[1]",
    ("name: cpu", "name: h100"): "line 6: there are two flavors named 'h100'",
    ("flavor: cpu", "flavor: cpx"): "line 14: there is no flavor 'cpx' in this file",
    ("g[01-02]", "g[02-01]"): "line 10: pools[0].nodes: 'g[02-01]' names no nodes",
    ("g[01-02]", "g[1-999999999]"): "line 10: pools[0].nodes: 'g[1-999999999]' names no nodes",
    ("g[01-02]", "G[01-02]"): "line 10: pools[0].nodes: 'G[01-02]' names no nodes",
    ('"g[01-02]"', "[]"): "line 10: pools[0].nodes: it names no nodes",
    ('"g[01-02]"', "3"): "line 10: pools[0].nodes: 3 names no nodes",
    ('"g[01-02]"', "[a_b]"): "line 10: pools[0].nodes: 'a_b' is not a name for a node",
    ('"g[01-02]"', "[g, a]"): "line 14: node a is in pool train already",
    ('"g[01-02]"', "[g, g]"): "line 10: pool train names a node twice",
    ("share: {cpu: 1, memory: 2GB}", "share: {cpu: 1}"): "line 11: there is no 'memory' in pools[0].share",
    ("    share: {cpu: 1, memory: 2GB}\n", ""): "line 12: only emulated nodes can be overcommitted",
    ("topology: {zone: z1, rack: r1}", "topology: [pod, rack]"): "line 12: pools[0].topology: a list is not a mapping of keys",
    ("zone: z1", "spine: z1"): "line 12: there is no key 'spine' in pools[0].topology; it is 'pod' here",
    ("h100: 12, cpu: 0.5", "h10: 12"): "line 16: there is no flavor 'h10' in this file",
    ("h100: 12", "h100: 1.5"): "line 16: a quota of 1.5 GPUs is none that can be used up",
    ("h100: 12", "h100: -1"): "line 16: queues[0].quota.h100: -1 is not a number of cores or GPUs from 0 to 1000000000",
    ("name: open}", "name: open, weight: 0}"): "line 17: queues[1].weight: 0 is not a whole number from 1 to 1000000",
    ("name: open}", "name: open, order: fifo}"): (
        "line 17: queues[1].order: 'fifo' is not one of fair, first-come, shortest-first, deadline"
    ),
    (
        "name: open}",
        "name: open, lend_limit: {cpu: 1}}",
    ): "line 17: queue open has no quota, so there is nothing to borrow or lend",
    ("name: open}", "name: open, children: [{name: open}]}"): "line 17: there are two queues named 'open'",
    ("h100: 12", "h100: 12}, children: [{name: a, quota: {h100: 13}}], user_limit: {h100: 12"): (
        "line 16: the queues below research have quotas of 13 h100 together, and it has 12"
    ),
    ("h100: 12", "h100: 12}, borrow_limit: {h100: 1.5"): ("line 16: a borrow limit of 1.5 GPUs is none that can be used up"),
    ("name: open}", "name: research}\n  - {name: open}"): "line 17: there are two queues named 'research'",
    ("default_queue: open", "default_queue: opened"): "line 18: there is no queue 'opened' in this file that jobs can wait in",
    ("default_queue: open", ""): "line 15: none of the queues is the default",
    ("default_queue: open", "default_queue: open\nfair_share: {half_life: 1s}"): (
        "line 19: fair_share.half_life: '1s' is not a duration from 1m to 365d"
    ),
    ("default_queue: open", "default_queue: open\nfair_share: {half_life: 5m}"): (
        "line 19: an entry of 10m is longer than the half_life, 5m"
    ),
    ("default_queue: open", "default_queue: open\nfair_share: {entry_penalty: 5m}"): (
        "line 19: there is no key 'entry_penalty' in fair_share; it is 'entry' here"
    ),
    ("default_queue: open", "default_queue: open\nreservations: []"): "line 19: 'reservations' is not yet available",
    ("default_queue: open", "default_queue: open\nbudgets: []"): "line 19: 'budgets' is not yet available",
    ("default_queue: open", "default_queue: open\nmail: {host: a}"): "line 19: there is no 'from' in mail",
    ("default_queue: open", "default_queue: open\nmail: {host: a, from: x@y, password: z}"): (
        "line 19: there is no key 'password' in mail; it is 'password_file' here"
    ),
    ("default_queue: open", "default_queue: open\nmail: {host: a, from: x@y, user: u}"): (
        "line 19: user and password belong together"
    ),
    ("default_queue: open", "default_queue: open\nmail: {host: a, from: x@y, user: u, password_secret: P, tls: none}"): (
        "line 19: with tls: none the password would travel in clear"
    ),
    ("/opt/torch", "opt/torch"): "line 19: interpreters.torch: 'opt/torch/bin/python' is not a path from the root",
}


@pytest.mark.parametrize(("change", "message"), REFUSED.items(), ids=[new or old for old, new in REFUSED])
def test_what_cannot_be_meant_is_refused_with_its_line(change: tuple[str, str], message: str) -> None:
    assert CLOUD.count(change[0]) >= 1
    assert said(CLOUD.replace(*change, 1)) == [f"cloud.yaml {message}"]


def test_every_problem_comes_at_once() -> None:
    text = CLOUD.replace("flavor: cpu", "flavor: cpx").replace("h100: 12", "h10: 12").replace("queue: open", "queue: x")
    assert [line.split(":")[0] for line in said(text)] == ["cloud.yaml line 14", "cloud.yaml line 16", "cloud.yaml line 18"]


def test_hundreds_of_problems_are_fifty_problems() -> None:
    """However many there are, a part with a problem is never taken for one without."""
    pools = [{"x": 1}, {"name": "a", "flavor": "gone", "nodes": ["a", "a"]}, "text"] * 100
    for parts in (pools, pools[1::3]):
        with pytest.raises(InvalidDocument) as caught:
            read_cloud(Document.of({"kind": "cloud", "pools": parts}))
        assert len(caught.value.problems) == 50


def test_a_pool_with_more_nodes_than_a_cloud_may_have_is_refused() -> None:
    pools = "".join(f"  - {{name: p{number}, flavor: cpu, nodes: 'p{number}n[000000-099999]'}}\n" for number in range(2))
    assert "more than 110000 nodes" in said(f"kind: cloud\nflavors: [{{name: cpu, price: 1/core-hour}}]\npools:\n{pools}")[0]


RANGES = {
    "n[1-3]": ("n1", "n2", "n3"),
    "n[01-02,5]": ("n01", "n02", "n5"),
    "g[0099-0101]": ("g0099", "g0100", "g0101"),
    "r[8-10]-a": ("r8-a", "r9-a", "r10-a"),
    "plain": ("plain",),
    "n[]": None,
    "n[1-": None,
    "n[1-2][3-4]": None,
    "n[2-1]": None,
    "n[1-99999]": None,
}


@pytest.mark.parametrize(("text", "names"), RANGES.items(), ids=RANGES)
def test_a_range_stands_for_its_names(text: str, names: tuple[str, ...] | None) -> None:
    assert expand(text, most=1000) == names


numbered = st.tuples(st.sampled_from(["n", "g0", "a-9", "x"]), st.integers(0, 10**10), st.integers(1, 11)).map(
    lambda made: f"{made[0]}{made[1]:0{made[2]}d}"
)
near = st.tuples(st.sampled_from([0, 5, 95, 99_999_998, 999_999_995]), st.integers(1, 12)).map(
    lambda made: [f"n{number}" for number in range(made[0], made[0] + made[1])]
)


@given(st.one_of(st.lists(numbered, max_size=8), near))
def test_folded_names_unfold_to_the_same_in_the_same_order(names: list[str]) -> None:
    unfolded = [name for text in fold(names) for name in expand(text, most=1000) or ()]
    assert unfolded == names


def test_ten_thousand_names_fold_into_one_range() -> None:
    assert fold([f"g{number:05d}" for number in range(10_000)]) == ["g[00000-09999]"]


# there and back --------------------------------------------------------------------------------------------------------

prices = st.integers(0, 10**18 - 1).map(Price)
labels = st.dictionaries(st.sampled_from(["region", "zone", "pod", "rack"]), st.sampled_from(["a", "R-1.b_c"]))


@st.composite
def made_clouds(draw: st.DrawFn) -> CloudFile:
    flavors = [FlavorSpec(Flavor(FlavorName("cpu"), draw(prices), Price(0)))]
    if draw(st.booleans()):
        emulated = draw(st.booleans())
        flavor = Flavor(FlavorName("h100"), draw(prices), draw(prices), "H100", emulated)
        flavors.append(FlavorSpec(flavor, draw(st.none() | st.integers(1, 1024)), draw(st.none() | st.integers(10**6, 2**50))))
    names = draw(st.lists(st.integers(0, 120), unique=True, min_size=1, max_size=9))
    share = draw(st.none() | st.builds(NodeShare, st.integers(10, 4_096_000), st.integers(10**6, 2**60)))
    nodes = tuple(NodeName(f"n{number:02d}") for number in names)
    pool = PoolSpec(PoolName("a"), flavors[-1].name, nodes, share, draw(labels), share is not None and draw(st.booleans()))
    units = {spec.flavor.quota_kind: 1000 if spec.flavor.gpu else 1 for spec in flavors}
    quotas = st.fixed_dictionaries({kind: st.integers(0, 10**9).map(unit.__mul__) for kind, unit in units.items()})
    some = st.none() | quotas.map(Resources)
    orders = st.none() | st.sampled_from(QueueOrder)
    queues = tuple(
        Queue(
            QueueName(name), draw(some), user_limit=draw(some), weight=draw(st.integers(1, 9)), parent=parent, order=draw(orders)
        )
        for name, parent in draw(
            st.sampled_from([(), (("default", None),), (("b", None), ("a", None)), (("b", None), ("c", None), ("a", "c"))])
        )
    )
    queues = tuple(replace(queue, quota=None) if queue.name == "c" else queue for queue in queues)
    default = queues[0].name if queues else QueueName("default")
    fair = draw(
        st.builds(FairShare, st.integers(60_000, 10**9).map((1000).__mul__), st.just(10**6), st.sampled_from([1000, 10**6]))
    )
    settings = CloudSettings(
        draw(st.sampled_from(["USD", "CNY"])),
        default,
        mail=draw(st.sampled_from(MAIL)),
        fair_share=draw(st.sampled_from([fair, FairShare()])),
    )
    pools = (pool,) if draw(st.booleans()) else ()
    return CloudFile(settings, tuple(flavors), pools, queues, draw(st.sampled_from([{}, {"3.11": "/usr/bin/python3.11"}])))


clouds = made_clouds()


@given(clouds)
def test_a_cloud_written_as_a_document_reads_as_the_same_cloud(file: CloudFile) -> None:
    document = cloud_document(file)
    assert read_cloud(Document.of(document)) == file
    assert read_cloud(parse(json.dumps(document), "cloud.json")) == file


def test_turns_are_shared_as_the_file_says_and_else_as_ever() -> None:
    text = "kind: cloud\nfair_share: {half_life: 1d, entry: 5s}\n"
    assert read_cloud(parse(text, "c")).settings.fair_share == FairShare(half_life_us=24 * 3600 * 10**6, entry_us=5 * 10**6)
    assert read_cloud(parse("kind: cloud\n", "c")).settings.fair_share == FairShare()


def test_every_key_has_a_line_of_help() -> None:
    lines = dict(cloud_keys())
    assert {"flavors.price.gpu-hour", "pools.share.cpu", "queues.quota", "interpreters"} <= set(lines)
    assert all(doc.endswith(".") for doc in lines.values())


def test_a_mail_server_has_the_port_that_goes_with_its_encryption() -> None:
    ports = {
        tls: read_cloud(parse(f"kind: cloud\nmail: {{host: m, from: a@b, tls: {tls}}}\n", "c")).settings.mail for tls in MailTls
    }
    assert {tls: found.port for tls, found in ports.items() if found} == {"none": 25, "starttls": 587, "tls": 465}
    plain = read_cloud(parse("kind: cloud\nmail: {host: m, from: a@b}\n", "c")).settings.mail
    assert plain == MailServer("m", "a@b", MailTls.STARTTLS, 587)
