"""The keys of an operator file, as data. Each is read into a `*Lines`; `cloudfile` looks at them together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xingliu.fleet.declared import NodeShare
from xingliu.fleet.fair_keys import DEFAULT, FAIR_SHARE
from xingliu.fleet.mail_keys import MAIL
from xingliu.fleet.model import LEVELS, FairShare, MailServer
from xingliu.fleet.queue_keys import LISTED_MAX, QUEUE, QueueLines, flattened
from xingliu.fleet.ranges import expand, fold
from xingliu.kernel.documents import plain_number
from xingliu.kernel.errors import BadValue
from xingliu.kernel.keytables import Bad, Entry, Key, Shape, Table
from xingliu.kernel.money import Price, read_price, show_price
from xingliu.kernel.problems import Path, shorten
from xingliu.kernel.quantities import memory, milli
from xingliu.kernel.shapes import BOOLEAN, NAME, NAME_HINT, choice, list_of, mapping_of, name, text, whole

NODES_MAX = 110_000
INTERPRETERS_MAX = 100
_UNITS = ("core-hour", "gpu-hour")


@dataclass(frozen=True, slots=True)
class PriceLines:
    """A list price as it was written; None is not given."""

    core: Price | None = None
    gpu: Price | None = None


@dataclass(frozen=True, slots=True)
class FlavorLines:
    name: str
    price: PriceLines
    gpu: str | None = None
    gpus_per_node: int | None = None
    gpu_memory_bytes: int | None = None
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class PoolLines:
    name: str
    flavor: str
    nodes: tuple[str, ...]
    share: NodeShare | None = None
    topology: Mapping[str, str] = field(default_factory=dict)
    overcommit: bool = False


@dataclass(frozen=True, slots=True)
class CloudLines:
    currency: str = "USD"
    flavors: tuple[FlavorLines, ...] = ()
    pools: tuple[PoolLines, ...] = ()
    queues: tuple[QueueLines, ...] = ()
    default_queue: str | None = None
    interpreters: Mapping[str, str] = field(default_factory=dict)
    mail: MailServer | None = None
    fair_share: FairShare = DEFAULT


def _read_amount(entry: Entry) -> Price:
    number = plain_number(entry.value)
    try:
        return read_price("" if number is None else format(number, "f"))
    except BadValue as error:
        raise entry.not_a("a price", error.advice()) from None


def _write_amount(price: Any) -> object:
    return show_price(price)


_AMOUNT = Shape(
    _read_amount, {"type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$"}, _write_amount
)
_PRICE = Table(
    keys=(
        Key("core-hour", _AMOUNT, "Of one core for an hour, for jobs without GPUs.", "core"),
        Key("gpu-hour", _AMOUNT, "Of one GPU for an hour, for jobs with GPUs.", "gpu"),
    ),
    make=PriceLines,
    elsewhere={"core": "core-hour", "cpu": "core-hour", "cpu-hour": "core-hour", "gpu": "gpu-hour"},
)
_PRICE_HINT = "Write 2.40/gpu-hour, or {gpu-hour: 2.40, core-hour: 0.05}."


def _read_price_lines(entry: Entry) -> PriceLines:
    value = entry.value
    if isinstance(value, Mapping):
        made = _PRICE.shape().read(entry)
        if made == PriceLines():
            raise entry.wrong("it names no price", _PRICE_HINT)
        return made if isinstance(made, PriceLines) else PriceLines()
    amount, _, unit = value.partition("/") if isinstance(value, str) else ("", "", "")
    if unit.strip() not in _UNITS:
        raise entry.not_a("a price for a stated unit", _PRICE_HINT)
    price = _read_amount(Entry(entry.document, amount.strip(), entry.path, entry.problems))
    return PriceLines(core=price) if unit.strip() == "core-hour" else PriceLines(gpu=price)


_PRICE_LINES = Shape(
    _read_price_lines,
    {"anyOf": [{"type": "string", "examples": ["2.40/gpu-hour", "0.05/core-hour"]}, _PRICE.shape().schema]},
    _PRICE.shape().write,
    _PRICE,
)


def _read_nodes(entry: Entry) -> tuple[str, ...]:
    texts = entry.value if isinstance(entry.value, list) else [entry.value]
    names: list[str] = []
    for one in texts:
        found = expand(one, most=NODES_MAX - len(names)) if isinstance(one, str) and len(names) < NODES_MAX else None
        if found is None:
            hint = f"Write a name, a range such as g[0001-1024], or a list of them; at most {NODES_MAX} nodes."
            raise entry.wrong(f"{shorten(repr(one))} names no nodes", hint)
        names += found
    if (bad := next((node for node in names if not NAME.match(node)), None)) is not None:
        raise entry.wrong(f"'{shorten(bad)}' is not a name for a node", NAME_HINT)
    if not names:
        raise entry.wrong("it names no nodes", "Write at least one.")
    return tuple(names)


def _write_nodes(names: Any) -> object:
    folded = fold(names)
    return folded[0] if len(folded) == 1 else folded


_NODES = Shape(
    _read_nodes,
    {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "examples": ["n[1-2]", ["g[0001-1024]", "big"]],
    },
    _write_nodes,
)
_SHARE = Table(
    keys=(
        Key("cpu", milli(least=10, most=4_096_000, what="cores"), "Cores of each.", "cpu_milli", required=True),
        Key("memory", memory(), "Memory of each.", "memory_bytes", required=True),
    ),
    make=NodeShare,
    elsewhere={"cpus": "cpu", "cores": "cpu", "mem": "memory", "ram": "memory"},
)
_LABEL = text(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
    "a label",
    "Use letters, digits, dots, dashes and _; at most 63.",
    length_max=63,
)
_TOPOLOGY = Table(
    keys=tuple(Key(level, _LABEL, f"The {level} its nodes are in.") for level in LEVELS),
    make=dict,
    elsewhere={
        "block": "pod",
        "spine": "pod",
        "leaf": "rack",
        "switch": "rack",
        "availability_zone": "zone",
        "datacenter": "zone",
    },
)
_TOPOLOGY_SHAPE = Shape(_TOPOLOGY.shape().read, _TOPOLOGY.shape().schema, lambda labels: labels, _TOPOLOGY)
_FLAVOR = Table(
    keys=(
        Key("name", name("a flavor"), "What pools and quotas call it.", required=True),
        Key(
            "gpu",
            text(
                r"[A-Za-z][A-Za-z0-9-]{0,31}",
                "a model of GPU",
                "Write what jobs ask for, such as H100 or A100-80GB.",
                length_max=32,
            ),
            "Model of its GPUs; without it cores are what is scheduled.",
        ),
        Key("gpus_per_node", whole(1, 1024), "GPUs of each node; default 1 when emulated, else what is discovered."),
        Key("gpu_memory", memory(), "Memory of each GPU: 80GB.", "gpu_memory_bytes"),
        Key("emulated", BOOLEAN, "Whether its GPUs are only pretended, and shown as such; default false."),
        Key("price", _PRICE_LINES, "List price: 2.40/gpu-hour, or {gpu-hour: 2.40, core-hour: 0.05}.", required=True),
    ),
    make=FlavorLines,
    elsewhere={
        "gpu_model": "gpu",
        "accelerator": "gpu",
        "gpus": "gpus_per_node",
        "gpu_count": "gpus_per_node",
        "vram": "gpu_memory",
    },
)
_POOL = Table(
    keys=(
        Key("name", name("a pool"), "What people call it.", required=True),
        Key("flavor", name("a flavor"), "The flavor of all its nodes.", required=True),
        Key("nodes", _NODES, "Names of its nodes: n[1-2], or a list.", required=True),
        Key("share", _SHARE.shape(), "Makes its nodes emulated: what each has of this machine."),
        Key("topology", _TOPOLOGY_SHAPE, "Where its nodes are: region, zone, pod, rack."),
        Key("overcommit", BOOLEAN, "Whether shares may add up to more than this machine has; default false."),
    ),
    make=PoolLines,
    elsewhere={"servers": "nodes", "hosts": "nodes", "machines": "nodes", "labels": "topology", "resource_flavor": "flavor"},
)
_INTERPRETERS = mapping_of(
    text(
        r"/[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*",
        "a path from the root",
        "Write the whole path, such as /usr/bin/python3.",
        length_max=1024,
    ),
    most=INTERPRETERS_MAX,
    what="interpreters",
    key=r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}",
    key_hint="Use letters, digits, dots, dashes, + and _; at most 63.",
)


def _check(entry: Entry, read: Mapping[str, Any]) -> None:
    """Names that stand twice."""
    bad = False
    named: list[tuple[str, Path, str]] = [("queue", path, queue.name) for path, _, queue in flattened(read.get("queues", ()))]
    for noun, plural in (("flavor", "flavors"), ("pool", "pools")):
        named += [(noun, (plural, number), lines.name) for number, lines in enumerate(read.get(plural, ()))]
    seen: set[tuple[str, str]] = set()
    for noun, path, called in named:
        if (noun, called) in seen:
            at = Entry(entry.document, None, path, entry.problems)
            at.note(f"there are two {noun}s named '{called}'", f"Rename one {noun}.")
            bad = True
        seen.add((noun, called))
    if bad:
        raise Bad


CLOUD = Table(
    keys=(
        Key("kind", choice(("cloud",)), "What this file describes: cloud.", "", required=True),
        Key("version", whole(1, 1), "Version of this format; 1.", ""),
        Key(
            "currency",
            text("[A-Z]{3}", "a currency", "Write its ISO 4217 code, such as USD or EUR.", length_max=3),
            "Of all prices; default USD.",
        ),
        Key("flavors", list_of(_FLAVOR.shape(), most=LISTED_MAX, what="flavors"), "Kinds of hardware with their list price."),
        Key("pools", list_of(_POOL.shape(), most=LISTED_MAX, what="pools"), "Nodes of one flavor each."),
        Key("queues", list_of(QUEUE.shape(), most=LISTED_MAX, what="queues"), "Waiting lines with their quotas, a tree."),
        Key("default_queue", name("a queue"), "Where jobs wait that name none."),
        Key("interpreters", _INTERPRETERS, "Pythons on the nodes that job files can name: {torch: /opt/torch/bin/python}."),
        Key("fair_share", FAIR_SHARE.shape(), "How turns are shared between queues, and between the users of one."),
        Key("mail", MAIL.shape(), "The SMTP server that tells users by mail what became of their jobs."),
    ),
    make=CloudLines,
    check=_check,
    elsewhere={
        "resource_flavors": "flavors",
        "node_pools": "pools",
        "partitions": "pools",
        "fleets": "pools",
        "cluster_queues": "queues",
        "pythons": "interpreters",
        "fair_sharing": "fair_share",
        "fairness": "fair_share",
        "smtp": "mail",
        "email": "mail",
    },
    later=frozenset({"reservations", "budgets"}),
)
