"""A single change that may start a waiting job sooner, in words: what it is of, from what, to what."""

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What a change is of, from cheap to dear: what costs nobody anything, what its user gives up, what others do.

    From RELEASE_QUEUE on only operators can make it.
    """

    RELEASE = "release"
    QUEUE = "queue"
    MODEL = "gpu-model"
    MEMORY = "memory"
    CPU = "cpu"
    TIME_LIMIT = "time-limit"
    PREEMPTIBLE = "preemptible"
    GPUS = "gpus"
    NODES = "nodes"
    PRIORITY = "priority"
    STOP_OWN = "stop-own-job"
    RELEASE_QUEUE = "release-queue"
    RESUME_NODE = "resume-node"
    LIMIT = "limit"
    STOP_OTHER = "stop-job"
    REPAIR_NODE = "repair-node"

    @property
    def by_operator(self) -> bool:
        kinds = list(ChangeKind)
        return kinds.index(self) >= kinds.index(ChangeKind.RELEASE_QUEUE)


Value = int | str | bool | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change, all else as it is.

    Attributes:
        subject: the queue, node or job that is changed; the waiting job itself where its own request is.
        before, after: millicores, bytes, microseconds left to run, counts, milli-units of a quota kind, or words.
        bound, quota_kind: of a LIMIT, which bound of the queue, and what it counts.
    """

    kind: ChangeKind
    subject: str
    before: Value
    after: Value
    bound: str = ""
    quota_kind: str = ""


class Effect(StrEnum):
    """What the next cycle does with the job once the change is made."""

    STARTS = "starts"
    PREEMPTS = "preempts"


@dataclass(frozen=True, slots=True)
class Advice:
    """The cheapest single change after which the next cycle starts a job, or begins the preemption that does.

    Attributes:
        change, effect: None where none of those that were tried helps.
        tried: what was looked at, from cheap to dear.
    """

    change: Change | None
    effect: Effect | None
    tried: tuple[ChangeKind, ...]
