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


@dataclass(frozen=True, slots=True)
class HeldInterval:
    """A lease as metering sees it; instants as on the lease, `fault` only where nobody is to pay."""

    key: str
    node: str
    pool: str
    tenant: str
    project: str
    job: str
    resources: Resources
    opened_us: int
    started_us: int | None
    ended_us: int | None
    released_us: int | None
    fault: LeasedAs | None = None


@dataclass(frozen=True, slots=True)
class NodeSpan:
    """A node in one state, from an instant to the next step (None: until now)."""

    node: str
    pool: str
    device_class: DeviceClass
    capacity: Resources
    start_us: int
    end_us: int | None
