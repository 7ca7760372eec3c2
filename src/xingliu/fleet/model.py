"""What the cloud is made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from xingliu.kernel.ids import FlavorName, NodeName, PoolName, QueueName
from xingliu.kernel.money import Price
from xingliu.kernel.quantities import DAY_US, MINUTE_US
from xingliu.kernel.resources import CPU, Resources, cpu_of, gpu_of

DEFAULT_QUEUE = QueueName("default")
LEVELS = ("region", "zone", "pod", "rack")


class QueueOrder(StrEnum):
    """Who goes first in a queue, below priority: by past use, by submission, by what is left to run, or by deadline."""

    FAIR = "fair"
    FIRST_COME = "first-come"
    SHORTEST_FIRST = "shortest-first"
    DEADLINE = "deadline"

    @classmethod
    def along(cls, path: Iterable["QueueOrder | None"]) -> "QueueOrder":
        """Of a queue, by what it and those above it say, itself first: the nearest that says something; else fair."""
        return next((order for order in path if order is not None), cls.FAIR)


class NodeState(StrEnum):
    JOINING = "joining"
    READY = "ready"
    DRAINING = "draining"
    DRAINED = "drained"
    UNHEALTHY = "unhealthy"
    DOWN = "down"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Flavor:
    """A kind of hardware with its list price. `gpu` is the model, None where cores are what is scheduled."""

    name: FlavorName
    core_price: Price
    gpu_price: Price
    gpu: str | None = None
    emulated: bool = False

    @property
    def scheduled_kind(self) -> str:
        """The resource its pools are counted in: GPUs where it has them, else cores."""
        return gpu_of(self.name) if self.gpu else CPU

    @property
    def quota_kind(self) -> str:
        """The kind under which queues are charged for it."""
        return gpu_of(self.name) if self.gpu else cpu_of(self.name)


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes of one flavor."""

    name: PoolName
    flavor: FlavorName


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU of a node. `uuid` is the driver's, or `emulated-N`."""

    index: int
    model: str
    uuid: str
    memory_bytes: int = 0
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One machine, or an emulated share of one.

    Attributes:
        capacity: cpu in millicores, memory in bytes, gpu.<flavor> in milli-GPU.
        topology: label by level (`LEVELS`); a missing level is unknown.
        generation: grows with every change that a plan must not be older than.
        facts: what was discovered, and what this machine cannot give, for the node's page; JSON types.
    """

    name: NodeName
    pool: PoolName
    flavor: FlavorName
    capacity: Resources
    state: NodeState
    since_us: int
    devices: tuple[Device, ...] = ()
    topology: Mapping[str, str] = field(default_factory=dict)
    emulated: bool = False
    reason: str = ""
    actor: str = ""
    generation: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A waiting line: a leaf of a tree, or the parent of others. Bounds go by kind (see `Flavor.quota_kind`); None is none.

    Attributes:
        quota: its own share; only preemptible work may hold more.
        parent: None is under the root.
        borrow_limit: how much more than its quota it may hold, where others leave it.
        lend_limit: how much of its quota others of the same parent may hold while it does not; None is all of it.
        user_limit, project_limit: what one user, or one project, may hold in it and below it.
        weight: its part of what is left over, against others of the same parent.
        min_runtime_us: how long a job of it runs before others may have it stopped.
        order: of its jobs; None is that of the queue above it, and fair under the root.
    """

    name: QueueName
    quota: Resources | None = None
    held: bool = False
    generation: int = 0
    parent: QueueName | None = None
    borrow_limit: Resources | None = None
    lend_limit: Resources | None = None
    user_limit: Resources | None = None
    project_limit: Resources | None = None
    weight: int = 1
    min_runtime_us: int = 0
    order: QueueOrder | None = None


@dataclass(frozen=True, slots=True)
class FairShare:
    """How turns are shared between queues, and between the users of one.

    Attributes:
        half_life_us: after so long, what was held counts for half.
        entry_us: whoever starts is charged for so long at once, so that many who start together are seen at once.
        reserve_after_us: what frees up is kept for a job that has waited so long; None keeps nothing.
    """

    half_life_us: int = 7 * DAY_US
    entry_us: int = 10 * MINUTE_US
    reserve_after_us: int | None = 30 * MINUTE_US


class MailTls(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail to users goes, and whom it is from.

    `password_secret` names an environment variable, `password_file` a file: one of them where there is a user.
    """

    host: str
    sender: str
    tls: MailTls
    port: int
    user: str | None = None
    password_secret: str | None = None
    password_file: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What heads the operator file; `document` is that file as it was last applied, JSON types, empty before the first."""

    currency: str = "USD"
    default_queue: QueueName = DEFAULT_QUEUE
    document: Mapping[str, object] = field(default_factory=dict)
    mail: MailServer | None = None
    fair_share: FairShare = FairShare()
