"""What control needs of the world. Each port has one contract suite that runs over the simulator and every adapter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from xingliu.fleet.model import CloudSettings, Flavor, MailServer, Node, Pool, Queue
from xingliu.kernel.events import Event, EventDraft
from xingliu.kernel.ids import (
    ArrayId,
    AttemptId,
    BlobId,
    FlavorName,
    JobId,
    KeyId,
    LeaseId,
    NodeName,
    PoolName,
    ProjectId,
    QueueName,
    ReplicaId,
    RoleId,
    ScheduleId,
    SecretId,
    SpecId,
    TenantId,
    UserId,
)
from xingliu.scheduling.model import Used
from xingliu.tenancy.model import Key, Project, Secret, Tenant, User
from xingliu.workloads.arrays import Array
from xingliu.workloads.model import Attempt, Job, KeptSpec, Lease, Replica, Role
from xingliu.workloads.records import Phase as Phase
from xingliu.workloads.records import ReplicaRecord as ReplicaRecord
from xingliu.workloads.schedules import Schedule

K = TypeVar("K", contravariant=True)
V = TypeVar("V")


class Collection(Protocol[K, V]):
    """The rows of one noun as domain values, ordered by id."""

    def get(self, key: K) -> V | None: ...

    def find(
        self,
        where: Mapping[str, object] | None = None,
        *,
        after: K | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[V]:
        """Those whose attributes equal `where`'s values (a frozenset: is one of; None: is None), after the id `after`.

        Only attributes the adapter declares as searchable may be named; another raises KeyError.
        """
        ...

    def tally(self, by: str, where: Mapping[str, object] | None = None) -> dict[object, int]:
        """How many of those that `find` would give have each value of the attribute `by`, which is searchable too."""
        ...

    def put(self, *values: V) -> None:
        """Insert or replace, whole; what of a value is `fixed` (`nouns`) must be as it was."""
        ...

    def delete(self, key: K) -> None: ...


class EventLog(Protocol):
    def append(self, *drafts: EventDraft) -> None:
        """Number and store them with the transaction they are part of."""
        ...

    def find(
        self,
        where: Mapping[str, object] | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Event]:
        """Events with after < seq (< before).

        `where` may name type, subject, actor, tenant, project, noun (`job` of `job.started`).
        """
        ...

    def last_seq(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """The one row of cloud-wide settings, as a keyed value."""

    key: str
    value: CloudSettings


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader of the event log got."""

    key: str
    seq: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a creation with an idempotency key made, so that repeating it makes nothing. `key` includes the user."""

    key: str
    request_sha256: str
    subject: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Blob:
    """A packed working folder that a project may use. `key` is `project:sha256`."""

    key: str
    project: ProjectId
    blob: BlobId
    bytes: int
    at_us: int


class Unit(Protocol):
    """Everything inside one transaction."""

    tenants: Collection[TenantId, Tenant]
    projects: Collection[ProjectId, Project]
    users: Collection[UserId, User]
    keys: Collection[KeyId, Key]
    secrets: Collection[SecretId, Secret]
    flavors: Collection[FlavorName, Flavor]
    pools: Collection[PoolName, Pool]
    nodes: Collection[NodeName, Node]
    queues: Collection[QueueName, Queue]
    specs: Collection[SpecId, KeptSpec]
    arrays: Collection[ArrayId, Array]
    schedules: Collection[ScheduleId, Schedule]
    jobs: Collection[JobId, Job]
    roles: Collection[RoleId, Role]
    replicas: Collection[ReplicaId, Replica]
    attempts: Collection[AttemptId, Attempt]
    leases: Collection[LeaseId, Lease]
    fair_uses: Collection[str, Used]
    settings: Collection[str, Settings]
    cursors: Collection[str, Cursor]
    receipts: Collection[str, Receipt]
    blobs: Collection[str, Blob]
    events: EventLog


@dataclass(frozen=True, slots=True)
class Delta:
    """What one committed transaction changed. `version` is one more than the delta before it, whoever wrote it."""

    version: int
    put: tuple[object, ...]
    deleted: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]


class Store(Protocol):
    """The one record. Writes are serialised; a control plane that lost control cannot write."""

    def seize(self, owner: str) -> None:
        """Become the control plane; every earlier one is refused from now on."""
        ...

    def read(self) -> AbstractContextManager[Unit]:
        """A consistent view; writing to it raises AssertionError."""
        ...

    def write(self) -> AbstractContextManager[Unit]:
        """One guarded transaction: all of it on exit, nothing on an exception. Raises NotInControl, StoreUnavailable."""
        ...

    def version(self) -> int:
        """The number of the last committed transaction."""
        ...

    def subscribe(self, listener: Callable[[Delta], None]) -> None:
        """Call `listener` with each committed delta, in order, before `write` returns."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Launch:
    """All that is needed to run one replica.

    Attributes:
        script, setup: shell text; `setup` runs before `script`, in the same sandbox.
        environment: complete, secrets included; `secrets` lists their values for masking. Never written to disk.
        python: interpreter asked for by name, version or path; None for whatever the node's PATH has.
        uid: the project's; ignored where the control plane is not root.
        blob: the packed working folder, None for an empty one.
        python_declared: `python` is a path by the operator's word, so it may lie where jobs see nothing else.
        checkpoint_path: in the job's folder, to be looked at for changes; None is nowhere.
        gpus_emulated: `gpus` are numbers only; there are no devices behind them.
    """

    lease: LeaseId
    job: JobId
    project: ProjectId
    node: NodeName
    rank: int
    uid: int
    script: str
    setup: str | None
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    python: str | None
    cpu_milli: int
    memory_bytes: int
    shm_bytes: int | None
    gpus: tuple[int, ...]
    blob: BlobId | None
    checkpoint_path: str | None = None
    gpus_emulated: bool = False
    python_declared: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Send `signal`, wait until `kill_at_us`, then SIGKILL all of it."""

    signal: str
    kill_at_us: int


@dataclass(frozen=True, slots=True)
class DesiredReplica:
    """An open lease and what should be true of it: running as `launch` says, or, with `stop`, ending."""

    lease: LeaseId
    launch: Launch
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One check of a node: `reason` is empty when it may be used. `answers` is False when it cannot be reached."""

    node: NodeName
    reason: str = ""
    answers: bool = True


class Launcher(Protocol):
    """Whatever runs replicas on nodes."""

    def ensure(self, desired: Sequence[DesiredReplica]) -> None:
        """Make exactly these replicas run or stop. Raises LauncherUnavailable, perhaps half done.

        Level-triggered: told what should be, never what changed, so calling again repairs. A replica is started at most
        once for its lease, however often it is asked for. One that runs and is not named is killed. Never waits for a
        process to end: ends arrive as records through `observe`.
        """
        ...

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        """What is known of these replicas; one that was never started has no record. Raises LauncherUnavailable."""
        ...

    def health(self, nodes: Sequence[Node]) -> Sequence[NodeHealth]:
        """One check of each node."""
        ...

    def address(self, node: NodeName) -> tuple[str, int]:
        """The node's address and a port free there now, for a gang's rendezvous."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever `observe` may have something new."""
        ...

    def close(self) -> None:
        """Let go of what runs, without stopping it."""
        ...


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of a replica's output from `offset`, counted from its first byte.

    `offset` is later than asked where the log was rotated away.
    """

    offset: int
    data: bytes


class ReplicaFiles(Protocol):
    """What replicas leave behind."""

    def read_log(self, lease: LeaseId, *, offset: int, limit_bytes: int) -> LogChunk:
        """At most `limit_bytes` from `offset`; empty data at the end. A negative offset counts back from the end."""
        ...

    def archive(self, job: JobId, path: str) -> Iterator[bytes]:
        """The file or folder `path` of the job's folder as a tar stream. Raises Unknown, PathOutside."""
        ...


class Terminal(Protocol):
    """A shell in a running replica's sandbox."""

    def read(self) -> bytes:
        """What it printed; empty when it ended. Blocks."""
        ...

    def write(self, data: bytes) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def close(self) -> int:
        """End it, and everything started in it, and give its exit code."""
        ...


class Shells(Protocol):
    def open(self, lease: LeaseId, *, uid: int, command: Sequence[str]) -> Terminal:
        """Start `command` (empty: a shell) beside the replica: same sandbox, uid and limits. Raises NotRunning."""
        ...


class BlobStore(Protocol):
    """Packed working folders by the SHA-256 of their bytes."""

    def has(self, blob: BlobId) -> bool: ...

    def save(self, blob: BlobId, chunks: Iterator[bytes], *, limit_bytes: int) -> int:
        """Store it whole or not at all, and give its size. Raises BlobMismatch, BlobTooLarge, DiskFull."""
        ...


class Sealer(Protocol):
    """Encrypts secrets with a key that is not in the store; `name` is bound in, so a sealed value cannot be moved."""

    def seal(self, name: str, plain: str) -> bytes: ...

    def unseal(self, name: str, sealed: bytes) -> str:
        """Raises CannotUnseal."""
        ...


class Postman(Protocol):
    """Delivers notifications."""

    def post(self, url: str, body: Mapping[str, object]) -> None:
        """Raises DeliveryFailed; what it raises is tried again later."""
        ...


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail, plain text; `message_id` in angle brackets."""

    subject: str
    text: str
    message_id: str
    at_us: int


class Mailer(Protocol):
    """Delivers mail."""

    def send(self, server: MailServer, to: str, letter: Letter) -> None:
        """Through that server, to one address.

        Raises MailServerDown where no mail can be sent at all, DeliveryRefused where this one never can be, DeliveryFailed
        where it may be later.
        """
        ...


class Machine(Protocol):
    """The machine this runs on."""

    def discover(self, now_us: int) -> Node:
        """This machine as one node of pool `default`, state joining; `facts` tells what it cannot give."""
        ...
