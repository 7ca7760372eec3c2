"""What the planner knows now, and what it makes of it, as a file that operators can attach to a bug."""

from collections.abc import Callable

from xingliu.control.ports import Store
from xingliu.control.scheduling import Scheduling
from xingliu.control.scope import Scope
from xingliu.control.world import World
from xingliu.forecast.snapshot_file import export
from xingliu.kernel.clock import Clock
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.scheduling.policy import decide
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb


class Snapshots:
    """`version`: of this Xingliu, written into each file."""

    def __init__(
        self,
        store: Store,
        world: World,
        scheduling: Scheduling,
        clock: Clock,
        *,
        version: str,
        decide: Callable[[Snapshot], Plan] = decide,
    ) -> None:
        self._store, self._world, self._scheduling, self._clock = store, world, scheduling, clock
        self._version, self._decide = version, decide

    def export(self, actor: Actor, *, anonymous: bool) -> dict[str, object]:
        """The next cycle's input and plan, JSON types; nothing is recorded. Raises Forbidden."""
        with self._store.read() as unit:
            Scope(unit, actor).require(Verb.SNAPSHOT_READ)
        snapshot = self._world.snapshot(cycle=self._scheduling.cycle, now_us=self._clock.now_us())
        return export(snapshot, self._decide, made_by=self._version, anonymous=anonymous)
