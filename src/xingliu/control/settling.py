"""The first half of a cycle: what was seen of replicas becomes the record of their attempts, leases and jobs."""

from collections.abc import Iterable, Sequence

from xingliu.control.launches import Launches
from xingliu.control.ports import Launcher, Store, Unit
from xingliu.control.world import World, charge_of
from xingliu.fleet.model import FairShare
from xingliu.kernel.clock import Clock
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Used
from xingliu.scheduling.uses import closed
from xingliu.training.gang import Gang, Progress, event, overdue, settle, stopping
from xingliu.workloads.model import JobState, Lease, StopWhy
from xingliu.workloads.records import ReplicaRecord

AT_ONCE = 1_000
"""Gangs settled in one transaction, so that others need not wait long for the store."""


class Settling:
    """Observes the replicas of every open lease and records what follows. One thread only."""

    def __init__(self, store: Store, world: World, launcher: Launcher, launches: Launches, clock: Clock) -> None:
        self._store, self._world, self._launcher, self._launches, self._clock = store, world, launcher, launches, clock

    def run(self) -> None:
        """Record what the shims' records and the clock made of every gang. Raises LauncherUnavailable, StoreUnavailable."""
        gangs = self._world.gangs()
        records = {record.lease: record for record in self._observe(gangs)}
        now_us = self._clock.now_us()
        steps = [(gang, step) for gang in gangs if (step := settle(gang, records, now_us=now_us)) is not None]
        late = [gang for gang in gangs if overdue(gang, now_us=now_us)]
        for start in range(0, len(steps), AT_ONCE):
            with self._store.write() as unit:
                recorded = _record_progress(unit, steps[start : start + AT_ONCE])
                _record_uses(unit, recorded, self._world.settings.fair_share)
        if late:
            with self._store.write() as unit:
                for gang in late:
                    _record_overdue(unit, gang, now_us)

    def _observe(self, gangs: Sequence[Gang]) -> Sequence[ReplicaRecord]:
        leases = [lease.id for gang in gangs for lease in gang.leases if lease.released_us is None]
        if not leases:
            return ()
        return self._launches.explained(self._launcher.observe(leases))


def _record_progress(unit: Unit, steps: Sequence[tuple[Gang, Progress]]) -> list[tuple[Gang, Progress]]:
    """Those recorded. What a user asked for meanwhile stands: a job that changed since it was loaded is settled next time."""
    now = {job.id: job.generation for job in unit.jobs.find({"id": frozenset(gang.job.id for gang, _ in steps)})}
    recorded = [(gang, step) for gang, step in steps if now.get(gang.job.id) == gang.job.generation]
    unit.jobs.put(*(step.job for _, step in recorded))
    unit.attempts.put(*(attempt for _, step in recorded for attempt in step.attempts))
    unit.leases.put(*(lease for _, step in recorded for lease in step.leases))
    unit.events.append(*(event for _, step in recorded for event in step.events))
    return recorded


def _record_uses(unit: Unit, recorded: Iterable[tuple[Gang, Progress]], rules: FairShare) -> None:
    """What was held with each lease that is released now is remembered from now on: in the transaction that releases it."""
    ends = [(gang, lease) for gang, step in recorded for lease in _released(gang, step)]
    firsts = [Used(lease.queue, gang.job.user, Resources(), lease.released_us or 0) for gang, lease in ends]
    uses = {used.key: used for used in unit.fair_uses.find({"key": frozenset(first.key for first in firsts)})}
    for first, (_, lease) in zip(firsts, ends, strict=True):
        used = uses.get(first.key, first)
        uses[first.key] = closed(used, charge_of(lease), lease.opened_us, first.as_of_us, rules)
    unit.fair_uses.put(*uses.values())


def _released(gang: Gang, step: Progress) -> list[Lease]:
    """Those that were open until this step."""
    was_open = {lease.id for lease in gang.leases if lease.released_us is None}
    return [lease for lease in step.leases if lease.id in was_open and lease.released_us is not None]


def _record_overdue(unit: Unit, gang: Gang, now_us: int) -> None:
    current = unit.jobs.get(gang.job.id)
    if current is None or current.state not in (JobState.STARTING, JobState.RUNNING):
        return
    job = stopping(current, StopWhy.TIME_LIMIT, now_us=now_us, grace_us=current.spec.checkpoint.grace_us)
    unit.jobs.put(job)
    unit.events.append(event("job.stopping", job, now_us, cause="it reached its time limit", facts={"why": job.stop_why}))
