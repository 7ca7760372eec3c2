"""Intervals of its own: control maps leases and node states to them."""

from dataclasses import dataclass
from enum import StrEnum

from xingliu.kernel.resources import Resources


class DeviceClass(StrEnum):
    """What a device is at an instant: the first that matches, in this order."""

    NOT_CAPACITY = "not capacity"
    LEASED = "leased"
    DOWN = "down"
    DRAINING = "draining"
    IDLE = "idle"


class LeasedAs(StrEnum):
    """The parts of leased time: one is billed, the others are unbilled with their cause."""

    BILLED = "billed"
    STARTING = "starting"
    RELEASING = "releasing"
    SHIM_LOST = "shim lost"
    OPERATOR = "operator's fault"


class LostTo(StrEnum):
    """Why billed time did not move the work forward. The payer is the tenant in all of them."""

    FAILED = "failed attempt"
    NODE_FAILURE = "node failure"
    HELD = "held"
    CANCELLED = "cancelled"
    TIME_LIMIT = "time limit"
    PREEMPTED = "preemption"


@dataclass(frozen=True, slots=True)
class HeldInterval:
    """A lease as metering sees it; instants as on the lease, in order, None for what has not happened.

    Attributes:
        key: the lease's id; two intervals with one key are one lease told twice.
        gpus: device indices on the node; empty where the lease holds no GPU.
        fault: only where nobody is to pay for what follows `ended_us` (or `started_us`, or `opened_us`, if that is the last).
        lost_to: why the attempt brought nothing; None when it SUCCEEDED or is not over. All ranks of a gang share it.
        preserved_until_us: with `lost_to`, the last checkpoint seen; work up to then is not lost.
    """

    key: str
    node: str
    pool: str
    flavor: str
    tenant: str
    project: str
    job: str
    resources: Resources
    opened_us: int
    started_us: int | None
    ended_us: int | None
    released_us: int | None
    fault: LeasedAs | None = None
    gpus: tuple[int, ...] = ()
    lost_to: LostTo | None = None
    preserved_until_us: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSpan:
    """A node in one class and capacity, from an instant to its next step (None: until now)."""

    node: str
    pool: str
    device_class: DeviceClass
    capacity: Resources
    start_us: int
    end_us: int | None
