"""The control plane's own figures, cheap enough to be asked for every second."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from xingliu.control.ports import Store
from xingliu.control.scheduling import Scheduling
from xingliu.control.world import World
from xingliu.fleet.model import NodeState
from xingliu.workloads.model import FINAL, JobState


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure, whole; `label` is a name and a value, or None."""

    name: str
    meaning: str
    value: int
    label: tuple[str, str] | None = None


class Gauges:
    def __init__(self, store: Store, world: World, scheduling: Scheduling) -> None:
        self._store, self._world, self._scheduling = store, world, scheduling

    def read(self) -> Iterator[Gauge]:
        """All figures, those of one name together."""
        states = Counter(job.state for job in list(self._world.jobs.values()))
        for state in (state for state in JobState if state not in FINAL):
            yield Gauge("xingliu_jobs", "Unfinished jobs by state.", states[state], ("state", state.value))
        nodes = Counter(node.state for node in list(self._world.nodes.values()))
        for node_state in NodeState:
            yield Gauge("xingliu_nodes", "Nodes by state.", nodes[node_state], ("state", node_state.value))
        yield Gauge("xingliu_open_leases", "Leases that are not released.", len(self._world.open_leases()))
        yield Gauge("xingliu_cycle", "Number of the last scheduling cycle.", self._scheduling.cycle)
        yield Gauge("xingliu_store_version", "Number of the last committed transaction.", self._store.version())

    def check(self) -> None:
        """Whether requests can be answered. Raises StoreUnavailable."""
        with self._store.read() as unit:
            unit.events.last_seq()
