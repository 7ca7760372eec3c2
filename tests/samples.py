"""Values of every noun that fit together: one tenant, one project, one user, one pool of two GPU nodes."""

from dataclasses import replace

from xingliu.control.ports import Blob, Cursor, Receipt, Settings, Unit
from xingliu.fleet.model import CloudSettings, Device, Flavor, Node, NodeState, Pool, Queue, QueueOrder
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import (
    ArrayId,
    AttemptId,
    BlobId,
    FlavorName,
    JobId,
    KeyId,
    LeaseId,
    NodeName,
    PoolName,
    ProjectId,
    QueueName,
    ScheduleId,
    SecretId,
    TenantId,
    UserId,
    replica_id,
    role_id,
)
from xingliu.kernel.money import Price
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Used
from xingliu.tenancy.model import Binding, Key, Project, Secret, Tenant, User
from xingliu.tenancy.model import Role as Rights
from xingliu.workloads.arrays import Array
from xingliu.workloads.model import Attempt, Job, JobSpec, JobState, Lease, Replica, Role
from xingliu.workloads.schedules import Schedule
from xingliu.workloads.specs import keep_spec
from xingliu.workloads.timetables import Timetable

TENANT = Tenant(TenantId("acme"), 1)
QUEUE = Queue(QueueName("default"), Resources({"gpu.h100": 16_000}), order=QueueOrder.FIRST_COME)
PROJECT = Project(ProjectId("acme/vision"), TENANT.id, 60_001, 2, QUEUE.name)
USER = User(UserId("ada"), TENANT.id, (Binding(Rights.MEMBER, PROJECT.id),), 3)
KEY = Key(KeyId("k1"), USER.id, "ab" * 32, "xlk_ab", 4)
SECRET = Secret(SecretId(f"{PROJECT.id}/TOKEN"), PROJECT.id, bytes(range(256)), 5)
FLAVOR = Flavor(FlavorName("h100"), Price(10**8), Price(2 * 10**9), "H100", emulated=True)
POOL = Pool(PoolName("default"), FLAVOR.name)
NODES = tuple(
    Node(
        NodeName(name),
        POOL.name,
        FLAVOR.name,
        Resources({"cpu": 8000, "memory": 2**40, "gpu.h100": 4000}),
        NodeState.READY,
        6,
        tuple(Device(index, "H100", f"emulated-{index}") for index in range(4)),
        {"rack": "r1"},
        facts={"cgroups": 1, "lacks": ["swap limit"]},
    )
    for name in ("n1", "n2")
)
BLOB = Blob(f"{PROJECT.id}:{'cd' * 32}", PROJECT.id, BlobId("cd" * 32), 10**12, 7)
SETTINGS = Settings("cloud", CloudSettings("EUR"))
CURSOR = Cursor("notifications", 2**40)
RECEIPT = Receipt("ada:1", "ef" * 32, "j1", 8)
SPEC = keep_spec({"kind": "job", "name": "train"}, JobSpec("train", "python train.py"))
ARRAY = Array(ArrayId("a1"), TENANT.id, PROJECT.id, USER.id, QUEUE.name, "sweep", "0-199", 200, 9, max_parallel=20)
SCHEDULE = Schedule(
    ScheduleId("s1"), TENANT.id, PROJECT.id, USER.id, "nightly", Timetable("0 3 * * *", "Europe/Berlin"), SPEC, 9, 10
)
JOB = Job(
    JobId("j1"),
    TENANT.id,
    PROJECT.id,
    USER.id,
    QUEUE.name,
    SPEC,
    JobState.PENDING,
    9,
)
ROLE = Role(role_id(JOB.id, "main"), JOB.id, "main", 2, gang=True)
REPLICA = Replica(replica_id(ROLE.id, 0), ROLE.id, JOB.id, 0)
ATTEMPT = Attempt(AttemptId(f"{REPLICA.id}.1"), REPLICA.id, JOB.id, 0, 1, "127.0.0.1", 29500)
LEASE = Lease(
    LeaseId(ATTEMPT.id),
    ATTEMPT.id,
    JOB.id,
    TENANT.id,
    PROJECT.id,
    QUEUE.name,
    POOL.name,
    FLAVOR.name,
    NODES[0].name,
    Resources({"cpu": 2000, "memory": 10**9, "gpu.h100": 2000}),
    10,
    (0, 1),
)
USED = Used(QUEUE.name, USER.id, Resources({"gpu.h100": 3 * 2**70}), 11)


def put_all(unit: Unit) -> None:
    """One value of every noun, and an event."""
    unit.tenants.put(TENANT)
    unit.queues.put(QUEUE)
    unit.projects.put(PROJECT)
    unit.users.put(USER)
    unit.keys.put(KEY)
    unit.secrets.put(SECRET)
    unit.flavors.put(FLAVOR)
    unit.pools.put(POOL)
    unit.nodes.put(*NODES)
    unit.blobs.put(BLOB)
    unit.settings.put(SETTINGS)
    unit.cursors.put(CURSOR)
    unit.receipts.put(RECEIPT)
    unit.specs.put(SPEC)
    unit.arrays.put(ARRAY)
    unit.schedules.put(SCHEDULE)
    unit.jobs.put(JOB)
    unit.roles.put(ROLE)
    unit.replicas.put(REPLICA)
    unit.attempts.put(ATTEMPT)
    unit.leases.put(LEASE)
    unit.fair_uses.put(USED)
    unit.events.append(EventDraft("job.submitted", JOB.id, USER.id, 9, TENANT.id, PROJECT.id, facts={"queue": "default"}))


def another_attempt(number: int) -> Attempt:
    """The same replica, tried again."""
    return replace(ATTEMPT, id=AttemptId(f"{REPLICA.id}.{number}"), number=number)


def lease_of(attempt: Attempt, *, node: NodeName = LEASE.node, gpus: tuple[int, ...] = LEASE.gpus) -> Lease:
    return replace(LEASE, id=LeaseId(attempt.id), attempt=attempt.id, node=node, gpus=gpus)
