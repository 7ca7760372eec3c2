"""Faults that befall the cloud from outside: its nodes, its clock, and control planes that are one too many."""

from functools import partial
from typing import TYPE_CHECKING

from xingliu.control.bootstrap import ADMIN
from xingliu.control.errors import NotInControl
from xingliu.control.nodes import record_step
from xingliu.fleet.model import Node, NodeState
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import NodeName
from xingliu.sim.faults import Died, Fault, FaultKind
from xingliu.sim.store import MemoryStore

if TYPE_CHECKING:
    from xingliu.sim.cloud import SimCloud

K = FaultKind


class Accidents:
    """Carries out the faults that begin with each step, and ends those that are over.

    Attributes:
        clock_stepped: whether recorded instants may be apart from true time.
    """

    def __init__(self, cloud: "SimCloud") -> None:
        self._cloud = cloud
        self._until: dict[NodeName, int] = {}
        self.clock_stepped = False

    def happen(self) -> None:
        cloud = self._cloud
        for node in [node for node, until in self._until.items() if until <= cloud.step_number]:
            self._mend(node)
        for fault in cloud.troubles.next(cloud.step_number):
            cloud.say(f"!! {fault.kind}" + (f" for {fault.lasts} steps" if fault.lasts else f" ({fault.amount})"))
            self._befall(fault)

    def repair(self) -> None:
        """Every node answers and is well."""
        for node in list(self._until):
            self._mend(node)

    def _mend(self, node: NodeName) -> None:
        del self._until[node]
        self._cloud.machines.unhealthy.discard(node)
        self._cloud.machines.answer(node)

    def _befall(self, fault: Fault) -> None:
        match fault.kind:
            case K.NODE_SILENT | K.NODE_CRASH | K.NODE_UNHEALTHY:
                self._hit_node(fault)
            case K.CLOCK_STEP:
                self._cloud.timeline.step_clock(fault.amount)
                self.clock_stepped = True
                self._cloud.troubles.saw(K.CLOCK_STEP)
            case K.MEDDLING_WRITER:
                self._meddle(fault)
            case K.STALE_PLANE:
                self._resume_stale()
            case _:
                pass

    def _nodes(self) -> list[Node]:
        with MemoryStore(self._cloud.record).read() as unit:
            return [node for node in unit.nodes.find() if node.state is not NodeState.RETIRED]

    def _hit_node(self, fault: Fault) -> None:
        cloud, nodes = self._cloud, self._nodes()
        node = nodes[fault.amount % len(nodes)].name
        self._until[node] = max(self._until.get(node, 0), cloud.step_number + fault.lasts)
        cloud.troubles.saw(fault.kind)
        if fault.kind is K.NODE_UNHEALTHY:
            cloud.machines.unhealthy.add(node)
        else:
            cloud.machines.silence(node, crash=fault.kind is K.NODE_CRASH)

    def _meddle(self, fault: Fault) -> None:
        """Another control plane writes once, and is gone: what we believe is old from now on, and we may not write."""
        cloud = self._cloud
        store = MemoryStore(cloud.record)
        store.seize("meddler")
        cloud.troubles.saw(K.MEDDLING_WRITER)
        ready = [node for node in self._nodes() if node.state is NodeState.READY]
        if ready and cloud.plane is not None:
            node = ready[fault.amount % len(ready)]
            with store.write() as unit:
                now_us = cloud.plane.clock.now_us()
                record_step(unit, node, NodeState.DRAINING, now_us=now_us, actor="meddler", reason="meddling")

    def _resume_stale(self) -> None:
        """A control plane that slept through a takeover wakes up: it must be refused, whatever it does."""
        cloud, stale = self._cloud, self._cloud.plane
        cloud.restart()
        if stale is None or cloud.plane is None:
            return
        cloud.troubles.saw(K.STALE_PLANE)
        version, living = cloud.record.version, {replica.lease: replica.stop for replica in cloud.machines.living()}
        for act in (stale.turn, partial(stale.tenants.create, cloud.actors[ADMIN], f"late-{version}")):
            try:
                act()
            except NotInControl:
                pass
            except (XingliuError, Died) as error:
                cloud.say(f"   stale: {error}")
        cloud.invariants.hold(cloud.record.version == version, "a stale control plane wrote to the record")
        now = {replica.lease: replica.stop for replica in cloud.machines.living()}
        cloud.invariants.hold(now == living, "a stale control plane started or stopped replicas")
