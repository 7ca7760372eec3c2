"""One check of every node, and the step that follows from it."""

from xingliu.control.nodes import record_step
from xingliu.control.ports import Launcher, Store
from xingliu.control.world import World
from xingliu.fleet.health import judge
from xingliu.fleet.model import NodeState
from xingliu.kernel.clock import Clock
from xingliu.kernel.events import CLOUD


class Health:
    """Keeps the states of nodes true. One thread only."""

    def __init__(self, store: Store, world: World, launcher: Launcher, clock: Clock) -> None:
        self._store, self._world, self._launcher, self._clock = store, world, launcher, clock

    def is_awaited(self) -> bool:
        """Whether a node waits for its first check."""
        return any(node.state is NodeState.JOINING for node in list(self._world.nodes.values()))

    def run(self) -> None:
        """Check, judge, record. Raises LauncherUnavailable, StoreUnavailable."""
        nodes = list(self._world.nodes.values())
        now_us = self._clock.now_us()
        steps = []
        for health in self._launcher.health(nodes):
            node = self._world.nodes.get(health.node)
            if node is not None:
                busy = bool(self._world.open_leases(node.name))
                step = judge(node, answers=health.answers, reason=health.reason, busy=busy)
                if step is not None:
                    steps.append((node, *step))
        if not steps:
            return
        with self._store.write() as unit:
            for node, state, reason in steps:
                current = unit.nodes.get(node.name)
                if current is not None and current.generation == node.generation:
                    record_step(unit, current, state, now_us=now_us, actor=CLOUD, reason=reason)
