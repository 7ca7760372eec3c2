"""What the planner may know, kept in memory by numbered deltas; it can be rebuilt whole from the store at any time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import RLock

from xingliu.control.ports import Delta, Settings, Store
from xingliu.fleet.model import CloudSettings, Flavor, Node, NodeState, Queue
from xingliu.kernel.ids import ArrayId, AttemptId, FlavorName, JobId, LeaseId, NodeName, ProjectId, QueueName, ScheduleId, UserId
from xingliu.kernel.resources import CPU, Resources, cpu_of, gpu_of
from xingliu.scheduling.model import NodeView, Part, PendingJob, QueueView, RunningJob, Seat, Snapshot, Used
from xingliu.scheduling.room import Stock
from xingliu.scheduling.running import Running
from xingliu.scheduling.uses import Uses
from xingliu.training.gang import Gang
from xingliu.workloads.model import FINAL, LIVE, Attempt, Job, JobState, Lease
from xingliu.workloads.schedules import Schedule

SETTINGS = "cloud"


def charge_of(lease: Lease) -> Resources:
    """What a lease counts for in its queue: GPUs by flavor, and cores by flavor."""
    amounts = {kind: amount for kind, amount in lease.resources.items() if kind.startswith("gpu.")}
    return Resources({**amounts, cpu_of(lease.flavor): lease.resources[CPU]})


class World:
    """Live jobs, open leases, nodes, queues. Every method may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = RLock()
        self._rebuild()
        store.subscribe(self._apply)

    def _rebuild(self) -> None:
        self.nodes: dict[NodeName, Node] = {}
        self.flavors: dict[FlavorName, Flavor] = {}
        self.queues: dict[QueueName, Queue] = {}
        self.settings = CloudSettings()
        self.schedules: dict[ScheduleId, Schedule] = {}
        self.jobs: dict[JobId, Job] = {}
        self._of_array: dict[ArrayId, dict[JobId, None]] = {}
        self._dependents: dict[JobId, None] = {}
        self._attempts: dict[AttemptId, Attempt] = {}
        self._leases: dict[JobId, dict[LeaseId, Lease]] = defaultdict(dict)
        self._by_node: dict[NodeName, dict[LeaseId, Lease]] = defaultdict(dict)
        self._gangs: dict[JobId, Gang] = {}
        self._running: dict[JobId, RunningJob] = {}
        self._touched: set[JobId] = set()
        self._runs = Running()
        self._stock: Stock | None = None
        self._moved: set[NodeName] = set()
        self._held: dict[QueueName, Resources] = defaultdict(Resources)
        self._pending: dict[JobId, PendingJob] = {}
        self._uses = Uses(self.settings.fair_share)
        with self._store.read() as unit:
            self._version = self._store.version()
            values: list[object] = [*unit.settings.find(), *unit.flavors.find(), *unit.nodes.find(), *unit.queues.find()]
            values += unit.fair_uses.find()
            values += unit.schedules.find()
            values += unit.jobs.find({"state": LIVE})
            open_leases = unit.leases.find({"released_us": None})
            busy = frozenset(lease.job for lease in open_leases)
            values += [lease for job in busy for lease in unit.leases.find({"job": job})]
            values += [attempt for job in busy for attempt in unit.attempts.find({"job": job})]
        self._put(values)

    def catch_up(self) -> None:
        """Build it anew if a commit was never told of: its writer met an error, and yet it is on record."""
        with self._lock:
            if self._store.version() != self._version:
                self._rebuild()

    def _apply(self, delta: Delta) -> None:
        with self._lock:
            if delta.version == self._version + 1:
                self._version = delta.version
                self._put(delta.put)
                for noun, key in delta.deleted:
                    if noun == "queues":
                        self.queues.pop(QueueName(key), None)
                    elif noun == "fair_uses":
                        self._uses.forget(key)
                    elif noun == "schedules":
                        self.schedules.pop(ScheduleId(key), None)
            elif delta.version > self._version:
                self._rebuild()

    def _put(self, values: Iterable[object]) -> None:
        """Jobs first and leases last, so that what is finished can be forgotten in the same pass."""
        touched: set[JobId] = set()
        leases = []
        for value in values:
            match value:
                case Job():
                    self._put_job(value)
                    touched.add(value.id)
                case Lease():
                    leases.append(value)
                    touched.add(value.job)
                case Attempt():
                    self._attempts[value.id] = value
                    touched.add(value.job)
                case _:
                    self._put_rest(value)
        for lease in leases:
            self._put_lease(lease)
        for job_id in touched:
            self._forget_if_over(job_id)
        self._touched |= touched

    def _put_rest(self, value: object) -> None:
        match value:
            case Node():
                self._put_node(value)
            case Flavor():
                self.flavors[value.name] = value
                self._stock = None
            case Queue():
                self.queues[value.name] = value
            case Schedule():
                self.schedules[value.id] = value
            case Settings(key=key, value=settings) if key == SETTINGS:
                self.settings = settings
                self._uses.obey(settings.fair_share)
            case Used():
                self._uses.record(value)
            case _:
                pass

    def _put_node(self, node: Node) -> None:
        before = self.nodes.get(node.name)
        self.nodes[node.name] = node
        self._moved.add(node.name)
        if before is None or NodeState.RETIRED in (before.state, node.state):
            self._stock = None

    def _put_job(self, job: Job) -> None:
        self.jobs[job.id] = job
        if job.array is not None:
            self._of_array.setdefault(job.array.id, {})[job.id] = None
        self._pending.pop(job.id, None)
        self._dependents.pop(job.id, None)
        if job.state is JobState.PENDING:
            self._pending[job.id] = pending_job(job)
            if any(after.met is None for after in job.after):
                self._dependents[job.id] = None

    def _put_lease(self, lease: Lease) -> None:
        before = self._leases[lease.job].get(lease.id)
        self._leases[lease.job][lease.id] = lease
        if before is not None and before.released_us is None:
            self._held[before.queue] -= charge_of(before)
            del self._by_node[before.node][before.id]
        if lease.released_us is None:
            self._held[lease.queue] += charge_of(lease)
            self._by_node[lease.node][lease.id] = lease
            self._uses.open(lease.id, (lease.queue, self.jobs[lease.job].user), charge_of(lease), lease.opened_us)
        else:
            self._uses.drop(lease.id)
        self._moved.add(lease.node)

    def _forget_if_over(self, job_id: JobId) -> None:
        """Leases and attempts are kept until all of the job are released; a finished job is not kept at all."""
        leases = self._leases.get(job_id)
        if leases is not None and all(lease.released_us is not None for lease in leases.values()):
            for lease in self._leases.pop(job_id).values():
                self._attempts.pop(lease.attempt, None)
        job = self.jobs.get(job_id)
        if job is not None and job.state in FINAL:
            del self.jobs[job_id]
            self._leave_array(job)

    def _leave_array(self, job: Job) -> None:
        if job.array is not None and (left := self._of_array.get(job.array.id)) is not None:
            left.pop(job.id, None)
            if not left:
                del self._of_array[job.array.id]

    @property
    def version(self) -> int:
        """Of the last transaction that it knows."""
        return self._version

    @property
    def size(self) -> int:
        """How many nodes, live jobs and nodes in use it holds."""
        return len(self.nodes) + len(self.jobs) + len(self._leases)

    # Views ------------------------------------------------------------------------------------------------------------

    def live_jobs(self) -> list[Job]:
        """All that are not over, in no order."""
        with self._lock:
            return list(self.jobs.values())

    def shows(self, visible: frozenset[ProjectId] | None, job_id: JobId) -> bool:
        """Whether a live job is of one of these projects; None is all of them."""
        job = self.jobs.get(job_id)
        return job is not None and (visible is None or job.project in visible)

    def arrays(self) -> list[ArrayId]:
        """Those with elements that are not over."""
        with self._lock:
            return list(self._of_array)

    def elements(self, array: ArrayId) -> list[Job]:
        """Its elements that are not over."""
        with self._lock:
            return [self.jobs[job_id] for job_id in self._of_array.get(array, ())]

    def dependents(self) -> list[Job]:
        """Those that wait for others whose end is not known yet."""
        with self._lock:
            return [self.jobs[job_id] for job_id in self._dependents]

    def due(self, now_us: int) -> list[ScheduleId]:
        """The schedules that are due, in the order of their instants."""
        with self._lock:
            found = [(schedule.next_us or 0, schedule.id) for schedule in self.schedules.values() if schedule.is_due(now_us)]
        return [schedule_id for _, schedule_id in sorted(found)]

    def is_over(self, job_or_array: str) -> bool:
        """Whether that job, or every element of that array, has ended."""
        return JobId(job_or_array) not in self.jobs and ArrayId(job_or_array) not in self._of_array

    def gangs(self) -> list[Gang]:
        """Every job that holds leases, with its current attempt, in the order in which they came to hold some."""
        with self._lock:
            self._look_again()
            return [self._gangs[job_id] for job_id in self._leases if job_id in self._gangs]

    def _look_again(self) -> None:
        """Make the gangs of jobs that changed anew."""
        changed = False
        for job_id in self._touched:
            before, gang = self._gangs.pop(job_id, None), self.gang(job_id)
            self._running.pop(job_id, None)
            if gang is not None:
                self._gangs[job_id] = gang
                self._running[job_id] = running_job(gang)
            changed |= before is not None or gang is not None
        if changed:
            self._runs = Running(self._running[job_id] for job_id in self._leases if job_id in self._running)
        self._touched = set()

    def gang(self, job_id: JobId) -> Gang | None:
        with self._lock:
            job, leases = self.jobs.get(job_id), self._leases.get(job_id)
            if job is None or not leases:
                return None
            pairs = [(self._attempts[lease.attempt], lease) for lease in leases.values()]
            current = sorted((pair for pair in pairs if pair[0].number == job.attempt), key=lambda pair: pair[0].rank)
            return Gang(job, tuple(attempt for attempt, _ in current), tuple(lease for _, lease in current))

    def open_leases(self, node: NodeName | None = None) -> list[Lease]:
        with self._lock:
            groups = [self._by_node.get(node, {})] if node is not None else list(self._by_node.values())
            return [lease for group in groups for lease in group.values()]

    def held(self) -> Mapping[QueueName, Resources]:
        """What the jobs of each queue itself hold, by quota kind; nothing for those that hold nothing."""
        with self._lock:
            return defaultdict(Resources, self._held)

    def used(self, now_us: int) -> tuple[Used, ...]:
        """What everybody held lately, as of now, what runs included."""
        with self._lock:
            return self._uses.now(now_us)

    def waiting(self) -> list[tuple[QueueName, UserId]]:
        """Who waits where, once for each job."""
        with self._lock:
            return [(job.queue, job.user) for job in self._pending.values()]

    def capacity(self) -> Resources:
        """All of the nodes that are not retired, by quota kind."""
        amounts: Counter[str] = Counter()
        with self._lock:
            for node in self.nodes.values():
                if node.state is not NodeState.RETIRED:
                    gpus = {kind: amount for kind, amount in node.capacity.items() if kind == gpu_of(node.flavor)}
                    amounts.update({**gpus, cpu_of(node.flavor): node.capacity[CPU]})
        return Resources(amounts)

    def below(self, name: QueueName) -> frozenset[QueueName]:
        """The queue and all below it; itself alone where nobody knows it."""
        with self._lock:
            found, more = {name}, [name]
            while more:
                more = [queue.name for queue in self.queues.values() if queue.parent in more and queue.name not in found]
                found.update(more)
            return frozenset(found)

    def snapshot(self, *, cycle: int, now_us: int) -> Snapshot:
        """Everything one decision may know, at this instant."""
        with self._lock:
            self._look_again()
            return Snapshot(
                version=self._version,
                cycle=cycle,
                now_us=now_us,
                nodes=self._nodes_now(),
                queues=tuple(queue_view(queue, self._held[queue.name]) for queue in self.queues.values()),
                pending=tuple(self._pending.values()),
                running=self._runs,
                used=self._uses.now(now_us),
                fair=self.settings.fair_share,
            )

    def _nodes_now(self) -> Stock:
        """Those that are not retired; where leases came and went, only their nodes are looked at again."""
        if self._stock is None:
            self._stock = Stock.of(self._view(node) for node in self.nodes.values() if node.state is not NodeState.RETIRED)
        elif self._moved:
            moved = [self.nodes[name] for name in self._moved if name in self._stock.numbers]
            self._stock = self._stock.changed([self._view(node) for node in moved])
        self._moved = set()
        return self._stock

    def _view(self, node: Node) -> NodeView:
        leases = self._by_node.get(node.name, {}).values()
        taken = {gpu for lease in leases for gpu in lease.gpus}
        free = node.capacity
        for lease in leases:
            free = free - lease.resources
        return NodeView(
            name=node.name,
            pool=node.pool,
            flavor=node.flavor,
            gpu=self.flavors[node.flavor].gpu,
            state=node.state,
            capacity=node.capacity,
            free=free,
            free_gpus=tuple(device.index for device in node.devices if device.index not in taken),
            generation=node.generation,
        )


def queue_view(queue: Queue, in_use: Resources) -> QueueView:
    """A queue as the planner sees it; `in_use` is what its own jobs hold."""
    return QueueView(
        queue.name,
        queue.quota,
        in_use,
        queue.held,
        queue.generation,
        queue.parent,
        queue.borrow_limit,
        queue.lend_limit,
        queue.user_limit,
        queue.project_limit,
        queue.min_runtime_us,
        queue.weight,
        queue.order,
    )


def pending_job(job: Job) -> PendingJob:
    """A job as the planner sees it while it waits."""
    spec, limit_us = job.spec, job.spec.time_limit_us
    return PendingJob(
        id=job.id,
        name=job.title,
        project=job.project,
        queue=job.queue,
        priority=spec.priority.rank,
        submitted_us=job.submitted_us,
        parts=tuple(Part(role.nodes, role.resources, role.name) for role in spec.parts),
        held=job.held,
        time_left_us=None if limit_us is None else max(0, limit_us - job.running_us),
        generation=job.generation,
        user=job.user,
        preemptible=spec.preemptible,
        claim=job.claim,
        deadline_us=spec.deadline_us,
        array=job.array,
        ran_us=job.running_us,
        after=tuple(after for after in job.after if after.met is not True),
        not_before_us=job.not_before_us,
    )


def _seat(job: Job, attempt: Attempt, lease: Lease) -> Seat:
    role, role_rank = job.spec.role_of(attempt.rank)
    return Seat(
        rank=attempt.rank,
        node=lease.node,
        pool=lease.pool,
        flavor=lease.flavor,
        resources=lease.resources,
        charge=charge_of(lease),
        gpus=lease.gpus,
        role=role,
        role_rank=role_rank,
    )


def running_job(gang: Gang) -> RunningJob:
    """A job as the planner sees it while it holds leases; only what is not yet released counts as held."""
    job, limit_us = gang.job, gang.job.spec.time_limit_us
    opened = min(lease.started_us or lease.opened_us for lease in gang.leases)
    return RunningJob(
        id=job.id,
        name=job.title,
        queue=job.queue,
        seats=tuple(
            _seat(job, attempt, lease)
            for attempt, lease in zip(gang.attempts, gang.leases, strict=True)
            if lease.released_us is None
        ),
        ends_us=None if limit_us is None else opened + max(0, limit_us - job.running_us),
        project=job.project,
        user=job.user,
        again=replace(pending_job(job), held=False, claim=None),
        started_us=opened,
        saved_us=max((attempt.saved.seen_us for attempt in gang.attempts if attempt.saved is not None), default=None),
        leaves_us=job.kill_at_us,
        leaves_for=job.stopped_for,
        grace_us=job.spec.checkpoint.grace_us,
        generation=job.generation,
        array=job.array,
    )
