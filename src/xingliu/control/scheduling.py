"""The loop: observe, settle, decide, record, act. Each step may die; the next cycle repairs it."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from xingliu.control.dependencies import Dependencies
from xingliu.control.discretion import unnamed
from xingliu.control.errors import StalePlan
from xingliu.control.launches import Launches
from xingliu.control.placing import Address, place_job
from xingliu.control.ports import Launcher, Store, Unit
from xingliu.control.settling import Settling
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import JobId
from xingliu.scheduling.line import Line
from xingliu.scheduling.model import Evict, Place, Plan, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.training.gang import event, stopping
from xingliu.workloads.model import Job, JobState, StopWhy, Wait

Jobs = Mapping[JobId, Job]
_CAUSES = {
    StopWhy.PREEMPT: "a job of its queue that goes before it needs its room",
    StopWhy.RECLAIM: "its queue holds more than its quota, and another takes back its own",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """A cycle that is on record: what it knew and what it made of it."""

    snapshot: Snapshot
    plan: Plan


class Scheduling:
    """One cycle of the cloud. Only one thread may call `run_cycle`; `decided`, `waits` and `line`, the last plan's, may be read
    from any.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        launcher: Launcher,
        launches: Launches,
        clock: Clock,
        *,
        decide: Callable[[Snapshot], Plan] = decide,
    ) -> None:
        self._store, self._world, self._launcher, self._launches, self._clock = store, world, launcher, launches, clock
        self._settling = Settling(store, world, launcher, launches, clock)
        self._dependencies = Dependencies(store, world, clock)
        self.decide = decide
        self.cycle = 0
        self.decided: Decided | None = None
        self.waits: dict[JobId, Wait] = {}
        self.line = Line()

    def run_cycle(self) -> Plan | None:
        """Load, decide, record, act. None when the plan was stale; raises LauncherUnavailable, StoreUnavailable, NotInControl."""
        self.cycle += 1
        self._world.catch_up()
        self._settling.run()
        self._dependencies.run()
        plan = self._plan()
        self._launcher.ensure(self._launches.desired(self._world.gangs()))
        return plan

    def _plan(self) -> Plan | None:
        snapshot = self._world.snapshot(cycle=self.cycle, now_us=self._clock.now_us())
        plan = self.decide(snapshot)
        addresses = self._addresses(plan.placements)
        stays = {stay.job: stay for stay in plan.stays}
        changed = [stay for stay in stays.values() if self._is_news(stay)]
        try:
            if plan.placements or plan.evictions or changed:
                with self._store.write() as unit:
                    preemptors = [stays[evict.preemptor] for evict in plan.evictions]
                    jobs = _jobs_of(unit, (*plan.placements, *plan.evictions, *preemptors, *changed))
                    self._check_fresh(unit, jobs, plan, snapshot)
                    self._record_placements(unit, jobs, plan.placements, addresses)
                    self._record_evictions(unit, jobs, plan.evictions)
                    self._record_waits(unit, jobs, changed)
        except StalePlan as stale:
            log.info("%s", stale)
            return None
        self.waits = {job_id: stay.wait for job_id, stay in stays.items()}
        self.line = Line(snapshot.pending, self.waits)
        self.decided = Decided(snapshot, plan)
        return plan

    def _is_news(self, stay: StayPending) -> bool:
        """Whether it waits for another reason, or with other claims, than is on record."""
        job = self._world.jobs.get(stay.job)
        return job is None or job.wait is None or job.wait.reason is not stay.wait.reason or job.claim != stay.claim

    def _addresses(self, placements: Sequence[Place]) -> dict[JobId, dict[str, Address]]:
        """Where each role of a gang will meet: its rank 0's node and a port free there now."""
        return {
            place.job: {seat.role: self._launcher.address(seat.node) for seat in place.seats if seat.role_rank == 0}
            for place in placements
        }

    def _check_fresh(self, unit: Unit, jobs: Jobs, plan: Plan, snapshot: Snapshot) -> None:
        """New submissions and ends do not make a plan stale; a changed node, queue or placed job does. Raises StalePlan."""
        if not plan.placements and not plan.evictions:
            return
        _check_jobs(jobs, plan, snapshot)
        names = frozenset(seat.node for place in plan.placements for seat in place.seats)
        found = {node.name: node.generation for node in unit.nodes.find({"name": names})}
        if found != {node.name: node.generation for node in snapshot.nodes if node.name in names}:
            raise StalePlan(plan.cycle)
        for queue in snapshot.queues:
            known = self._world.queues.get(queue.name)
            if known is None or known.generation != queue.generation:
                raise StalePlan(plan.cycle)

    def _record_placements(
        self, unit: Unit, jobs: Jobs, placements: Sequence[Place], addresses: dict[JobId, dict[str, Address]]
    ) -> None:
        now_us = self._clock.now_us()
        placings = []
        for place in placements:
            placings.append(place_job(jobs[place.job], place, addresses=addresses[place.job], cycle=self.cycle, now_us=now_us))
        unit.jobs.put(*(placing.job for placing in placings))
        unit.attempts.put(*(attempt for placing in placings for attempt in placing.attempts))
        unit.leases.put(*(lease for placing in placings for lease in placing.leases))
        unit.events.append(*(placing.event for placing in placings))

    def _record_evictions(self, unit: Unit, jobs: Jobs, evictions: Sequence[Evict]) -> None:
        now_us = self._clock.now_us()
        stopped, told = [], []
        for evict in evictions:
            job = jobs[evict.job]
            grace_us = job.spec.checkpoint.grace_us
            job = stopping(job, evict.why, now_us=now_us, grace_us=grace_us, stopped_for=evict.preemptor)
            facts = {"why": evict.why, "cycle": self.cycle}
            stopped.append(job)
            told.append(event("job.stopping", job, now_us, cause=_CAUSES[evict.why], facts=facts))
        unit.jobs.put(*stopped)
        unit.events.append(*told)

    def _record_waits(self, unit: Unit, jobs: Jobs, stays: Sequence[StayPending]) -> None:
        """A job remembers its reason and its claim, written when they change; the numbers of the last cycle are in `waits`."""
        now_us = self._clock.now_us()
        waiting, told = [], []
        for stay in stays:
            job, wait = jobs.get(stay.job), stay.wait
            if job is None or job.state is not JobState.PENDING:
                continue
            before = job.wait.reason if job.wait is not None else None
            facts = {"reason": wait.reason, "cycle": wait.cycle, "before": before}
            waiting.append(replace(job, wait=unnamed(wait), claim=stay.claim))
            told.append(event("job.waiting", job, now_us, cause=wait.sentence, facts=facts))
        unit.jobs.put(*waiting)
        unit.events.append(*told)


def _jobs_of(unit: Unit, decisions: Iterable[Place | Evict | StayPending]) -> Jobs:
    return {job.id: job for job in unit.jobs.find({"id": frozenset(decision.job for decision in decisions)})}


def _check_jobs(jobs: Jobs, plan: Plan, snapshot: Snapshot) -> None:
    """What is placed or has others stopped still waits, what is evicted still runs, and nobody changed any. Raises StalePlan."""
    preemptors = {evict.preemptor for evict in plan.evictions}
    for waiting in (job for job in snapshot.pending if job.id in preemptors):
        preemptor = jobs.get(waiting.id)
        if preemptor is None or preemptor.generation != waiting.generation or preemptor.state is not JobState.PENDING:
            raise StalePlan(plan.cycle)
    relied_on: tuple[Place | Evict, ...] = (*plan.placements, *plan.evictions)
    for decision in relied_on:
        job = jobs.get(decision.job)
        wanted = (JobState.PENDING,) if isinstance(decision, Place) else (JobState.STARTING, JobState.RUNNING)
        if job is None or job.generation != decision.generation or job.state not in wanted:
            raise StalePlan(plan.cycle)
