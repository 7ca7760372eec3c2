"""The Launcher over virtual machines, with the faults of a real one."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from xingliu.control.errors import NotInControl
from xingliu.control.ports import DesiredReplica, Launcher, NodeHealth
from xingliu.fleet.model import Node
from xingliu.kernel.ids import LeaseId, NodeName
from xingliu.sim.faults import FaultKind, Troubles
from xingliu.sim.machines import Machines
from xingliu.workloads.records import ReplicaRecord

PORTS = (20_000, 30_000)


class SimLauncher(Launcher):
    """One control plane's handle on the machines; a later handle takes over, and this one is refused from then on."""

    def __init__(self, machines: Machines, troubles: Troubles, dice: Random) -> None:
        self._machines, self._troubles, self._dice = machines, troubles, dice
        machines.owner += 1
        self._owner = machines.owner
        machines.listeners.clear()

    def ensure(self, desired: Sequence[DesiredReplica]) -> None:
        self._reach()
        for done, replica in enumerate(desired):
            self._troubles.ensure_one(done)
            if replica.launch.node not in self._machines.silent:
                self._ensure(replica)
        named = {replica.lease for replica in desired}
        for living in self._machines.living():
            if living.lease not in named and living.node not in self._machines.silent:
                self._troubles.call()
                self._machines.kill(living)

    def _ensure(self, desired: DesiredReplica) -> None:
        known = self._machines.replicas.get(desired.lease)
        if known is None and desired.stop is None:
            self._machines.start(desired.launch)
        elif known is None:
            self._machines.never_start(desired.launch)
        elif desired.stop is not None:
            self._machines.stop(known, desired.stop)

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        self._reach()
        return [record for lease in leases for record in self._told(lease)]

    def _told(self, lease: LeaseId) -> Iterator[ReplicaRecord]:
        replica = self._machines.replicas.get(lease)
        if replica is None or not replica.told:
            return
        latest = replica.told[-1]
        if self._befalls(FaultKind.REPORT_LOST):
            return
        if len(replica.told) > 1 and self._befalls(FaultKind.REPORT_STALE):
            latest = self._dice.choice(replica.told[:-1])
        yield latest
        if self._befalls(FaultKind.REPORT_DUPLICATE):
            yield self._dice.choice(replica.told)

    def health(self, nodes: Sequence[Node]) -> Sequence[NodeHealth]:
        self._reach()
        return [self._health(node.name) for node in nodes]

    def _health(self, node: NodeName) -> NodeHealth:
        if node in self._machines.silent:
            return NodeHealth(node, "it does not answer", answers=False)
        return NodeHealth(node, "its disk is full" if node in self._machines.unhealthy else "")

    def address(self, node: NodeName) -> tuple[str, int]:
        self._reach()
        self._troubles.between()
        return node, self._dice.randrange(*PORTS)

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._machines.listeners.append(wake)

    def close(self) -> None:
        """What runs goes on."""

    def _reach(self) -> None:
        if self._machines.owner != self._owner:
            raise NotInControl
        self._troubles.reach_launcher()

    def _befalls(self, kind: FaultKind) -> bool:
        """Half of the reports, while that kind of fault lasts."""
        befalls = self._troubles.now(kind) and self._dice.random() < 0.5
        if befalls:
            self._troubles.saw(kind)
        return befalls
