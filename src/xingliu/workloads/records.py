"""What a shim's record tells of its replica."""

from dataclasses import dataclass
from enum import StrEnum

from xingliu.kernel.ids import LeaseId
from xingliu.workloads.model import Saved


class Phase(StrEnum):
    """How far a replica got, as its shim's record tells."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"
    LAUNCH_FAILED = "launch-failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """What is known of one replica on its node.

    Attributes:
        started_us, ended_us: from the shim's record. When LOST, ended_us is the last instant that proves it alive.
        empty_us: when nothing of it was left (processes and cgroups), None until then.
        exit_code or signal: of the replica's process; neither when LOST or LAUNCH_FAILED.
        stopped: whether it was asked to stop, or killed, before it ended.
        saved: the last checkpoint that was seen to change since it started.
        message: one sentence a tenant can read, empty when there is nothing to add.
    """

    lease: LeaseId
    phase: Phase
    started_us: int | None = None
    ended_us: int | None = None
    empty_us: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    stopped: bool = False
    message: str = ""
    cpu_us: int | None = None
    memory_peak_bytes: int | None = None
    saved: Saved | None = None

    @property
    def over(self) -> bool:
        """Whether the replica's process is no more, or never was."""
        return self.phase in (Phase.ENDED, Phase.LAUNCH_FAILED, Phase.LOST)
