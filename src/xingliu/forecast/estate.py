"""The nodes and queues of an operator file, as if they stood there: a simulated fleet needs no machine."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from xingliu.fleet.cloudfile import read_cloud
from xingliu.fleet.declared import CloudFile, FlavorSpec, PoolSpec
from xingliu.fleet.model import CloudSettings, FairShare, NodeState, Queue
from xingliu.kernel.documents import Document
from xingliu.kernel.ids import QueueName
from xingliu.kernel.problems import InvalidDocument, Problem
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.model import NodeView, QueueView

NEVER_BINDS_MILLI = 10**9
NEVER_BINDS_BYTES = 2**60


@dataclass(frozen=True, slots=True)
class Kind:
    """What a node of one pool has: GPUs of a model, cores in millicores, bytes."""

    gpu: str | None
    gpus: int
    cpu_milli: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Estate:
    """A fleet to simulate.

    Attributes:
        name: what people call it, such as the name of its file.
        kinds: the different nodes it has.
        fair: how turns are shared.
        capacity: whole GPUs where it has any, else millicores, over all nodes; `counts_gpus` says which.
    """

    name: str
    nodes: tuple[NodeView, ...]
    queues: tuple[QueueView, ...]
    default_queue: QueueName
    kinds: tuple[Kind, ...]
    fair: FairShare = CloudSettings().fair_share

    @property
    def counts_gpus(self) -> bool:
        return any(kind.gpus for kind in self.kinds)

    @property
    def capacity(self) -> int:
        if self.counts_gpus:
            return sum(len(node.free_gpus) for node in self.nodes)
        return sum(node.capacity[CPU] for node in self.nodes)


def lay_out_estate(name: str, document: Document) -> Estate:
    """Every node of an operator file, ready and empty. Raises InvalidDocument.

    What a node has is what the file says: `gpus_per_node` of its flavor, and `share` of its pool. Without a share,
    cores and memory bind nothing on nodes with GPUs; nodes without GPUs need one.
    """
    cloud = read_cloud(document)
    if problems := tuple(_problems(cloud, document)):
        raise InvalidDocument(document.source, problems)
    flavors = {spec.name: spec for spec in cloud.flavors}
    kinds = {pool.name: _kind(pool, flavors[pool.flavor]) for pool in cloud.pools}
    nodes = tuple(view for pool in cloud.pools for view in _views(pool, kinds[pool.name]))
    default = cloud.settings.default_queue
    queues = tuple(_queue(queue) for queue in cloud.queues or (Queue(default),))
    return Estate(name, nodes, queues, default, tuple(dict.fromkeys(kinds.values())), cloud.settings.fair_share)


def _queue(queue: Queue) -> QueueView:
    """Empty; its bounds have the same names in both."""
    bounds = {each.name: getattr(queue, each.name) for each in fields(QueueView) if hasattr(queue, each.name)}
    return QueueView(in_use=Resources(), **bounds)


def _problems(cloud: CloudFile, document: Document) -> Iterator[Problem]:
    used = {pool.flavor for pool in cloud.pools}
    if not cloud.pools:
        yield document.problem((), "it has no pools, so there is nothing to simulate", "Add pools; `xl cloud show` prints one.")
    for number, spec in enumerate(cloud.flavors):
        if spec.name in used and spec.flavor.gpu and spec.gpus_per_node is None and not spec.flavor.emulated:
            message = f"flavors[{number}]: how many GPUs its nodes have is not said, and no machine is looked at"
            yield document.problem(("flavors", number), message, "Add `gpus_per_node: 8`, or as many as they have.")
    models = {spec.name: spec.flavor.gpu for spec in cloud.flavors}
    for number, pool in enumerate(cloud.pools):
        if pool.share is None and models[pool.flavor] is None:
            message = f"pools[{number}]: what its nodes have is not said, and no machine is looked at"
            yield document.problem(("pools", number), message, "Add `share: {cpu: 64, memory: 256GB}`, or what each node has.")


def _kind(pool: PoolSpec, spec: FlavorSpec) -> Kind:
    gpus = (spec.gpus_per_node or 1) if spec.flavor.gpu else 0
    if pool.share is None:
        return Kind(spec.flavor.gpu, gpus, NEVER_BINDS_MILLI, NEVER_BINDS_BYTES)
    return Kind(spec.flavor.gpu, gpus, pool.share.cpu_milli, pool.share.memory_bytes)


def _views(pool: PoolSpec, kind: Kind) -> Iterator[NodeView]:
    amounts = {CPU: kind.cpu_milli, MEMORY: kind.memory_bytes, gpu_of(pool.flavor): kind.gpus * MILLI}
    capacity, gpus = Resources(amounts), tuple(range(kind.gpus))
    for name in pool.nodes:
        yield NodeView(name, pool.name, pool.flavor, kind.gpu, NodeState.READY, capacity, capacity, gpus)
