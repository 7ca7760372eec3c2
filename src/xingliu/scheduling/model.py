"""What a decision may know (Snapshot) and what it says (Plan)."""

from dataclasses import dataclass

from xingliu.fleet.model import NodeState
from xingliu.kernel.ids import FlavorName, JobId, NodeName, PoolName, ProjectId, QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.workloads.model import ResourceRequest, Wait

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


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A gang that waits: `replicas` copies of `request` on as many different nodes, all or none.

    `time_left_us`: what remains of its time limit, None without one; only forecasts use it.
    """

    id: JobId
    name: str
    project: ProjectId
    queue: QueueName
    priority: int
    submitted_us: int
    replicas: int
    request: ResourceRequest
    held: bool = False
    time_left_us: int | None = None
    generation: int = 0
    user: UserId = NOBODY
    preemptible: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """One replica's place. `charge` is what its queue is charged, by quota kind."""

    rank: int
    node: NodeName
    pool: PoolName
    flavor: FlavorName
    resources: Resources
    charge: Resources
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that holds leases. `ends_us` is the latest instant its time limit allows, None if it has none."""

    id: JobId
    name: str
    queue: QueueName
    seats: tuple[Seat, ...]
    ends_us: int | None
    project: ProjectId = NO_PROJECT
    user: UserId = NOBODY


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one cycle may know. The order of `nodes`, `queues` and `pending` does not change the plan."""

    version: int
    cycle: int
    now_us: int
    nodes: tuple[NodeView, ...]
    queues: tuple[QueueView, ...]
    pending: tuple[PendingJob, ...]
    running: tuple[RunningJob, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Start the whole gang here."""

    job: JobId
    seats: tuple[Seat, ...]
    generation: int = 0


@dataclass(frozen=True, slots=True)
class StayPending:
    """Leave it waiting, for this reason."""

    job: JobId
    wait: Wait


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision for each pending job of the snapshot it was made from."""

    version: int
    cycle: int
    decisions: tuple[Place | StayPending, ...]

    @property
    def placements(self) -> tuple[Place, ...]:
        return tuple(decision for decision in self.decisions if isinstance(decision, Place))
