"""Jobs: list, explain, stop, hold, release. How they begin: submissions.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from xingliu.control.advising import Advising
from xingliu.control.discretion import SOMEONE, Sees, discreet, discreet_advice, jobs_ahead, unnamed
from xingliu.control.forecasts import Forecast, Forecasts
from xingliu.control.holds import Hold, hold_of
from xingliu.control.ports import Store
from xingliu.control.scheduling import Scheduling
from xingliu.control.scope import Scope
from xingliu.control.world import World, pending_job
from xingliu.forecast.change import Advice
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import JobId, QueueName, UserId
from xingliu.scheduling.deadlines import Due, due
from xingliu.scheduling.line import Position
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.training.asking import CHANGES, Ask
from xingliu.training.gang import event
from xingliu.training.telling import Standing, making_room, standing
from xingliu.workloads.model import FINAL, Attempt, Job, JobState, Lease, Wait


@dataclass(frozen=True, slots=True)
class Why:
    """Why a job is where it is: its wait with the last cycle's numbers, and when it may start.

    Attributes:
        position: in the line of its queue.
        hold: of the queue that keeps it from starting.
        due: whether its deadline holds.
        advice: what would start it; None where it does not wait, or where others are stopped for it already.
        standing: of one that does not wait, or that others are stopped for.
    """

    job: Job
    wait: Wait | None
    forecast: Forecast | None
    ahead: tuple[Job, ...]
    position: Position | None = None
    hold: Hold | None = None
    due: Due | None = None
    advice: Advice | None = None
    standing: Standing | None = None


class Jobs:
    """What is done with jobs once they are submitted; `wake` asks for a cycle soon."""

    def __init__(
        self,
        store: Store,
        world: World,
        scheduling: Scheduling,
        forecasts: Forecasts,
        advising: Advising,
        clock: Clock,
        *,
        wake: Callable[[], None],
    ) -> None:
        self._store, self._world, self._scheduling, self._forecasts = store, world, scheduling, forecasts
        self._advising, self._clock, self._wake = advising, clock, wake

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

    def users_called(self, actor: Actor, name: str) -> frozenset[UserId]:
        """The users that are meant by a name, for a filter."""
        with self._store.read() as unit:
            return Scope(unit, actor).users_called(name)

    def why(self, actor: Actor, name: str) -> Why:
        """Why it waits, from the last cycle, when it may start, and what would start it. Raises Unknown."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            job = scope.job(name)
            visible = scope.visible_projects()
        sees = partial(self._world.shows, visible)
        if job.state is not JobState.PENDING:
            return Why(job, None, None, (), standing=standing(job, for_whom=self._for_whom(job, sees)))

        wait = self._scheduling.waits.get(job.id, job.wait)
        ahead = tuple(self._world.jobs[other] for other in jobs_ahead(wait) if sees(other))
        forecast = discreet(self._forecasts.of(job.id), sees)
        return Why(
            job,
            unnamed(wait) if wait is not None else None,
            forecast,
            ahead,
            self._scheduling.line.position(job.id),
            self._hold(wait),
            due(pending_job(job), self._clock.now_us()),
            discreet_advice(self._advising.advice(job.id), sees),
            self._making_room(job),
        )

    def _for_whom(self, job: Job, sees: Sees) -> str | None:
        """The job it is stopped for, as this reader may know it."""
        if job.stopped_for is None:
            return None
        return job.stopped_for if sees(job.stopped_for) else SOMEONE

    def _making_room(self, job: Job) -> Standing | None:
        """Since when others are stopped for it, and when the last of them is gone at the latest."""
        if job.claim is None or not job.claim.by_eviction:
            return None
        latest = max((other.kill_at_us or 0 for other in self._world.live_jobs() if other.stopped_for == job.id), default=0)
        return making_room(job.claim, latest or None)

    def _hold(self, wait: Wait | None) -> Hold | None:
        """Of the queue on its path that somebody holds, where that is why it waits."""
        held = wait.numbers.get("held_queue") if wait is not None else None
        if held is None:
            return None
        with self._store.read() as unit:
            return hold_of(unit, unit.queues.get(QueueName(str(held))))

    def attempts(self, actor: Actor, name: str) -> Sequence[tuple[Attempt, Lease]]:
        """Every attempt with its lease, by number, then rank. Raises Unknown."""
        with self._store.read() as unit:
            job = Scope(unit, actor).job(name)
            leases = {lease.attempt: lease for lease in unit.leases.find({"job": job.id})}
            attempts = sorted(unit.attempts.find({"job": job.id}), key=lambda attempt: (attempt.number, attempt.rank))
            return [(attempt, leases[attempt.id]) for attempt in attempts]

    def stop(self, actor: Actor, name: str) -> Job:
        """Ask it to end for good: signal, grace, SIGKILL. A job that is over stays as it is. Raises Unknown, Forbidden."""
        return self._change(actor, name, Ask.STOP)

    def hold(self, actor: Actor, name: str) -> Job:
        """Keep it from starting; one that runs is stopped with its signal and grace and waits, held."""
        return self._change(actor, name, Ask.HOLD)

    def release(self, actor: Actor, name: str) -> Job:
        """Let a held job go on; where it is not held nothing changes. Raises Unknown, Forbidden."""
        return self._change(actor, name, Ask.RELEASE)

    def _change(self, actor: Actor, name: str, ask: Ask) -> Job:
        """One guarded change of a job that is not over, with its event."""
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            job = scope.job(name)
            scope.require(Verb.JOB_STOP, project=job.project)
            if job.state in FINAL:
                return job
            changed, type_ = CHANGES[ask](job, now_us)
            if changed is not job:
                unit.jobs.put(changed)
                unit.events.append(event(type_, changed, now_us, actor=actor.user))
        self._wake()
        return changed
