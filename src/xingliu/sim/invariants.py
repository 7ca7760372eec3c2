"""What must hold after every step, whatever went wrong: the record against itself, and against what is really there."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from xingliu.control.ports import Unit
from xingliu.control.usage import conserved
from xingliu.control.world import SETTINGS, World, charge_of, pending_job, queue_view
from xingliu.fleet.model import CloudSettings, NodeState, Queue
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId, LeaseId, NodeName, QueueName, ScheduleId
from xingliu.kernel.intervals import Interval
from xingliu.kernel.resources import Resources
from xingliu.scheduling.line import Position
from xingliu.scheduling.model import Snapshot, Used
from xingliu.scheduling.uses import closed
from xingliu.sim.chronicle import Chronicle
from xingliu.sim.oracle import foretold, objections
from xingliu.sim.store import MemoryStore
from xingliu.sim.turns import out_of_turn
from xingliu.workloads.dependencies import AfterKind
from xingliu.workloads.model import FINAL, FOR_ANOTHER, Claim, Job, JobState, Lease, Outcome
from xingliu.workloads.timetables import next_due_us

if TYPE_CHECKING:
    from xingliu.sim.cloud import SimCloud

HOLDING = frozenset({JobState.STARTING, JobState.RUNNING, JobState.STOPPING})
CONSERVED_EVERY = 10
STEPS_TO_KILL = 3
LATEST_KILL_US = 7 * SECOND_US
LONGEST = 1000


class Broken(AssertionError):
    """An invariant does not hold; the message names the seed and how to replay it."""


class Invariants:
    """
    Attributes:
        checked: how often each was held against the cloud.
        foretold: of how many jobs the end was known exactly from their script alone.
    """

    def __init__(self, cloud: "SimCloud") -> None:
        self._cloud = cloud
        self._store = MemoryStore(cloud.record)
        self._chronicle = Chronicle()
        self._promised: dict[JobId, tuple[int, Claim, object]] = {}
        self._promised_before: frozenset[JobId] = frozenset()
        self._places: tuple[object, dict[JobId, Position | None]] = (0, {})
        self._answering: Counter[NodeName] = Counter()
        self.checked = 0
        self.foretold = 0

    def check(self) -> None:
        """Raises Broken."""
        self.checked += 1
        for node in self._cloud.machines.nodes():
            self._answering[node] = 0 if node in self._cloud.machines.silent else self._answering[node] + 1
        with self._store.read() as unit:
            jobs = {job.id: job for job in unit.jobs.find()}
            leases = unit.leases.find({"released_us": None})
            self._check_devices(unit, leases)
            self._check_quota(unit, jobs, leases)
            self._check_leases(unit, jobs, leases)
            self._check_holds(unit, leases)
            self._check_arrays(jobs)
            self._check_waits(jobs, leases)
            self._check_schedules(unit, jobs)
            self._check_evictions(jobs)
            self._check_truth(jobs, {lease.id: lease for lease in leases})
            self._check_events(unit, jobs)
            if self.checked % CONSERVED_EVERY == 0:
                self._check_conservation(unit)
                self._check_uses(unit, jobs)
        if self._cloud.clean:
            self._check_reasons(jobs)
            self._check_stops(jobs)
            self._check_positions()
            self._check_due()
            self._check_turns(jobs)
            self._check_world()

    def hold(self, holds: object, sentence: str) -> None:
        if not holds:
            seed, step = self._cloud.seed, self._cloud.step_number
            replay = f"./dev sim --seed {seed} --steps {self._cloud.steps}"
            raise Broken(f"seed {seed}, step {step}: {sentence[:LONGEST]}\nreplay: {replay}")

    # The record against itself --------------------------------------------------------------------------------------------

    def _check_devices(self, unit: Unit, leases: list[Lease]) -> None:
        """No device is leased twice, none that is not there, no node beyond what it has."""
        nodes = {node.name: node for node in unit.nodes.find()}
        taken: set[tuple[str, int]] = set()
        held: dict[NodeName, Resources] = defaultdict(Resources)
        for lease in leases:
            held[lease.node] = held[lease.node] + lease.resources
            devices = {device.index for device in nodes[lease.node].devices}
            for gpu in lease.gpus:
                self.hold((lease.node, gpu) not in taken, f"GPU {gpu} of {lease.node} is leased twice")
                self.hold(gpu in devices, f"{lease.id} holds GPU {gpu}, which {lease.node} does not have")
                taken.add((lease.node, gpu))
        for name, resources in held.items():
            capacity = nodes[name].capacity
            if not resources.within(capacity):
                self.hold(False, f"{name} has {capacity} and leases {resources}")

    def _check_quota(self, unit: Unit, jobs: Mapping[JobId, Job], leases: list[Lease]) -> None:
        """A queue and all above it hold more than they may only of what they held before an operator lowered that."""
        queues = {queue.name: queue for queue in unit.queues.find()}
        held: dict[tuple[QueueName, str, str, str], list[tuple[int, JobId]]] = defaultdict(list)
        for lease in leases:
            job = jobs[lease.job]
            holders = (("all", ""), ("user", job.user), ("project", job.project))
            for queue in _path(queues, lease.queue):
                for kind, amount in charge_of(lease).items():
                    for holder, who in (*holders, *(() if job.spec.preemptible else (("fixed", ""),))):
                        held[queue.name, kind, holder, who].append((amount, lease.job))
        for (name, kind, holder, who), charges in held.items():
            most, total = _most(queues[name], kind, holder), sum(amount for amount, _ in charges)
            if most is not None and total > most:
                changed = max(_last(unit, "queue.updated", name), _last(unit, "queue.created", name))
                late = [job for _, job in charges if _last(unit, "job.placed", job) > changed]
                what = f"queue {name} holds {total} of {kind} ({holder} {who}), it may {most}; placed since: {late}"
                self.hold(not late, what)

    def _check_holds(self, unit: Unit, leases: list[Lease]) -> None:
        """Nothing was placed in a queue, or below one, since somebody held it."""
        queues = {queue.name: queue for queue in unit.queues.find()}
        for lease in leases:
            path = _path(queues, lease.queue)
            for held in (queue.name for queue in path if queue.held):
                since = max(_last(unit, "queue.held", held), *(_last(unit, "queue.updated", queue.name) for queue in path))
                late = _last(unit, "job.placed", lease.job) > since
                self.hold(not late, f"{lease.job} was placed though queue {held} is held")

    def _check_arrays(self, jobs: Mapping[JobId, Job]) -> None:
        """No more elements hold nodes at once than may."""
        held = Counter((job.array.id, job.array.max_parallel) for job in jobs.values() if job.array and job.state in HOLDING)
        for (array, most), count in held.items():
            self.hold(most is None or count <= most, f"{count} elements of {array} hold nodes, and at most {most} may")

    def _check_waits(self, jobs: Mapping[JobId, Job], leases: list[Lease]) -> None:
        """Nothing started before the ends it waits for, nor before its instant; and what is said of those ends is so."""
        ends: dict[str, set[JobState]] = defaultdict(set)
        for job in jobs.values():
            ends[job.id].add(job.state)
            if job.array is not None:
                ends[job.array.id].add(job.state)
        for job in jobs.values():
            self.hold(job.attempt == 0 or all(one.met for one in job.after), f"{job.id} started before {job.after}")
            for one in job.after:
                over, well = ends[one.id] <= FINAL, ends[one.id] == {JobState.SUCCEEDED}
                met = one.kind is AfterKind.ANY or well is (one.kind is AfterKind.OK)
                self.hold(one.met is None or (over and met is one.met), f"{job.id} waits for {one}, which is {ends[one.id]}")
        for lease in leases:
            not_before_us = jobs[lease.job].not_before_us or 0
            self.hold(lease.opened_us >= not_before_us, f"{lease.job} was placed at {lease.opened_us}, before {not_before_us}")

    def _check_schedules(self, unit: Unit, jobs: Mapping[JobId, Job]) -> None:
        """A due instant submits once at most, one that is due, not before it and not before the schedule was there."""
        submitted = defaultdict[tuple[ScheduleId, int], set[str]](set)
        for job in jobs.values():
            if job.scheduled is not None:
                submitted[job.scheduled.id, job.scheduled.due_us].add(job.array_id or job.id)
                self.hold(job.scheduled.due_us <= job.submitted_us, f"{job.id} was submitted before {job.scheduled}")
        schedules = {schedule.id: schedule for schedule in unit.schedules.find()}
        for (schedule_id, due_us), found in submitted.items():
            self.hold(len(found) == 1, f"{schedule_id} submitted {sorted(found)} for {due_us}")
            if (schedule := schedules.get(schedule_id)) is not None:
                self.hold(due_us > schedule.created_us, f"{schedule_id} submitted for {due_us}, before it was there")
                on_time = next_due_us(schedule.timetable, due_us - 1) == due_us
                self.hold(on_time, f"{schedule_id} submitted for {due_us}, which {schedule.timetable} does not name")
                self.hold(due_us <= (schedule.last_us or 0), f"{schedule_id} forgot that it submitted for {due_us}")

    def _check_leases(self, unit: Unit, jobs: Mapping[JobId, Job], leases: list[Lease]) -> None:
        """Open leases belong to live attempts of jobs that hold them; gangs have all their leases on different nodes."""
        holding = {lease.job for lease in leases}
        for lease in leases:
            job, attempt = jobs[lease.job], unit.attempts.get(lease.attempt)
            self.hold(job.state in HOLDING, f"{lease.id} is open, and its job is {job.state}")
            self.hold(attempt is not None and attempt.number == job.attempt, f"{lease.id} is of an attempt that is over")
        for job in jobs.values():
            self.hold((job.state in HOLDING) == (job.id in holding), f"{job.id} is {job.state}, open leases: {job.id in holding}")
        for submitted in self._cloud.requests.submitted:
            self.hold(submitted in jobs, f"{submitted} is lost")
        for job_id in holding:
            self._check_gang(unit, jobs[job_id])

    def _check_gang(self, unit: Unit, job: Job) -> None:
        """All of its leases, those of one role on different nodes; and it goes on only while no rank has ended badly."""
        attempts = [each for each in unit.attempts.find({"job": job.id}) if each.number == job.attempt]
        seats = [
            (job.spec.role_of(each.rank)[0], lease.node) for each in attempts for lease in unit.leases.find({"attempt": each.id})
        ]
        self.hold(len(set(seats)) == len(seats) == job.spec.all_nodes, f"{job.id} is half placed")
        ended = {each.outcome for each in attempts} - {None, Outcome.SUCCEEDED}
        self.hold(not ended or job.state is JobState.STOPPING, f"{job.id} is {job.state}, and a rank is {ended}")

    def _check_evictions(self, jobs: Mapping[JobId, Job]) -> None:
        """Nobody stops but for one who was promised the room; and that one then starts, or something came between.

        What may come: the job is stopped or held, a queue's bounds change, or a node of the promised ones fails or drains.
        """
        plane = self._cloud.plane
        claims = {job.id: job.claim for job in jobs.values() if job.claim is not None and job.claim.by_eviction}
        for job in jobs.values():
            if job.stop_why in FOR_ANOTHER:
                self.hold(job.stopped_for in jobs, f"{job.id} stops for {job.stopped_for}, which is nobody")
                self.hold(job.stopped_for != job.id, f"{job.id} stops for itself")
            self.hold(job.claim is None or job.state is JobState.PENDING, f"{job.id} is {job.state} and still claims room")
        for job_id, claim in self._promised.items():
            job = jobs[job_id]
            kept = job_id in claims or job.state is not JobState.PENDING or job.attempt > claim[0] or job.held
            nodes = {} if plane is None else plane.world.nodes
            broken = any(name not in nodes or nodes[name].state is not NodeState.READY for name in claim[1].nodes)
            self.hold(kept or broken or self._bounds() != claim[2], f"{job_id} was promised {claim[1].nodes}, and got nothing")
        self._promised_before = frozenset(self._promised)
        before = {} if self._cloud.clean else self._promised
        made = {job: (jobs[job].attempt, claim, self._bounds()) for job, claim in claims.items()}
        self._promised = {job: before[job] if job in before and before[job][1] == new[1] else new for job, new in made.items()}

    def _bounds(self) -> object:
        """All queues as they are now."""
        with self._store.read() as unit:
            return tuple(unit.queues.find())

    def _check_events(self, unit: Unit, jobs: Mapping[JobId, Job]) -> None:
        """The log tells no impossible story, and what it says was granted stays granted."""
        for objection in self._chronicle.read(unit.events.find(after=self._chronicle.seq)):
            self.hold(False, objection)
        for objection in self._chronicle.objections(jobs):
            self.hold(False, objection)

    def _check_conservation(self, unit: Unit) -> None:
        """Every device's time is in exactly one class, to the microsecond; and each lease's instants are in order."""
        now_us = self._now_us(unit)
        for lease in unit.leases.find():
            instants = [lease.opened_us, lease.started_us, lease.ended_us, lease.released_us, now_us]
            known = [us for us in instants if us is not None]
            self.hold(known == sorted(known), f"the instants of {lease.id} are out of order: {instants}")
        balance = conserved(unit, Interval(0, now_us))
        self.hold(balance.holds, f"device time appeared or vanished: {[each for each in balance.pools if each.difference]}")

    def _check_uses(self, unit: Unit, jobs: Mapping[JobId, Job]) -> None:
        """What is remembered of a queue is what the leases that were released in it give, each once, since it was made."""
        settings = unit.settings.get(SETTINGS)
        rules = CloudSettings().fair_share if settings is None else settings.value.fair_share
        found: dict[str, Used] = {}
        for event in unit.events.find({"type": "lease.released"}, limit=1_000_000):
            lease = unit.leases.get(LeaseId(str(event.facts["lease"])))
            assert lease is not None and lease.released_us is not None, "it was released"
            if event.seq > _last(unit, "queue.deleted", lease.queue):
                first = Used(lease.queue, jobs[lease.job].user, Resources(), lease.released_us)
                before = found.get(first.key, first)
                found[first.key] = closed(before, charge_of(lease), lease.opened_us, lease.released_us, rules)
        recorded = {used.key: used for used in unit.fair_uses.find()}
        self.hold(recorded == found, f"remembered are {recorded}, and leases give {found}")

    def _now_us(self, unit: Unit) -> int:
        last = unit.events.find(newest_first=True, limit=1)
        plane = self._cloud.plane
        return max(last[0].at_us if last else 0, plane.clock.now_us() if plane else 0)

    # The record against the machines --------------------------------------------------------------------------------------

    def _check_truth(self, jobs: Mapping[JobId, Job], leases: Mapping[str, Lease]) -> None:
        """What lives has an open lease; nothing runs twice; what a lease let go of is empty."""
        attempts: dict[JobId, set[int]] = defaultdict(set)
        ranks: Counter[tuple[JobId, int]] = Counter()
        for replica in self._cloud.machines.living():
            self.hold(replica.lease in leases, f"{replica.lease} lives on {replica.node} without an open lease")
            attempts[replica.job].add(replica.attempt)
            ranks[replica.job, replica.rank] += 1
        for job_id, numbers in attempts.items():
            self.hold(
                numbers == {jobs[job_id].attempt}, f"attempts {sorted(numbers)} of {job_id} live, {jobs[job_id].attempt} should"
            )
        self.hold(all(count == 1 for count in ranks.values()), f"ranks run twice: {ranks.most_common(1)}")

    # The planner ----------------------------------------------------------------------------------------------------------

    def _check_reasons(self, jobs: Mapping[JobId, Job]) -> None:
        """After a cycle without trouble, what waits knows why."""
        plane = self._cloud.plane
        assert plane is not None, "a clean step had one"
        for job in jobs.values():
            if job.state is JobState.PENDING:
                wait = plane.scheduling.waits.get(job.id)
                self.hold(wait is not None and wait.sentence != "", f"{job.id} waits and nobody knows why")
                told = job.wait.reason if job.wait else None
                self.hold(wait is not None and told is wait.reason, f"{job.id} waits for {wait}, and is told {told}")

    def _check_positions(self) -> None:
        """While nothing changes, nobody's place in line does."""
        plane = self._cloud.plane
        assert plane is not None, "a clean step had one"
        places = {job: plane.scheduling.line.position(job) for job in plane.scheduling.waits}
        decided_for = self._cloud.plan.version if self._cloud.plan is not None else 0
        jobs, now_us = plane.world.jobs, plane.clock.now_us()
        too_early = {job for job in places if job in jobs and (jobs[job].not_before_us or 0) > now_us}
        world = (decided_for, too_early)
        known, self._places = self._places, (world, places)
        if known[0] == world:
            self.hold(known[1] == places, f"places in line changed in an unchanged world: {known[1]}, {places}")

    def _check_turns(self, jobs: Mapping[JobId, Job]) -> None:
        """Nobody started before somebody whose turn it was."""
        plane, plan = self._cloud.plane, self._cloud.plan
        assert plane is not None and plan is not None, "a clean step had both"
        decided = [pending_job(jobs[decision.job]) for decision in plan.decisions]
        views = [queue_view(queue, Resources()) for queue in plane.world.queues.values()]
        for objection in out_of_turn(plan, decided, views, self._promised_before):
            self.hold(False, objection)

    def _check_due(self) -> None:
        """After a turn without trouble nothing is due any more."""
        plane = self._cloud.plane
        assert plane is not None, "a clean step had one"
        self.hold(not plane.world.due(plane.clock.now_us()), f"still due: {plane.world.due(plane.clock.now_us())}")
        kept, anew = plane.world.schedules, World(MemoryStore(self._cloud.record)).schedules
        self.hold(kept == anew, "the world's schedules are not the record's")

    def _check_stops(self, jobs: Mapping[JobId, Job]) -> None:
        """What was to be killed is dead a step later; known only while clocks agree and nodes answer."""
        plane, machines = self._cloud.plane, self._cloud.machines
        assert plane is not None, "a clean step had one"
        if self._cloud.accidents.clock_stepped or self._cloud.clean_steps < STEPS_TO_KILL:
            return
        for replica in machines.living():
            kill_at_us = jobs[replica.job].kill_at_us
            if self._answering[replica.node] > STEPS_TO_KILL and replica.ended_us is None and kill_at_us is not None:
                late_us = plane.clock.now_us() - kill_at_us
                self.hold(late_us < LATEST_KILL_US, f"{replica.lease} was to be killed {late_us} us ago and lives")

    def _check_world(self) -> None:
        """The world kept by deltas is the one built anew."""
        plane = self._cloud.plane
        assert plane is not None, "a clean step had one"
        kept, anew = plane.world, World(MemoryStore(self._cloud.record))
        self.hold(kept.jobs == anew.jobs, "the world's jobs are not the record's")
        self.hold(kept.settings == anew.settings, "the world's settings are not the record's")
        now_us = plane.clock.now_us()
        by_deltas, built = (_picture(world.snapshot(cycle=0, now_us=now_us)) for world in (kept, anew))
        if by_deltas != built:
            apart = next(pair for pair in zip_longest(by_deltas, built) if pair[0] != pair[1])
            self.hold(False, f"the world by deltas is not the one built anew: {apart[0]}, not {apart[1]}")

    # The end --------------------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Everything ended, nothing runs, and every job ended as it must. Raises Broken."""
        jobs = self._cloud.jobs()
        left = [f"{job.id} {job.state}" for job in jobs.values() if job.state not in FINAL]
        self.hold(not left, f"not over in the end: {left}")
        self.hold(not list(self._cloud.machines.living()), "something runs in the end")
        with self._store.read() as unit:
            self._check_conservation(unit)
            self._check_uses(unit, jobs)
            stops = unit.events.find({"type": "job.stopping"}, limit=1_000_000)
        evicted = {event.subject for event in stops if event.facts.get("why") in FOR_ANOTHER}
        replicas = defaultdict(list)
        for replica in self._cloud.machines.replicas.values():
            replicas[replica.job].append(replica)
        for job in jobs.values():
            requests = self._cloud.requests
            unlaunchable = bool(job.spec.secrets) and job.tenant in requests.forgetful
            asked = requests.asked[job.id] | ({"evict"} if job.id in evicted else set())
            told = foretold(job, replicas[job.id], asked, calm=self._cloud.calm, unlaunchable=unlaunchable)
            self.foretold += told is not None
            found = list(objections(job, replicas[job.id], asked, told, unlaunchable=unlaunchable))
            self.hold(not found, f"{job.id} is {job.state}: {'; '.join(found)}")


def _last(unit: Unit, type_: str, subject: str) -> int:
    """The number of the newest event of that type; 0 where there is none."""
    found = unit.events.find({"type": type_, "subject": subject}, newest_first=True, limit=1)
    return found[0].seq if found else 0


def _path(queues: Mapping[QueueName, Queue], name: QueueName) -> list[Queue]:
    """The queue and all above it."""
    found, at = [], queues.get(name)
    while at is not None:
        found.append(at)
        at = queues.get(at.parent) if at.parent is not None else None
    return found


def _most(queue: Queue, kind: str, holder: str) -> int | None:
    """What may be held of that kind in it, by all together, by what is not preemptible, by one user or project."""
    bounds = {"user": queue.user_limit, "project": queue.project_limit}
    bound = bounds.get(holder, queue.quota)
    if bound is None or (kind not in bound and kind.startswith("cpu.h100")):
        return None
    if holder == "all":
        return None if queue.borrow_limit is None else bound[kind] + queue.borrow_limit[kind]
    return bound[kind]


def _picture(snapshot: Snapshot) -> list[object]:
    """All of it, a thing a line, in an order of its own."""
    return [
        snapshot.version,
        *sorted(snapshot.nodes, key=lambda node: node.name),
        *sorted(snapshot.queues, key=lambda queue: queue.name),
        *sorted(snapshot.pending, key=lambda job: job.id),
        *sorted(snapshot.running, key=lambda job: job.id),
        *sorted(snapshot.used, key=lambda used: used.key),
    ]
