"""Workload > role > replica > attempt > lease."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from xingliu.kernel.ids import (
    ArrayId,
    AttemptId,
    BlobId,
    FlavorName,
    JobId,
    LeaseId,
    NodeName,
    PoolName,
    ProjectId,
    QueueName,
    ReplicaId,
    RoleId,
    ScheduleId,
    SpecId,
    TenantId,
    UserId,
)
from xingliu.kernel.resources import Resources
from xingliu.workloads.arrays import ArrayPart, Span
from xingliu.workloads.dependencies import After, AfterWord, NotBefore
from xingliu.workloads.jobstates import FINAL as FINAL
from xingliu.workloads.jobstates import LIVE as LIVE
from xingliu.workloads.jobstates import JobState as JobState
from xingliu.workloads.timetables import Timetable

MAIN_ROLE = "main"  # of a job that names no roles


class StopWhy(StrEnum):
    """Why a job is STOPPING, and so where it goes from there."""

    CANCEL = "cancel"
    HOLD = "hold"
    TIME_LIMIT = "time-limit"
    RANK_ENDED = "rank-ended"
    ROLE_ENDED = "role-ended"
    PREEMPT = "preempt"
    RECLAIM = "reclaim"


FOR_ANOTHER = frozenset({StopWhy.PREEMPT, StopWhy.RECLAIM})


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PREEMPTED = "PREEMPTED"
    NODE_FAILURE = "NODE_FAILURE"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"
    LAUNCH_FAILED = "LAUNCH_FAILED"


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """Higher goes first."""
        return list(Priority).index(self)


class PendingReason(StrEnum):
    """Why a job waits; the order of this list is the order in which they are shown."""

    INVALID_REQUEST = "InvalidRequest"
    HELD = "Held"
    DEPENDENCY_WAITING = "DependencyWaiting"
    DEPENDENCY_FAILED = "DependencyFailed"
    NOT_BEFORE = "NotBefore"
    EXCEEDS_LIMIT = "ExceedsLimit"
    WAITING_FOR_QUOTA = "WaitingForQuota"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    NODES_UNHEALTHY = "NodesUnhealthy"
    RESERVED_FOR_OTHERS = "ReservedForOthers"
    BEHIND_HIGHER_PRIORITY = "BehindHigherPriority"
    PREEMPTION_IN_PROGRESS = "PreemptionInProgress"


NEVER_STARTS = frozenset({PendingReason.INVALID_REQUEST, PendingReason.DEPENDENCY_FAILED, PendingReason.EXCEEDS_LIMIT})


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a pending job waits, from one snapshot of one cycle; `numbers` is the evidence (JSON types)."""

    reason: PendingReason
    sentence: str
    numbers: Mapping[str, object]
    cycle: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Room that is kept for a waiting job: on each of `nodes` what one replica asks for, as it becomes free.

    `nodes` stand in the order of ranks: those of the first part, then those of the next.
    `by_eviction`: others are stopped for it; else it had waited so long that what frees up is kept.
    """

    nodes: tuple[NodeName, ...]
    since_us: int
    by_eviction: bool = True


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint as it was seen: what is at `path` (in the job's folder) changed to `state` at `seen_us`."""

    path: str
    state: str
    seen_us: int


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """Whole GPUs a node; `model` None means any."""

    count: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What one replica asks of its node: millicores, bytes."""

    cpu_milli: int = 1000
    memory_bytes: int = 10**9
    gpu: GpuRequest | None = None
    shm_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`path` is relative to the job's folder. `signal` is sent, then `grace_us` waited, before SIGKILL."""

    path: str | None = None
    every_us: int | None = None
    signal: str = "SIGTERM"
    grace_us: int = 10_000_000


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`on_events`: `node-failure`, `launch-failure`, `signal`, `exit:N`; at most `max` restarts for each."""

    on_events: tuple[str, ...] = ("node-failure", "launch-failure")
    max: int = 3


@dataclass(frozen=True, slots=True)
class Notify:
    """Where to post and whom to mail, one or both; and of which of started, failed, finished, preempted, deferred."""

    url: str | None
    events: tuple[str, ...]
    email: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A part of a job with a command of its own: `nodes` replicas, one a node."""

    name: str
    run: str
    nodes: int = 1
    resources: ResourceRequest = ResourceRequest()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A checked job file. Durations in microseconds, sizes in bytes; `workdir` is the path the user wrote.

    `deadline_us`: the instant by which it should have ended. With `roles`, `run`, `nodes` and `resources` mean nothing;
    `parts` are the roles, or the whole job as its only one. Ranks count over the parts, in their order.
    """

    name: str
    run: str = ""
    project: str | None = None
    queue: str | None = None
    nodes: int = 1
    resources: ResourceRequest = ResourceRequest()
    python: str | None = None
    workdir: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    setup: str | None = None
    time_limit_us: int | None = None
    priority: Priority = Priority.NORMAL
    preemptible: bool = False
    checkpoint: Checkpoint = Checkpoint()
    restart: RestartPolicy = RestartPolicy()
    notify: Notify | None = None
    array: tuple[Span, ...] = ()
    max_parallel: int | None = None
    deadline_us: int | None = None
    after: tuple[AfterWord, ...] = ()
    not_before: NotBefore | None = None
    schedule: Timetable | None = None
    roles: tuple[RoleSpec, ...] = ()
    stop_when: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[RoleSpec, ...]:
        return self.roles or (RoleSpec(MAIN_ROLE, self.run, self.nodes, self.resources),)

    @property
    def all_nodes(self) -> int:
        """Over all of its parts."""
        return sum(role.nodes for role in self.roles) or self.nodes

    def role_of(self, rank: int) -> tuple[str, int]:
        """The name of the part that a rank is of, and its rank in it."""
        number = rank
        for role in self.roles:
            if number < role.nodes:
                return role.name, number
            number -= role.nodes
        return MAIN_ROLE, rank

    def decides(self, rank: int) -> bool:
        """Whether the job ends well once this rank has, and all others that decide."""
        return not self.stop_when or self.role_of(rank)[0] in self.stop_when

    def called(self, rank: int) -> str:
        """What people call it: `rank 3`, or with roles `rollout 1`."""
        return " ".join(map(str, self.role_of(rank))) if self.roles else f"rank {rank}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class KeptSpec:
    """A job file as it was accepted, JSON types, and what it means; kept once, however many jobs are made of it.

    `id` is the SHA-256 of both (`workloads.specs`).
    """

    id: SpecId
    document: Mapping[str, object]
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One due instant of a schedule."""

    id: ScheduleId
    due_us: int


@dataclass(frozen=True, slots=True)
class Job:
    """A workload of kind job.

    Attributes:
        kept: its file, which it may share with others.
        attempt: number of the current or last attempt; 0 before the first.
        running_us: time between started and ended, summed over finished attempts (what `time_limit` bounds).
        restarts: how often it was restarted, by cause.
        stop_why, stop_us, kill_at_us: set while STOPPING: why, since when, and when SIGKILL follows the signal.
        stopped_for: the job that gets its room, where it is STOPPING for another.
        claim: the room that is kept for it while it waits.
        array: the array it is an element of.
        after, not_before_us: what has to end, and the instant that has to come, before it may start.
        scheduled: the schedule that submitted it, and for which due instant.
        generation: grows with every change that a plan must not be older than.
    """

    id: JobId
    tenant: TenantId
    project: ProjectId
    user: UserId
    queue: QueueName
    kept: KeptSpec
    state: JobState
    submitted_us: int
    blob: BlobId | None = None
    held: bool = False
    stop_why: StopWhy | None = None
    stop_us: int | None = None
    kill_at_us: int | None = None
    attempt: int = 0
    started_us: int | None = None
    finished_us: int | None = None
    running_us: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict)
    wait: Wait | None = None
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    generation: int = 0
    stopped_for: JobId | None = None
    claim: Claim | None = None
    array: ArrayPart | None = None
    after: tuple[After, ...] = ()
    not_before_us: int | None = None
    scheduled: Scheduled | None = None

    @property
    def spec(self) -> JobSpec:
        return self.kept.spec

    @property
    def spec_id(self) -> SpecId:
        return self.kept.id

    @property
    def name(self) -> str:
        """As its file names it; all elements of an array have the same."""
        return self.spec.name

    @property
    def title(self) -> str:
        """As people call it: `train`, or `sweep[3]` for an element of an array."""
        return self.name if self.array is None else f"{self.name}[{self.array.index}]"

    @property
    def array_id(self) -> ArrayId | None:
        return None if self.array is None else self.array.id

    @property
    def array_index(self) -> int | None:
        return None if self.array is None else self.array.index


@dataclass(frozen=True, slots=True)
class Role:
    """A part of a workload. The replicas of a gang end together; those that are no gang are independent."""

    id: RoleId
    job: JobId
    name: str
    replicas: int
    gang: bool


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of a role, with its number."""

    id: ReplicaId
    role: RoleId
    job: JobId
    rank: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at running one replica. Attempts of a gang with the same number end together.

    `outcome` is None while it is open; `saved` is the last checkpoint seen of it. Exactly one of `exit_code` and `signal`
    is set when the process ended by itself or was stopped; neither when nobody saw it end (NODE_FAILURE) or it never
    began (LAUNCH_FAILED).
    """

    id: AttemptId
    replica: ReplicaId
    job: JobId
    rank: int
    number: int
    main_address: str
    main_port: int
    outcome: Outcome | None = None
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    cpu_us: int | None = None
    memory_peak_bytes: int | None = None
    saved: Saved | None = None


class Fault(StrEnum):
    """Why leased time after `ended` or without an end is nobody's to pay."""

    SHIM_LOST = "shim-lost"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Lease:
    """The binding of an attempt to devices of one node. A lease that is not released is the allocation.

    Instants: opened with the plan's commit; started and ended from the shim's record; released when verified empty.
    `gpus` are device indices on the node. Billable is [started, ended).
    """

    id: LeaseId
    attempt: AttemptId
    job: JobId
    tenant: TenantId
    project: ProjectId
    queue: QueueName
    pool: PoolName
    flavor: FlavorName
    node: NodeName
    resources: Resources
    opened_us: int
    gpus: tuple[int, ...] = ()
    started_us: int | None = None
    ended_us: int | None = None
    released_us: int | None = None
    fault: Fault | None = None
