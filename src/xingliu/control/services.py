"""What the edges get: one object a noun. `compose` fills it; nothing else knows how they are made."""

from collections.abc import Callable
from dataclasses import dataclass

from xingliu.control.actors import Actors
from xingliu.control.advising import Advising
from xingliu.control.alterations import Alterations
from xingliu.control.arrays import Arrays
from xingliu.control.attach import Attach
from xingliu.control.blobs import Blobs
from xingliu.control.bulk import BulkJobs
from xingliu.control.cloud import Cloud
from xingliu.control.events import Events
from xingliu.control.flavors import Flavors, Pools
from xingliu.control.forecasts import Forecasts
from xingliu.control.gauges import Gauges
from xingliu.control.holds import Holds
from xingliu.control.jobs import Jobs
from xingliu.control.keys import Keys
from xingliu.control.logs import Files, Logs
from xingliu.control.nodes import Nodes
from xingliu.control.ports import BlobStore, Machine, ReplicaFiles, Sealer, Shells, Store
from xingliu.control.projects import Projects
from xingliu.control.queues import Queues
from xingliu.control.schedules import Schedules
from xingliu.control.scheduling import Scheduling
from xingliu.control.secrets import Secrets
from xingliu.control.snapshots import Snapshots
from xingliu.control.submissions import Submissions
from xingliu.control.tenants import Tenants
from xingliu.control.usage import Usage
from xingliu.control.users import Users
from xingliu.control.whoami import Whoami
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import Ids


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world, as the edges' requests need it."""

    store: Store
    clock: Clock
    ids: Ids
    sealer: Sealer
    machine: Machine
    blobs: BlobStore
    files: ReplicaFiles
    shells: Shells


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while this process runs. `multi_tenant`: whether tenants are kept apart by uid here."""

    version: str
    multi_tenant: bool


@dataclass(frozen=True, slots=True)
class Services:
    """Every noun's control object."""

    about: About
    actors: Actors
    whoami: Whoami
    gauges: Gauges
    jobs: Jobs
    bulk: BulkJobs
    arrays: Arrays
    submissions: Submissions
    alterations: Alterations
    schedules: Schedules
    logs: Logs
    files: Files
    attach: Attach
    blobs: Blobs
    tenants: Tenants
    projects: Projects
    users: Users
    keys: Keys
    secrets: Secrets
    nodes: Nodes
    queues: Queues
    holds: Holds
    flavors: Flavors
    pools: Pools
    events: Events
    usage: Usage
    cloud: Cloud
    snapshots: Snapshots


def services_over(
    ports: Ports,
    about: About,
    *,
    world: World,
    scheduling: Scheduling,
    forecasts: Forecasts,
    wake: Callable[[], None],
    check_space: Callable[[], None],
) -> Services:
    """All of them over the same ports. `wake` asks for a cycle soon; `check_space` raises DiskFull."""
    store, clock, ids = ports.store, ports.clock, ports.ids
    advising = Advising(scheduling, forecasts)
    jobs = Jobs(store, world, scheduling, forecasts, advising, clock, wake=wake)
    submissions = Submissions(store, world, advising, clock, ids, wake=wake, check_space=check_space)
    return Services(
        about=about,
        actors=Actors(store),
        whoami=Whoami(store),
        gauges=Gauges(store, world, scheduling),
        jobs=jobs,
        bulk=BulkJobs(store, world, clock, wake=wake),
        arrays=Arrays(store, world, scheduling, jobs, clock, wake=wake),
        submissions=submissions,
        schedules=Schedules(store, world, submissions, clock, ids),
        alterations=Alterations(store, world, clock, wake=wake),
        logs=Logs(store, ports.files),
        files=Files(store, ports.files),
        attach=Attach(store, clock, ports.shells),
        blobs=Blobs(store, clock, ports.blobs),
        tenants=Tenants(store, clock),
        projects=Projects(store, clock),
        users=Users(store, clock),
        keys=Keys(store, clock, ids),
        secrets=Secrets(store, clock, ports.sealer),
        nodes=Nodes(store, clock),
        queues=Queues(store, world, scheduling, clock),
        holds=Holds(store, clock, wake=wake),
        flavors=Flavors(store),
        pools=Pools(store),
        events=Events(store),
        usage=Usage(store, clock),
        cloud=Cloud(store, forecasts, clock, ports.machine, wake=wake),
        snapshots=Snapshots(store, world, scheduling, clock, version=about.version),
    )
