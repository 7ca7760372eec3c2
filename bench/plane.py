"""A control plane in this process: the real one over a store of its own in a SQLite file, beside machines that only pretend."""

import heapq
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from xingliu.adapters.host import SystemClock, SystemIds
from xingliu.adapters.sql.store import open_store
from xingliu.compose.collecting import collect_seldom
from xingliu.control.actors import new_credential
from xingliu.control.ports import DesiredReplica, Launcher, NodeHealth
from xingliu.fleet.model import Node
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import JobId, LeaseId, NodeName
from xingliu.scheduling.policy import decide
from xingliu.sim.estate import SimMachine, admin
from xingliu.sim.plane import Decide, Plane
from xingliu.tenancy.model import Actor, Project
from xingliu.workloads.records import Phase, ReplicaRecord


class PretendedMachines(Launcher):
    """Runs nothing: a replica starts when it is asked for, and ends by itself after its job's `run_us`, if that has one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.run_us: dict[JobId, int] = {}
        self.records: dict[LeaseId, ReplicaRecord] = {}
        self._ends: list[tuple[int, LeaseId]] = []

    def ensure(self, desired: Sequence[DesiredReplica]) -> None:
        now_us = self._clock.now_us()
        for replica in desired:
            if replica.lease not in self.records:
                self.records[replica.lease] = ReplicaRecord(replica.lease, Phase.RUNNING, started_us=now_us)
                if (run_us := self.run_us.get(replica.launch.job)) is not None:
                    heapq.heappush(self._ends, (now_us + run_us, replica.lease))
            if replica.stop is not None:
                self.end(replica.lease, now_us, stopped=True)
        if len(self.records) > 2 * len(desired) + 1000:
            named = {replica.lease for replica in desired}
            self.records = {lease: record for lease, record in self.records.items() if lease in named}

    def end(self, lease: LeaseId, at_us: int, *, stopped: bool = False) -> None:
        """Its process is no more, and nothing of it is left."""
        record = self.records.get(lease)
        if record is not None and not record.over:
            code, signal = (None, 15) if stopped else (0, None)
            self.records[lease] = ReplicaRecord(
                lease, Phase.ENDED, record.started_us, at_us, at_us, exit_code=code, signal=signal, stopped=stopped
            )

    @property
    def next_end_us(self) -> int | None:
        return self._ends[0][0] if self._ends else None

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        now_us = self._clock.now_us()
        while self._ends and self._ends[0][0] <= now_us:
            at_us, lease = heapq.heappop(self._ends)
            self.end(lease, at_us)
        return [self.records[lease] for lease in leases if lease in self.records]

    def health(self, nodes: Sequence[Node]) -> Sequence[NodeHealth]:
        return [NodeHealth(node.name) for node in nodes]

    def address(self, node: NodeName) -> tuple[str, int]:
        return node, 20_000

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Nobody needs to be woken."""

    def close(self) -> None:
        """Nothing runs."""


class BenchPlane:
    """The plane, its actor (an administrator) and a project to submit to; use it as a context manager."""

    def __init__(self, estate: Mapping[str, object], *, decide: Decide = decide) -> None:
        collect_seldom()
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="xl-bench-"))
        self.file = Path(folder) / "store.db"
        store = open_store(f"sqlite:///{self.file}")
        self._stack.callback(store.close)
        self.clock, self.ids = SystemClock(), SystemIds()
        self.machines = PretendedMachines(self.clock)
        self.plane = Plane(
            store,
            self.machines,
            self.clock,
            self.ids,
            SimMachine(),
            owner="bench",
            credential=new_credential(self.ids),
            decide=decide,
        )
        self.actor: Actor = admin(self.plane)
        self.plane.cloud.apply(self.actor, estate, preview=False)
        self.plane.health.run()
        self.plane.tenants.create(self.actor, "acme")
        self.project: Project = self.plane.projects.create(self.actor, "acme", "lab")

    def __enter__(self) -> "BenchPlane":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
