"""One process of the control plane: everything `xl up` would build, over stand-ins. It may die at any step."""

from collections.abc import Callable

from xingliu.control.advising import Advising
from xingliu.control.arrays import Arrays
from xingliu.control.bootstrap import bootstrap
from xingliu.control.bulk import BulkJobs
from xingliu.control.cloud import Cloud
from xingliu.control.forecasts import Forecasts
from xingliu.control.health import Health
from xingliu.control.holds import Holds
from xingliu.control.jobs import Jobs
from xingliu.control.launches import Launches
from xingliu.control.nodes import Nodes
from xingliu.control.ports import Launcher, Machine, Store
from xingliu.control.projects import Projects
from xingliu.control.schedules import Schedules
from xingliu.control.scheduling import Scheduling
from xingliu.control.secrets import Secrets
from xingliu.control.submissions import Submissions
from xingliu.control.tenants import Tenants
from xingliu.control.users import Users
from xingliu.control.world import World
from xingliu.kernel.clock import SECOND_US, Clock
from xingliu.kernel.ids import Ids
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.sim.sealer import SimSealer

HEALTH_EVERY_US = 5 * SECOND_US
Decide = Callable[[Snapshot], Plan]


def nothing() -> None:
    """Nobody needs to be woken: the next step runs a cycle anyway."""


class Plane:
    """`turn` is one turn of its loop; everything else is what its API would call."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        clock: Clock,
        ids: Ids,
        machine: Machine,
        *,
        owner: str,
        credential: str,
        decide: Decide,
    ) -> None:
        store.seize(owner)
        self.owner, self.store, self.clock = owner, store, clock
        bootstrap(store, clock, machine, admin_credential=credential)
        sealer = SimSealer()
        self.world = World(store)
        launches = Launches(store, self.world, launcher, sealer)
        self.scheduling = Scheduling(store, self.world, launcher, launches, clock, decide=decide)
        self.health = Health(store, self.world, launcher, clock)
        self.forecasts = Forecasts(store, self.world, clock, decide=decide)
        advising = Advising(self.scheduling, self.forecasts)
        self.jobs = Jobs(store, self.world, self.scheduling, self.forecasts, advising, clock, wake=nothing)
        self.arrays = Arrays(store, self.world, self.scheduling, self.jobs, clock, wake=nothing)
        self.bulk = BulkJobs(store, self.world, clock, wake=nothing)
        self.submissions = Submissions(store, self.world, advising, clock, ids, wake=nothing, check_space=nothing)
        self.schedules = Schedules(store, self.world, self.submissions, clock, ids)
        self.nodes, self.holds = Nodes(store, clock), Holds(store, clock, wake=nothing)
        self.tenants, self.projects, self.users = Tenants(store, clock), Projects(store, clock), Users(store, clock)
        self.secrets = Secrets(store, clock, sealer)
        self.cloud = Cloud(store, self.forecasts, clock, machine, wake=nothing)
        self._checked_us = 0

    def turn(self) -> Plan | None:
        """Check the nodes when it is time, and run a cycle. Raises what these raise."""
        now_us = self.clock.now_us()
        if now_us - self._checked_us >= HEALTH_EVERY_US:
            self.health.run()
            self._checked_us = now_us
        self.schedules.run_due()
        return self.scheduling.run_cycle()
