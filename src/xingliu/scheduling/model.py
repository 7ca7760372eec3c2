"""What a decision may know (Snapshot) and what it says (Plan)."""

from dataclasses import dataclass

from xingliu.fleet.model import FairShare, NodeState, QueueOrder
from xingliu.kernel.ids import FlavorName, JobId, NodeName, PoolName, ProjectId, QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.workloads.arrays import ArrayPart
from xingliu.workloads.dependencies import After
from xingliu.workloads.model import MAIN_ROLE, Claim, ResourceRequest, StopWhy, Wait

FAIR_SHARE = FairShare(reserve_after_us=None)
NOBODY, NO_PROJECT = UserId(""), ProjectId("")


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with what is free on it. `free_gpus` are device indices; `gpu` is the model, None where it has none."""

    name: NodeName
    pool: PoolName
    flavor: FlavorName
    gpu: str | None
    state: NodeState
    capacity: Resources
    free: Resources
    free_gpus: tuple[int, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue's bounds and what its own jobs hold now, by `Flavor.quota_kind`; a bound that is None is none.

    `parent` None: under the root. What the queues below it hold is not in `in_use`.
    """

    name: QueueName
    quota: Resources | None
    in_use: Resources
    held: bool = False
    generation: int = 0
    parent: QueueName | None = None
    borrow_limit: Resources | None = None
    lend_limit: Resources | None = None
    user_limit: Resources | None = None
    project_limit: Resources | None = None
    min_runtime_us: int = 0
    weight: int = 1
    order: QueueOrder | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What a user's jobs held in a queue lately, by quota kind: milli-units x microseconds, faded until `as_of_us`."""

    queue: QueueName
    user: UserId
    amounts: Resources
    as_of_us: int

    @property
    def key(self) -> str:
        """Its id in the store: a queue's name has no colon."""
        return f"{self.queue}:{self.user}"


@dataclass(frozen=True, slots=True)
class Part:
    """`replicas` copies of `request`, on as many different nodes of one flavor."""

    replicas: int
    request: ResourceRequest
    role: str = MAIN_ROLE


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A gang that waits: all of its parts start together, or none.

    Attributes:
        parts: at least one. Each has a flavor of its own; two of them may share a node that has room for both.
        time_left_us: what remains of its time limit, None without one.
        ran_us: how long it ran already, in earlier attempts; only forecasts use it.
        deadline_us: when it should have ended.
        claim: nodes on which room is kept for it.
        after: ends of others that are not met yet, or never will be; not_before_us: when it may start at the earliest.
        array: what it is an element of; no more of its elements than `max_parallel` hold seats or claims at once.
    """

    id: JobId
    name: str
    project: ProjectId
    queue: QueueName
    priority: int
    submitted_us: int
    parts: tuple[Part, ...]
    held: bool = False
    time_left_us: int | None = None
    generation: int = 0
    user: UserId = NOBODY
    preemptible: bool = False
    claim: Claim | None = None
    array: ArrayPart | None = None
    deadline_us: int | None = None
    ran_us: int = 0
    after: tuple[After, ...] = ()
    not_before_us: int | None = None

    def may_start(self, now_us: int) -> bool:
        """Whether nothing of its own keeps it: it is not held, all it waits for has ended, and its time has come."""
        return not self.held and not self.after and (self.not_before_us is None or self.not_before_us <= now_us)


@dataclass(frozen=True, slots=True)
class Seat:
    """One replica's place. `charge` is what its queue is charged, by quota kind.

    `rank` counts over all parts of the job, in their order; `role_rank` over the replicas of its own.
    """

    rank: int
    node: NodeName
    pool: PoolName
    flavor: FlavorName
    resources: Resources
    charge: Resources
    gpus: tuple[int, ...] = ()
    role: str = MAIN_ROLE
    role_rank: int = 0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that holds leases.

    Attributes:
        ends_us: the latest instant its time limit allows, None if it has none.
        again: how it would wait if it were stopped for another; None where that cannot be.
        started_us, saved_us: since when it runs, and when a checkpoint of this attempt was last seen to change.
        leaves_us: when it is killed at the latest, if it is stopping.
        leaves_for: the job it was stopped for.
        grace_us: between its signal and SIGKILL.
    """

    id: JobId
    name: str
    queue: QueueName
    seats: tuple[Seat, ...]
    ends_us: int | None
    project: ProjectId = NO_PROJECT
    user: UserId = NOBODY
    again: PendingJob | None = None
    started_us: int = 0
    saved_us: int | None = None
    leaves_us: int | None = None
    leaves_for: JobId | None = None
    grace_us: int = 0
    generation: int = 0
    array: ArrayPart | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one cycle may know. The order of `nodes`, `queues` and `pending` does not change the plan.

    `used`: as of `now_us`, what runs included; who is not in it held nothing lately.
    """

    version: int
    cycle: int
    now_us: int
    nodes: tuple[NodeView, ...]
    queues: tuple[QueueView, ...]
    pending: tuple[PendingJob, ...]
    running: tuple[RunningJob, ...] = ()
    used: tuple[Used, ...] = ()
    fair: FairShare = FAIR_SHARE


@dataclass(frozen=True, slots=True)
class Place:
    """Start the whole gang here."""

    job: JobId
    seats: tuple[Seat, ...]
    generation: int = 0


@dataclass(frozen=True, slots=True)
class StayPending:
    """Leave it waiting, for this reason; with a claim, nobody else gets that room.

    `borrows`: its turn came once more, with those who would have to borrow.
    """

    job: JobId
    wait: Wait
    claim: Claim | None = None
    borrows: bool = False


@dataclass(frozen=True, slots=True)
class Evict:
    """Stop it with its signal and grace, for `preemptor`; it comes back."""

    job: JobId
    why: StopWhy
    preemptor: JobId
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision for each pending job of the snapshot it was made from, and what runs that has to stop for them."""

    version: int
    cycle: int
    decisions: tuple[Place | StayPending, ...]
    evictions: tuple[Evict, ...] = ()

    @property
    def placements(self) -> tuple[Place, ...]:
        return tuple(decision for decision in self.decisions if isinstance(decision, Place))

    @property
    def stays(self) -> tuple[StayPending, ...]:
        return tuple(decision for decision in self.decisions if isinstance(decision, StayPending))
