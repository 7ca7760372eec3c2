"""Jobs: list, explain, stop, hold, release. How they begin: submissions.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from xingliu.control.discretion import discreet, jobs_ahead, unnamed
from xingliu.control.ports import Store
from xingliu.control.scheduling import Scheduling
from xingliu.control.scope import Scope
from xingliu.control.world import World
from xingliu.forecast.model import Expectation
from xingliu.forecast.replay import expected_start
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import JobId
from xingliu.scheduling.policy import decide
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.training.gang import event, stopping
from xingliu.workloads.model import FINAL, Attempt, Job, JobState, Lease, StopWhy, Wait


@dataclass(frozen=True, slots=True)
class Why:
    """Why a job is where it is: its wait with the last cycle's numbers, and when it may start."""

    job: Job
    wait: Wait | None
    expectation: Expectation | None
    ahead: tuple[Job, ...]


class Jobs:
    """What is done with jobs once they are submitted; `wake` asks for a cycle soon."""

    def __init__(self, store: Store, world: World, scheduling: Scheduling, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._store, self._world, self._scheduling, self._clock, self._wake = store, world, scheduling, clock, wake

    def get(self, actor: Actor, name: str) -> Job:
        """By id, unique prefix, or the newest of that name. Raises Unknown."""
        with self._store.read() as unit:
            return Scope(unit, actor).job(name)

    def list(
        self,
        actor: Actor,
        where: Mapping[str, object] | None = None,
        *,
        after: JobId | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> Sequence[Job]:
        """The visible jobs that match, by id, which is by time of submission."""
        with self._store.read() as unit:
            return unit.jobs.find(Scope(unit, actor).narrow(where), after=after, limit=limit, newest_first=newest_first)

    def why(self, actor: Actor, name: str) -> Why:
        """Why it waits, from the last cycle, and when it may start. Raises Unknown."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            job = scope.job(name)
            visible = scope.visible_projects()
        if job.state is not JobState.PENDING:
            return Why(job, None, None, ())

        sees = partial(self._world.shows, visible)
        wait = self._scheduling.waits.get(job.id, job.wait)
        ahead = tuple(self._world.jobs[other] for other in jobs_ahead(wait) if sees(other))
        snapshot = self._world.snapshot(cycle=self._scheduling.cycle, now_us=self._clock.now_us())
        if all(pending.id != job.id for pending in snapshot.pending):
            return Why(job, None, None, ())
        expectation = discreet(expected_start(snapshot, job.id, decide), sees)
        return Why(job, unnamed(wait) if wait is not None else None, expectation, ahead)

    def attempts(self, actor: Actor, name: str) -> Sequence[tuple[Attempt, Lease]]:
        """Every attempt with its lease, by number, then rank. Raises Unknown."""
        with self._store.read() as unit:
            job = Scope(unit, actor).job(name)
            leases = {lease.attempt: lease for lease in unit.leases.find({"job": job.id})}
            attempts = sorted(unit.attempts.find({"job": job.id}), key=lambda attempt: (attempt.number, attempt.rank))
            return [(attempt, leases[attempt.id]) for attempt in attempts]

    def stop(self, actor: Actor, name: str) -> Job:
        """Ask it to end for good: signal, grace, SIGKILL. A job that is over stays as it is. Raises Unknown, Forbidden."""
        return self._change(actor, name, stop_job)

    def hold(self, actor: Actor, name: str) -> Job:
        """Keep it from starting; one that runs is stopped with its signal and grace and waits, held."""
        return self._change(actor, name, hold_job)

    def release(self, actor: Actor, name: str) -> Job:
        """Let a held job go on; where it is not held nothing changes. Raises Unknown, Forbidden."""
        return self._change(actor, name, release_job)

    def _change(self, actor: Actor, name: str, change: Callable[[Job, int], tuple[Job, str]]) -> Job:
        """One guarded change of a job that is not over, with its event."""
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            job = scope.job(name)
            scope.require(Verb.JOB_STOP, project=job.project)
            if job.state in FINAL:
                return job
            changed, type_ = change(job, now_us)
            if changed is not job:
                unit.jobs.put(changed)
                unit.events.append(event(type_, changed, now_us, actor=actor.user))
        self._wake()
        return changed


def stop_job(job: Job, now_us: int) -> tuple[Job, str]:
    """The job that is asked to end for good, and the event's type."""
    if job.state is JobState.PENDING:
        message = "it was asked to stop"
        done = replace(job, state=JobState.CANCELLED, finished_us=now_us, wait=None, claim=None, message=message)
        return replace(done, generation=job.generation + 1), "job.cancelled"
    return stopping(job, StopWhy.CANCEL, now_us=now_us, grace_us=job.spec.checkpoint.grace_us), "job.stopping"


def hold_job(job: Job, now_us: int) -> tuple[Job, str]:
    """The job, held; as it is where it is already."""
    if job.held:
        return job, ""
    held = replace(job, held=True, generation=job.generation + 1)
    if job.state is JobState.PENDING:
        return held, "job.held"
    return stopping(held, StopWhy.HOLD, now_us=now_us, grace_us=job.spec.checkpoint.grace_us), "job.held"


def release_job(job: Job, now_us: int) -> tuple[Job, str]:
    """The job, no longer held; as it is where it is not."""
    return (replace(job, held=False, generation=job.generation + 1), "job.released") if job.held else (job, "")
