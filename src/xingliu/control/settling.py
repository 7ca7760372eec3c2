"""The first half of a cycle: what was seen of replicas becomes the record of their attempts, leases and jobs."""

from collections.abc import Sequence

from xingliu.control.launches import Launches
from xingliu.control.ports import Launcher, Store, Unit
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.training.gang import Gang, Progress, event, overdue, settle, stopping
from xingliu.workloads.model import Job, JobState, StopWhy
from xingliu.workloads.records import ReplicaRecord


class Settling:
    """Observes the replicas of every open lease and records what follows. One thread only."""

    def __init__(self, store: Store, world: World, launcher: Launcher, launches: Launches, clock: Clock) -> None:
        self._store, self._world, self._launcher, self._launches, self._clock = store, world, launcher, launches, clock

    def run(self) -> None:
        """Record what the shims' records and the clock made of every gang. Raises LauncherUnavailable, StoreUnavailable."""
        gangs = self._world.gangs()
        records = {record.lease: record for record in self._observe(gangs)}
        now_us = self._clock.now_us()
        steps = [(gang.job, step) for gang in gangs if (step := settle(gang, records, now_us=now_us)) is not None]
        late = [gang for gang in gangs if overdue(gang, now_us=now_us)]
        if not steps and not late:
            return
        with self._store.write() as unit:
            for before, step in steps:
                _record_progress(unit, before, step)
            for gang in late:
                _record_overdue(unit, gang, now_us)

    def _observe(self, gangs: Sequence[Gang]) -> Sequence[ReplicaRecord]:
        leases = [lease.id for gang in gangs for lease in gang.leases if lease.released_us is None]
        if not leases:
            return ()
        return self._launches.explained(self._launcher.observe(leases))


def _record_progress(unit: Unit, before: Job, step: Progress) -> None:
    """What a user asked for meanwhile stands: a job that changed since it was loaded is settled in the next cycle."""
    current = unit.jobs.get(before.id)
    if current is None or current.generation != before.generation:
        return
    unit.jobs.put(step.job)
    unit.attempts.put(*step.attempts)
    unit.leases.put(*step.leases)
    unit.events.append(*step.events)


def _record_overdue(unit: Unit, gang: Gang, now_us: int) -> None:
    current = unit.jobs.get(gang.job.id)
    if current is None or current.state not in (JobState.STARTING, JobState.RUNNING):
        return
    job = stopping(current, StopWhy.TIME_LIMIT, now_us=now_us, grace_us=current.spec.checkpoint.grace_us)
    unit.jobs.put(job)
    unit.events.append(event("job.stopping", job, now_us, cause="it reached its time limit", facts={"why": job.stop_why}))
