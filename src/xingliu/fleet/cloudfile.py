"""Operator files: what they mean, and the document a meaning is written as."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from xingliu.fleet.cloudfile_keys import CLOUD, NODES_MAX, CloudLines, FlavorLines, PoolLines, PriceLines
from xingliu.fleet.declared import CloudFile, FlavorSpec, PoolSpec
from xingliu.fleet.model import DEFAULT_QUEUE, CloudSettings, Flavor, Queue
from xingliu.fleet.queue_keys import Amounts, QueueLines, flattened
from xingliu.kernel.documents import Document
from xingliu.kernel.ids import FlavorName, NodeName, PoolName, QueueName
from xingliu.kernel.keytables import Entry, describe, read_document, refuse, table_schema, write_table
from xingliu.kernel.money import Price
from xingliu.kernel.problems import InvalidDocument, Path, Problem, show_value
from xingliu.kernel.resources import MILLI, Resources, gpu_of
from xingliu.kernel.units import show_milli

VERSION = 1
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FREE = Price(0)


def read_cloud(document: Document) -> CloudFile:
    """The checked operator file. Raises InvalidDocument with every problem found."""
    value = document.value
    if isinstance(value, Mapping) and isinstance(kind := value.get("kind", "cloud"), str) and kind != "cloud":
        raise InvalidDocument(document.source, (document.problem(("kind",), *_other_kind(kind)),))
    lines = cast(CloudLines, read_document(CLOUD, document))
    problems: list[Problem] = []
    made = _Together(lines, Entry(document, None, (), problems)).cloud()
    refuse(document, problems)
    return made


def _other_kind(kind: str) -> tuple[str, str]:
    if kind == "job":
        return "this describes a job, not a cloud", "Submit it: `xl run FILE`."
    return f"kind: {show_value(kind)} is not known", "Write kind: cloud."


class _Together:
    """The parts of a file, each looked at beside the others it names."""

    def __init__(self, lines: CloudLines, entry: Entry) -> None:
        self._lines = lines
        self._entry = entry
        self._quota_kinds: dict[str, str] = {}
        self._pool_of: dict[str, str] = {}

    def cloud(self) -> CloudFile:
        """What it all means; its problems are noted in the entry, and then the result is not to be used."""
        lines = self._lines
        flavors = tuple(self._flavor(number, flavor) for number, flavor in enumerate(lines.flavors))
        self._quota_kinds = {spec.name: spec.flavor.quota_kind for spec in flavors}
        pools = tuple(self._pool(number, pool) for number, pool in enumerate(lines.pools))
        if len(self._pool_of) > NODES_MAX:
            self._at("pools").note(f"together they have more than {NODES_MAX} nodes")
        queues = tuple(self._queue(path, parent, queue) for path, parent, queue in flattened(lines.queues))
        settings = CloudSettings(lines.currency, self._default_queue(), mail=lines.mail, fair_share=lines.fair_share)
        return CloudFile(settings, flavors, pools, queues, lines.interpreters)

    def _at(self, *steps: str | int) -> Entry:
        entry = self._entry
        for step in steps:
            entry = entry.at(step, None)
        return entry

    def _flavor(self, number: int, lines: FlavorLines) -> FlavorSpec:
        at = self._at("flavors", number)
        if lines.gpu is None:
            self._check_without_gpus(at, lines)
        elif lines.price.gpu is None:
            at.note(f"flavor {lines.name} has GPUs and no price for them", "Add gpu-hour to its price.", step="price")
        name = FlavorName(lines.name)
        flavor = Flavor(name, lines.price.core or FREE, lines.price.gpu or FREE, lines.gpu, lines.emulated)
        return FlavorSpec(flavor, lines.gpus_per_node, lines.gpu_memory_bytes)

    def _check_without_gpus(self, at: Entry, lines: FlavorLines) -> None:
        given = {
            "gpus_per_node": lines.gpus_per_node is not None,
            "gpu_memory": lines.gpu_memory_bytes is not None,
            "emulated": lines.emulated,
            "price": lines.price.gpu is not None and lines.price.core is not None,
        }
        for key in [key for key, is_given in given.items() if is_given]:
            at.note(f"flavor {lines.name} has no GPUs, so its {key} means nothing", "Add gpu: MODEL, or leave it out.", step=key)
        if lines.price.core is None:
            at.note(f"flavor {lines.name} has no price for its cores", "Add core-hour to its price.", step="price")

    def _pool(self, number: int, lines: PoolLines) -> PoolSpec:
        at = self._at("pools", number)
        if lines.flavor not in self._quota_kinds:
            self._note_flavor(at.at("flavor", None), lines.flavor)
        if lines.overcommit and lines.share is None:
            at.note(
                "only emulated nodes can be overcommitted", "Give the pool a share, or leave overcommit out.", step="overcommit"
            )
        for node in lines.nodes:
            if (other := self._pool_of.setdefault(node, lines.name)) != lines.name:
                at.note(f"node {node} is in pool {other} already", "A node is in one pool.", step="nodes")
        if len(set(lines.nodes)) < len(lines.nodes):
            at.note(f"pool {lines.name} names a node twice", "Name each once.", step="nodes")
        nodes = tuple(NodeName(node) for node in lines.nodes)
        return PoolSpec(PoolName(lines.name), FlavorName(lines.flavor), nodes, lines.share, lines.topology, lines.overcommit)

    def _queue(self, path: Path, parent: str | None, lines: QueueLines) -> Queue:
        if lines.quota is None and (lines.borrow_limit is not None or lines.lend_limit is not None):
            at = self._at(*path)
            at.note(f"queue {lines.name} has no quota, so there is nothing to borrow or lend", "Give it a quota: {FLAVOR: 8}.")
        self._check_children(path, lines)
        return Queue(
            QueueName(lines.name),
            self._amounts((*path, "quota"), lines.quota),
            parent=None if parent is None else QueueName(parent),
            borrow_limit=self._amounts((*path, "borrow_limit"), lines.borrow_limit),
            lend_limit=self._amounts((*path, "lend_limit"), lines.lend_limit),
            user_limit=self._amounts((*path, "user_limit"), lines.user_limit),
            project_limit=self._amounts((*path, "project_limit"), lines.project_limit),
            weight=lines.weight,
            min_runtime_us=lines.min_runtime_us,
            order=lines.order,
        )

    def _amounts(self, path: Path, amounts: Amounts | None) -> Resources | None:
        """By quota kind."""
        if amounts is None:
            return None
        for flavor, most in amounts.items():
            at = self._at(*path, flavor)
            if flavor not in self._quota_kinds:
                self._note_flavor(at, flavor)
            elif self._quota_kinds[flavor] == gpu_of(flavor) and most % MILLI:
                at.note(f"a {_word(path[-1])} of {show_milli(most)} GPUs is none that can be used up", "Write a whole number.")
        return Resources({self._quota_kinds.get(flavor, flavor): most for flavor, most in amounts.items()})

    def _check_children(self, path: Path, lines: QueueLines) -> None:
        """What is promised below is there above."""
        if lines.quota is None:
            return
        for flavor in sorted({flavor for child in lines.children for flavor in child.quota or {}}):
            promised = sum((child.quota or {}).get(flavor, 0) for child in lines.children)
            if promised > lines.quota.get(flavor, 0):
                self._at(*path, "quota").note(
                    f"the queues below {lines.name} have quotas of {show_milli(promised)} {flavor} together, "
                    f"and it has {show_milli(lines.quota.get(flavor, 0))}",
                    "Give it as much, or them less.",
                )

    def _note_flavor(self, at: Entry, flavor: str) -> None:
        known = ", ".join(list(self._quota_kinds)[:20])
        at.note(
            f"there is no flavor '{flavor}' in this file", f"Its flavors are {known}." if known else "Declare it under flavors."
        )

    def _default_queue(self) -> QueueName:
        names = [queue.name for _, _, queue in flattened(self._lines.queues) if not queue.children] or [DEFAULT_QUEUE]
        wanted = self._lines.default_queue
        if wanted is None and len(names) > 1 and DEFAULT_QUEUE not in names:
            self._entry.note(
                "none of the queues is the default", f"Add `default_queue: {names[0]}`, or another of them.", step="queues"
            )
        elif wanted is not None and wanted not in names:
            self._at("default_queue").note(
                f"there is no queue '{wanted}' in this file that jobs can wait in", f"Its queues are {', '.join(names[:20])}."
            )
        return QueueName(wanted or (DEFAULT_QUEUE if DEFAULT_QUEUE in names else names[0]))


def cloud_document(file: CloudFile) -> dict[str, object]:
    """The normalised document: reading it gives `file` again, exactly."""
    flavor_of = {spec.flavor.quota_kind: spec.name for spec in file.flavors}
    lines = CloudLines(
        currency=file.settings.currency,
        flavors=tuple(_flavor_lines(spec) for spec in file.flavors),
        pools=tuple(
            PoolLines(pool.name, pool.flavor, pool.nodes, pool.share, pool.topology, pool.overcommit) for pool in file.pools
        ),
        queues=tuple(_queue_lines(queue, file.queues, flavor_of) for queue in file.queues if queue.parent is None),
        default_queue=file.settings.default_queue,
        interpreters=file.interpreters,
        mail=file.settings.mail,
        fair_share=file.settings.fair_share,
    )
    return {"kind": "cloud", "version": VERSION, **write_table(CLOUD, lines)}


def _flavor_lines(spec: FlavorSpec) -> FlavorLines:
    flavor = spec.flavor
    core = None if flavor.gpu and flavor.core_price == FREE else flavor.core_price
    price = PriceLines(core, flavor.gpu_price if flavor.gpu else None)
    return FlavorLines(flavor.name, price, flavor.gpu, spec.gpus_per_node, spec.gpu_memory_bytes, flavor.emulated)


def _queue_lines(queue: Queue, queues: Sequence[Queue], flavor_of: Mapping[str, str]) -> QueueLines:
    def amounts(of: Resources | None) -> dict[str, int] | None:
        return None if of is None else {flavor_of[kind]: most for kind, most in of.items()}

    return QueueLines(
        queue.name,
        amounts(queue.quota),
        amounts(queue.borrow_limit),
        amounts(queue.lend_limit),
        amounts(queue.user_limit),
        amounts(queue.project_limit),
        queue.weight,
        queue.min_runtime_us,
        queue.order,
        tuple(_queue_lines(below, queues, flavor_of) for below in queues if below.parent == queue.name),
    )


def _word(key: str | int) -> str:
    return str(key).replace("_", " ")


def cloud_keys() -> Iterator[tuple[str, str]]:
    """Every key with its one line, in the order people write them."""
    return describe(CLOUD)


def cloud_schema() -> dict[str, object]:
    """JSON Schema 2020-12 for editors. It cannot say all that `read_cloud` checks; what it refuses, that refuses too."""
    return {"$schema": DIALECT, "title": "Xingliu cloud", **table_schema(CLOUD)}
