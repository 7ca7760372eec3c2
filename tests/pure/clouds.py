"""A small language for clouds and plans: `cloud(node("n1", cores=4), pending=(job("j", cores=2),))` -> `["j on n1"]`.

Cores are whole, memory in GB; a node with GPUs belongs to flavor `h100` unless told otherwise, any other to `cpu`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hypothesis import strategies as st

from xingliu.fleet.model import NodeState, QueueOrder
from xingliu.kernel.ids import FlavorName, JobId, NodeName, PoolName, ProjectId, QueueName, UserId
from xingliu.kernel.resources import CPU, MEMORY, Resources, gpu_of
from xingliu.scheduling.model import (
    NodeView,
    Part,
    PendingJob,
    Place,
    Plan,
    QueueView,
    RunningJob,
    Seat,
    Snapshot,
    StayPending,
)
from xingliu.scheduling.quota import charge
from xingliu.scheduling.room import Amount
from xingliu.workloads.dependencies import After, AfterKind
from xingliu.workloads.model import GpuRequest, Priority, ResourceRequest

GB = 10**9
MINUTE = 60_000_000
Bound = Mapping[str, int] | None
NOW_US = 1_700_000_000_000_000


def node(name: str, cores: int = 4, gb: int = 16, gpus: int = 0, state: str = "ready", flavor: str = "") -> NodeView:
    of = FlavorName(flavor or ("h100" if gpus else "cpu"))
    capacity = Resources({CPU: cores * 1000, MEMORY: gb * GB, gpu_of(of): gpus * 1000})
    model = of.upper() if gpus else None
    return NodeView(NodeName(name), PoolName(of), of, model, NodeState(state), capacity, capacity, tuple(range(gpus)))


def queue(
    name: str,
    *,
    held: bool = False,
    under: str | None = None,
    borrow: Bound = None,
    lend: Bound = None,
    user: Bound = None,
    project: Bound = None,
    order: str | None = None,
    **quota: int,
) -> QueueView:
    """`queue("acme", cpu_cpu=8, gpu_h100=4, lend={"gpu_h100": 2})`; without amounts there is no bound."""
    return QueueView(
        QueueName(name),
        bound(quota or None),
        Resources(),
        held,
        parent=None if under is None else QueueName(under),
        borrow_limit=bound(borrow),
        lend_limit=bound(lend),
        user_limit=bound(user),
        project_limit=bound(project),
        order=None if order is None else QueueOrder(order),
    )


def bound(amounts: Bound) -> Resources | None:
    """By kind, `gpu_h100` for `gpu.h100`, in whole cores and GPUs."""
    return None if amounts is None else Resources({kind.replace("_", ".", 1): most * 1000 for kind, most in amounts.items()})


def request(cores: int = 1, gb: int = 1, gpus: int = 0, model: str | None = None) -> ResourceRequest:
    return ResourceRequest(cores * 1000, gb * GB, GpuRequest(gpus, model) if gpus else None)


def part(role: str, nodes: int = 1, cores: int = 1, gb: int = 1, gpus: int = 0, model: str | None = None) -> Part:
    """One more part of a job: `job("j", gpus=8, beside=[part("rollout", 6)])`; the first is called `main`."""
    return Part(nodes, request(cores, gb, gpus, model), role)


def job(
    name: str,
    nodes: int = 1,
    cores: int = 1,
    gb: int = 1,
    gpus: int = 0,
    model: str | None = None,
    queue: str = "q",
    priority: str = "normal",
    at: int = 0,
    held: bool = False,
    minutes: int | None = None,
    preemptible: bool = False,
    user: str = "ada",
    project: str = "t/p",
    due: int | None = None,
    beside: Iterable[Part] = (),
    after: Iterable[After] = (),
    not_before: int | None = None,
) -> PendingJob:
    """Minutes: `at`, after the epoch, when it was submitted; `minutes`, its time limit; `due` and `not_before`, from now.
    `beside`: what `part` makes."""
    return PendingJob(
        id=JobId(name),
        name=name,
        project=ProjectId(project),
        queue=QueueName(queue),
        priority=Priority(priority).rank,
        submitted_us=at * MINUTE,
        parts=(Part(nodes, request(cores, gb, gpus, model)), *beside),
        held=held,
        time_left_us=None if minutes is None else minutes * MINUTE,
        user=UserId(user),
        preemptible=preemptible,
        deadline_us=None if due is None else NOW_US + due * MINUTE,
        after=tuple(after),
        not_before_us=None if not_before is None else NOW_US + not_before * MINUTE,
    )


def ends(name: str, end: str = "ok", met: bool | None = None) -> After:
    """The end of a job that is waited for."""
    return After(AfterKind(end), name, name, met)


def running(
    name: str,
    on: Iterable[NodeView],
    cores: int = 1,
    gb: int = 1,
    gpus: int = 0,
    queue: str = "q",
    left: int | None = None,
    user: str = "ada",
    project: str = "t/p",
    priority: str = "normal",
    preemptible: bool = False,
    ran: int = 60,
    saved: int | None = None,
    leaves_for: str | None = None,
    first: int = 0,
) -> RunningJob:
    """A job that holds GPUs from index `first` on of each node in `on`, and ends in `left` minutes.

    It began `ran` minutes ago, and its last checkpoint was seen `saved` minutes ago.
    """
    on = tuple(on)
    seats = []
    for rank, of in enumerate(on):
        resources = Resources({CPU: cores * 1000, MEMORY: gb * GB, gpu_of(of.flavor): gpus * 1000})
        cost = charge(of.flavor, Amount(gpus, cores * 1000, gb * GB))
        seats.append(Seat(rank, of.name, of.pool, of.flavor, resources, cost, tuple(range(first, first + gpus)), role_rank=rank))
    ends_us = None if left is None else NOW_US + left * MINUTE
    kinds = {"gpus": gpus, "user": user, "project": project, "priority": priority, "preemptible": preemptible}
    return RunningJob(
        JobId(name),
        name,
        QueueName(queue),
        tuple(seats),
        ends_us,
        ProjectId(project),
        UserId(user),
        again=job(name, len(on), cores, gb, queue=queue, minutes=left, **kinds),  # type: ignore[arg-type]
        started_us=NOW_US - ran * MINUTE,
        saved_us=None if saved is None else NOW_US - saved * MINUTE,
        leaves_us=None if leaves_for is None else NOW_US + MINUTE,
        leaves_for=None if leaves_for is None else JobId(leaves_for),
        grace_us=MINUTE // 6,
    )


def cloud(
    *nodes: NodeView,
    pending: Iterable[PendingJob] = (),
    running: Iterable[RunningJob] = (),
    queues: Iterable[QueueView] = (),
) -> Snapshot:
    """What runs is taken off what is free and counted in its queue; a queue that is named nowhere has no bound."""
    pending, running = tuple(pending), tuple(running)
    known = {of.name: of for of in queues}
    for name in {of.queue for of in (*pending, *running)}:
        known.setdefault(name, QueueView(name, None, Resources()))
    views = {of.name: of for of in nodes}
    for of in running:
        for seat in of.seats:
            view = views[seat.node]
            left = tuple(gpu for gpu in view.free_gpus if gpu not in seat.gpus)
            views[seat.node] = replace(view, free=view.free - seat.resources, free_gpus=left)
            held = known[of.queue]
            known[of.queue] = replace(held, in_use=held.in_use + seat.charge)
    return Snapshot(7, 3, NOW_US, tuple(views.values()), tuple(known.values()), pending, running)


def told(plan: Plan) -> list[str]:
    """Each decision as a line, by job: `j on n1 n2`, `j on g1:0,1`, `j waits: Held`, `v stops for j (preempt)`."""
    stops = (f"{evict.job} stops for {evict.preemptor} ({evict.why.value})" for evict in plan.evictions)
    return sorted([*(_told(decision) for decision in plan.decisions), *stops])


def _told(decision: Place | StayPending) -> str:
    if isinstance(decision, StayPending):
        return f"{decision.job} waits: {decision.wait.reason.value}"
    seats = (seat.node + (f":{','.join(map(str, seat.gpus))}" if seat.gpus else "") for seat in decision.seats)
    return f"{decision.job} on {' '.join(seats)}"


# Any cloud ------------------------------------------------------------------------------------------------------------

GPUS = st.fixed_dictionaries({"gpu_h100": st.integers(0, 8)})
ORDERS = st.none() | st.sampled_from([of.value for of in QueueOrder])
PRIORITIES = st.sampled_from([of.value for of in Priority])
STATES = st.sampled_from(["ready"] * 5 + ["joining", "draining", "drained", "unhealthy", "down", "retired"])
QUOTAS = st.none() | st.fixed_dictionaries(
    {"cpu_cpu": st.integers(0, 20), "gpu_h100": st.integers(0, 12), "gpu_a100": st.integers(0, 12)}
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Small clouds of three flavors in every state, with running and pending gangs and queues that bind."""
    count = draw(st.integers(0, 6))
    nodes = []
    for number in range(count):
        flavor = draw(st.sampled_from(["cpu", "h100", "a100"]))
        gpus = 0 if flavor == "cpu" else draw(st.integers(1, 8))
        of = node(f"n{number}", draw(st.integers(1, 12)), draw(st.integers(1, 16)), gpus, draw(STATES), flavor)
        nodes.append(replace(of, free_gpus=tuple(draw(st.permutations(of.free_gpus)))))
    names, under = ["acme", "beta"], draw(st.none() | st.just("top"))
    queues = [
        queue(
            name,
            held=draw(st.integers(0, 19)) == 0,
            under=under,
            borrow=draw(QUOTAS),
            order=draw(ORDERS),
            **(draw(QUOTAS) or {}),
        )
        for name in names
    ]
    queues += [] if under is None else [queue("top", borrow=draw(QUOTAS), order=draw(ORDERS), **(draw(QUOTAS) or {}))]
    runs = []
    for of in nodes:
        if of.state is not NodeState.RETIRED and draw(st.integers(0, 2)) == 0:
            cores = draw(st.integers(0, of.capacity[CPU] // 1000))
            gpus = draw(st.integers(0, len(of.free_gpus)))
            gb = draw(st.integers(0, of.capacity[MEMORY] // GB))
            left = draw(st.none() | st.integers(-2, 30))
            kind = {"priority": draw(PRIORITIES), "preemptible": draw(st.booleans()), "ran": draw(st.integers(0, 60))}
            runs.append(running(f"r-{of.name}", [of], cores, gb, gpus, draw(st.sampled_from(names)), left, **kind))  # type: ignore[arg-type]
    return cloud(
        *nodes, pending=draw(st.lists(jobs(names), max_size=12, unique_by=lambda of: of.id)), running=runs, queues=queues
    )


@st.composite
def jobs(draw: st.DrawFn, queues: list[str]) -> PendingJob:
    """Every fifth has two parts."""
    gpus = draw(st.sampled_from([0, 0, 1, 2, 4]))
    return job(
        f"j{draw(st.integers(0, 99)):02d}",
        nodes=draw(st.integers(1, 3)),
        cores=draw(st.sampled_from([1, 1, 1, 2, 3, 5])),
        gb=draw(st.sampled_from([1, 1, 1, 2, 4, 7])),
        gpus=gpus,
        model=draw(st.sampled_from([None, "H100", "a100"])) if gpus else None,
        queue=draw(st.sampled_from([*queues, "free", "free"])),
        priority=draw(PRIORITIES),
        at=draw(st.integers(0, 3)),
        held=draw(st.integers(0, 19)) == 0,
        minutes=draw(st.none() | st.integers(1, 20)),
        preemptible=draw(st.booleans()),
        user=draw(st.sampled_from(["ada", "ada", "bob"])),
        due=draw(st.none() | st.integers(-9, 90)),
        beside=[draw(parts())] if draw(st.integers(0, 4)) == 4 else [],
        after=draw(st.sampled_from([*8 * [()], (ends("r"),), (ends("r"), ends("s", met=False)), (ends("r-n0", "any"),)])),
        not_before=draw(st.sampled_from([*8 * [None], -1, 0, 1])),
    )


@st.composite
def parts(draw: st.DrawFn) -> Part:
    gpus = draw(st.sampled_from([0, 0, 1, 2, 4]))
    model = draw(st.sampled_from([None, "H100", "a100"])) if gpus else None
    return part(
        "rollout", draw(st.integers(1, 2)), draw(st.sampled_from([1, 1, 2, 5])), draw(st.sampled_from([1, 1, 4])), gpus, model
    )


@st.composite
def crowded(draw: st.DrawFn) -> Snapshot:
    """Clouds of GPU nodes that are nearly full of jobs which others may have stopped, in queues that lend to each other."""
    nodes = [node(f"g{number}", cores=32, gb=64, gpus=4) for number in range(draw(st.integers(1, 3)))]
    under = draw(st.none() | st.just("top"))
    names, lent = ["lab", "web", "spare"], st.none() | GPUS
    queues = [
        replace(
            queue(name, under=under, borrow=draw(lent), lend=draw(lent), order=draw(ORDERS), **draw(GPUS)),
            min_runtime_us=draw(st.sampled_from([0, 0, 10])) * MINUTE,
        )
        for name in names[:2]
    ]
    queues += [queue("spare", under=under)] + ([queue("top", **draw(GPUS))] if under and draw(st.booleans()) else [])
    runs: list[RunningJob] = []
    for of in nodes:
        first = 0
        while first < 4 and draw(st.integers(0, 9)):
            gpus = min(draw(st.sampled_from([1, 2, 4])), 4 - first)
            kind = {"priority": draw(PRIORITIES), "preemptible": draw(st.booleans()), "ran": draw(st.integers(0, 60))}
            saved = draw(st.none() | st.integers(0, 30))
            where = draw(st.sampled_from(names))
            runs.append(running(f"r{len(runs)}", [of], 1, 1, gpus, where, first=first, saved=saved, **kind))  # type: ignore[arg-type]
            first += gpus
    pending = [
        job(
            f"j{number}",
            nodes=draw(st.sampled_from([1, 1, 2])),
            gpus=draw(st.sampled_from([1, 2, 4])),
            queue=draw(st.sampled_from(names)),
            priority=draw(PRIORITIES),
            preemptible=draw(st.booleans()),
            user=draw(st.sampled_from(["ada", "bob"])),
            beside=[part("rollout", draw(st.sampled_from([1, 2])), gpus=draw(st.sampled_from([1, 2])))]
            if draw(st.integers(0, 3)) == 3
            else [],
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    return cloud(*nodes, pending=pending, running=runs, queues=queues)
