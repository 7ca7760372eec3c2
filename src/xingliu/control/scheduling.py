"""The loop: observe, settle, decide, record, act. Each step may die; the next cycle repairs it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from xingliu.control.discretion import unnamed
from xingliu.control.errors import StalePlan
from xingliu.control.launches import Launches
from xingliu.control.placing import place_job
from xingliu.control.ports import Launcher, Store, Unit
from xingliu.control.settling import Settling
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import Place, Plan, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.training.gang import event
from xingliu.workloads.model import JobState, Wait

log = logging.getLogger(__name__)


class Scheduling:
    """One cycle of the cloud. Only one thread may call `run_cycle`; `waits` may be read from any."""

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
        self._decide = decide
        self.cycle = 0
        self.waits: dict[JobId, Wait] = {}

    def run_cycle(self) -> Plan | None:
        """Load, decide, record, act. None when the plan was stale; raises LauncherUnavailable, StoreUnavailable, NotInControl."""
        self.cycle += 1
        self._world.catch_up()
        self._settling.run()
        plan = self._plan()
        self._launcher.ensure(self._launches.desired(self._world.gangs()))
        return plan

    def _plan(self) -> Plan | None:
        snapshot = self._world.snapshot(cycle=self.cycle, now_us=self._clock.now_us())
        plan = self._decide(snapshot)
        addresses = self._addresses(plan.placements)
        waits = {stay.job: stay.wait for stay in plan.decisions if isinstance(stay, StayPending)}
        changed = [job_id for job_id, wait in waits.items() if self._reason_of(job_id) is not wait.reason]
        try:
            if plan.placements or changed:
                with self._store.write() as unit:
                    self._check_fresh(unit, plan, snapshot)
                    self._record_placements(unit, plan.placements, addresses)
                    self._record_waits(unit, {job_id: waits[job_id] for job_id in changed})
        except StalePlan as stale:
            log.info("%s", stale)
            return None
        self.waits = waits
        return plan

    def _reason_of(self, job_id: JobId) -> object:
        job = self._world.jobs.get(job_id)
        return job.wait.reason if job is not None and job.wait is not None else None

    def _addresses(self, placements: Sequence[Place]) -> dict[JobId, tuple[str, int]]:
        """Where each gang will meet: rank 0's node and a port free there now."""
        return {place.job: self._launcher.address(place.seats[0].node) for place in placements}

    def _check_fresh(self, unit: Unit, plan: Plan, snapshot: Snapshot) -> None:
        """New submissions and ends do not make a plan stale; a changed node, queue or placed job does. Raises StalePlan."""
        if not plan.placements:
            return
        nodes = {node.name: node.generation for node in snapshot.nodes}
        for place in plan.placements:
            job = unit.jobs.get(place.job)
            if job is None or job.generation != place.generation or job.state is not JobState.PENDING:
                raise StalePlan(plan.cycle)
        for name in {seat.node for place in plan.placements for seat in place.seats}:
            node = unit.nodes.get(name)
            if node is None or node.generation != nodes[name]:
                raise StalePlan(plan.cycle)
        for queue in snapshot.queues:
            found = self._world.queues.get(queue.name)
            if found is None or found.generation != queue.generation:
                raise StalePlan(plan.cycle)

    def _record_placements(self, unit: Unit, placements: Sequence[Place], addresses: dict[JobId, tuple[str, int]]) -> None:
        now_us = self._clock.now_us()
        for place in placements:
            job = unit.jobs.get(place.job)
            assert job is not None, "checked by _check_fresh in the same transaction"
            address, port = addresses[place.job]
            placing = place_job(job, place, address=address, port=port, cycle=self.cycle, now_us=now_us)
            unit.jobs.put(placing.job)
            unit.attempts.put(*placing.attempts)
            unit.leases.put(*placing.leases)
            unit.events.append(placing.event)

    def _record_waits(self, unit: Unit, waits: dict[JobId, Wait]) -> None:
        """A job remembers its reason, written when it changes; the numbers of the last cycle are in `waits`."""
        now_us = self._clock.now_us()
        for job_id, wait in waits.items():
            job = unit.jobs.get(job_id)
            if job is None or job.state is not JobState.PENDING:
                continue
            unit.jobs.put(replace(job, wait=unnamed(wait)))
            unit.events.append(
                event("job.waiting", job, now_us, cause=wait.sentence, facts={"reason": wait.reason, "cycle": wait.cycle})
            )
