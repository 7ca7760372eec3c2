"""Every launcher there is, behind one way to say what a replica does and to let time pass."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from random import Random
from typing import Protocol

from tests import local

from xingliu.adapters.local.isolation import Isolation
from xingliu.control.ports import DesiredReplica, Launch, Launcher
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import LeaseId
from xingliu.sim.clock import Timeline
from xingliu.sim.faults import Troubles
from xingliu.sim.launcher import PORTS, SimLauncher
from xingliu.sim.lives import Life, OnStop, Way
from xingliu.sim.machines import NEVER_US, Machines
from xingliu.workloads.records import ReplicaRecord

KINDS = ["sim", *local.WALLS]


class Part(Enum):
    """What a replica plays."""

    SUCCEEDS = "ends with exit code 0"
    FAILS = "ends with exit code 3"
    STAYS = "runs until it is stopped"
    IS_DEAF = "runs on when it is asked to stop"


class Stage(Protocol):
    """A launcher, and the hands of fate around it."""

    launcher: Launcher

    def launch(self, lease: str, part: Part) -> Launch: ...
    def starts(self, lease: str) -> int:
        """How often the replica was started."""
        ...

    def until(self, happened: Callable[[], object]) -> None:
        """Let time pass until it is so."""
        ...

    def now_us(self) -> int: ...
    def is_free(self, host: str, port: int) -> bool:
        """Whether a replica could listen there. Raises OSError."""
        ...

    def restart(self) -> None:
        """A new launcher over what runs."""
        ...

    def kill_owner(self, lease: str) -> None:
        """SIGKILL to whatever owns the replica."""
        ...

    def kill_process(self, lease: str) -> None:
        """SIGKILL to the replica's own process."""
        ...


SCRIPTS = {
    Part.SUCCEEDS: "echo started >> $XL_JOB_DIR/starts",
    Part.FAILS: "echo started >> $XL_JOB_DIR/starts; exit 3",
    Part.STAYS: "echo started >> $XL_JOB_DIR/starts; exec sleep 1000",
    Part.IS_DEAF: "trap '' TERM; echo started >> $XL_JOB_DIR/starts; while true; do sleep 0.05; done",
}


class LocalStage:
    def __init__(self, home: Path, isolation: Isolation | None) -> None:
        self.cloud = local.LocalCloud(home, isolation)

    @property
    def launcher(self) -> Launcher:
        return self.cloud.parts.launcher

    def launch(self, lease: str, part: Part) -> Launch:
        return local.launch(lease, SCRIPTS[part])

    def starts(self, lease: str) -> int:
        file = self.cloud.home / "jobs" / lease.partition(".")[0] / "files" / "starts"
        return file.read_text().count("started") if file.exists() else 0

    def until(self, happened: Callable[[], object]) -> None:
        local.until(happened)

    def now_us(self) -> int:
        return local.Clock().now_us()

    def restart(self) -> None:
        self.cloud.restart()

    def kill_owner(self, lease: str) -> None:
        local.kill(self.cloud.shim_pid(lease))

    def is_free(self, host: str, port: int) -> bool:
        with socket.socket() as probe:
            probe.bind((host, port))
        return True

    def kill_process(self, lease: str) -> None:
        local.kill(self.cloud.command(lease, "sleep 1000"))


class SimStage:
    """Virtual machines; time passes only in `until`."""

    WAYS: Mapping[Part, Way] = {
        Part.SUCCEEDS: Way(work_us=SECOND_US),
        Part.FAILS: Way(work_us=SECOND_US, exit_code=3),
        Part.STAYS: Way(work_us=NEVER_US // 2),
        Part.IS_DEAF: Way(work_us=NEVER_US // 2, on_stop=OnStop.IGNORES),
    }

    def __init__(self) -> None:
        self._timeline = Timeline()
        self._machines = Machines(self._timeline, Random(0))
        self.restart()

    def launch(self, lease: str, part: Part) -> Launch:
        rank = int(lease.split(".")[-2])
        way = replace(self.WAYS[part], rank=rank)
        return replace(local.launch(lease, Life((way,)).script()), rank=rank, environment={"XL_ATTEMPT": "1"})

    def starts(self, lease: str) -> int:
        replica = self._machines.replicas.get(LeaseId(lease))
        return int(replica is not None and replica.started_us is not None)

    def until(self, happened: Callable[[], object]) -> None:
        for _ in range(1000):
            if happened():
                return
            self._timeline.pass_by(SECOND_US // 10)
            self._machines.pass_time()
        raise AssertionError("it did not happen in a hundred seconds")

    def now_us(self) -> int:
        return self._timeline.wall_us()

    def restart(self) -> None:
        self.launcher = SimLauncher(self._machines, Troubles((), interrupt=self._nobody), Random(0))

    def _nobody(self) -> None:
        """Nobody wishes anything here."""

    def kill_owner(self, lease: str) -> None:
        self._machines.kill_shim(self._machines.replicas[LeaseId(lease)])

    def kill_process(self, lease: str) -> None:
        self._machines.kill_process(self._machines.replicas[LeaseId(lease)])

    def is_free(self, host: str, port: int) -> bool:
        return host != "" and port in range(*PORTS)


@contextmanager
def make_stage(kind: str, tmp_path: Path) -> Iterator[Stage]:
    if kind == "sim":
        yield SimStage()
        return
    stage = LocalStage(tmp_path / "home", local.WALLS[kind])
    try:
        yield stage
    finally:
        stage.cloud.close()


class Play:
    """A stage with the replicas that are wanted on it now."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.wanted: dict[str, DesiredReplica] = {}

    def want(self, *replicas: DesiredReplica) -> None:
        self.wanted |= {replica.lease: replica for replica in replicas}
        self.ensure()

    def ensure(self) -> None:
        self.stage.launcher.ensure(list(self.wanted.values()))

    def record(self, lease: str) -> ReplicaRecord | None:
        return next(iter(self.stage.launcher.observe([LeaseId(lease)])), None)

    def wait_for(self, lease: str, holds: Callable[[ReplicaRecord], object]) -> ReplicaRecord:
        seen: list[ReplicaRecord] = []

        def happened() -> bool:
            self.ensure()
            record = self.record(lease)
            seen.extend([record] if record is not None and holds(record) else [])
            return bool(seen)

        self.stage.until(happened)
        return seen[0]

    def start(self, lease: str, part: Part) -> ReplicaRecord:
        self.want(DesiredReplica(LeaseId(lease), self.stage.launch(lease, part)))
        record = self.wait_for(lease, lambda record: record.started_us is not None)
        self.stage.until(lambda: self.stage.starts(lease))
        return record

    def end(self, lease: str) -> ReplicaRecord:
        return self.wait_for(lease, lambda record: record.over and record.empty_us is not None)
