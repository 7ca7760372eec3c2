"""What an operator declares the cloud to be, before any machine was looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xingliu.fleet.model import CloudSettings, Flavor, Pool, Queue
from xingliu.kernel.ids import FlavorName, NodeName, PoolName


@dataclass(frozen=True, slots=True)
class FlavorSpec:
    """A flavor and what its nodes have.

    Attributes:
        gpus_per_node: None where the file does not say: one each when emulated, else what is discovered.
        gpu_memory_bytes: of each GPU; None is unknown.
    """

    flavor: Flavor
    gpus_per_node: int | None = None
    gpu_memory_bytes: int | None = None

    @property
    def name(self) -> FlavorName:
        return self.flavor.name

    @property
    def emulated_gpus(self) -> int:
        """How many GPUs each of its nodes pretends to have."""
        return (self.gpus_per_node or 1) if self.flavor.emulated else 0


@dataclass(frozen=True, slots=True)
class NodeShare:
    """What an emulated node has of this machine: millicores, bytes."""

    cpu_milli: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """A pool with its nodes.

    Attributes:
        share: given where the nodes are emulated, each this part of the machine; None where they are whole machines.
        topology: label by level, the same for all its nodes.
        overcommit: whether the shares may add up to more than the machine has.
    """

    name: PoolName
    flavor: FlavorName
    nodes: tuple[NodeName, ...]
    share: NodeShare | None = None
    topology: Mapping[str, str] = field(default_factory=dict)
    overcommit: bool = False

    @property
    def pool(self) -> Pool:
        return Pool(self.name, self.flavor)


@dataclass(frozen=True, slots=True)
class CloudFile:
    """A checked operator file.

    Attributes:
        queues: their quotas by `Flavor.quota_kind`, in thousandths of a core or GPU.
        interpreters: path on the nodes, by the name that job files say.
    """

    settings: CloudSettings = field(default_factory=CloudSettings)
    flavors: tuple[FlavorSpec, ...] = ()
    pools: tuple[PoolSpec, ...] = ()
    queues: tuple[Queue, ...] = ()
    interpreters: Mapping[str, str] = field(default_factory=dict)
