"""Arrays: many jobs that were submitted as one, told, explained, stopped, held and released as one."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xingliu.control.jobs import Jobs, Why
from xingliu.control.ports import Store, Unit
from xingliu.control.scheduling import Scheduling
from xingliu.control.scope import Scope
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import ArrayId
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.training.asking import CHANGES, Ask
from xingliu.training.gang import event
from xingliu.workloads.arrays import Array
from xingliu.workloads.model import FINAL, LIVE, Job, JobState, PendingReason

BAD = FINAL - {JobState.SUCCEEDED}


@dataclass(frozen=True, slots=True)
class ArrayStatus:
    """An array, how many of its elements are in each state, and the one that ended badly first."""

    array: Array
    counts: Mapping[JobState, int]
    first_bad: Job | None = None


@dataclass(frozen=True, slots=True)
class ArrayWhy:
    """Why elements of an array wait, the most common reason first, and the explanation of the first that waits."""

    status: ArrayStatus
    reasons: tuple[tuple[PendingReason, int], ...]
    first: Why | None


class Arrays:
    """`wake` asks for a cycle soon."""

    def __init__(
        self, store: Store, world: World, scheduling: Scheduling, jobs: Jobs, clock: Clock, *, wake: Callable[[], None]
    ) -> None:
        self._store, self._world, self._scheduling, self._jobs, self._clock = store, world, scheduling, jobs, clock
        self._wake = wake

    def get(self, actor: Actor, name: str) -> ArrayStatus:
        """By id, unique prefix, or the newest of that name. Raises Unknown."""
        with self._store.read() as unit:
            return _status(unit, Scope(unit, actor).array(name), whole=True)

    def list(
        self,
        actor: Actor,
        where: Mapping[str, object] | None = None,
        *,
        active: bool = False,
        after: ArrayId | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> Sequence[ArrayStatus]:
        """The visible arrays that match, by time of submission; `active`: with elements that are not over."""
        live = {"id": frozenset(self._world.arrays())} if active else {}
        with self._store.read() as unit:
            wanted = Scope(unit, actor).narrow({**(where or {}), **live})
            found = unit.arrays.find(wanted, after=after, limit=limit, newest_first=newest_first)
            return [_status(unit, array) for array in found]

    def why(self, actor: Actor, name: str) -> ArrayWhy:
        """Raises Unknown."""
        status = self.get(actor, name)
        waiting = sorted(
            (job for job in self._world.elements(status.array.id) if job.state is JobState.PENDING), key=lambda job: job.id
        )
        waits = [self._scheduling.waits.get(job.id, job.wait) for job in waiting]
        reasons = Counter(wait.reason for wait in waits if wait is not None)
        first = self._jobs.why(actor, waiting[0].id) if waiting else None
        return ArrayWhy(status, tuple(reasons.most_common()), first)

    def stop(self, actor: Actor, name: str) -> ArrayStatus:
        """End every element that is not over. Raises Unknown, Forbidden."""
        return self._change(actor, name, Ask.STOP)

    def hold(self, actor: Actor, name: str) -> ArrayStatus:
        """Keep every element from starting; those that run are stopped and wait, held. Raises Unknown, Forbidden."""
        return self._change(actor, name, Ask.HOLD)

    def release(self, actor: Actor, name: str) -> ArrayStatus:
        """Let held elements go on. Raises Unknown, Forbidden."""
        return self._change(actor, name, Ask.RELEASE)

    def _change(self, actor: Actor, name: str, ask: Ask) -> ArrayStatus:
        """All of them in one guarded transaction, each with its event."""
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            array = scope.array(name)
            scope.require(Verb.JOB_STOP, project=array.project)
            changed: list[Job] = []
            events: list[EventDraft] = []
            for job in unit.jobs.find({"array_id": array.id, "state": LIVE}):
                after, type_ = CHANGES[ask](job, now_us)
                if after is not job:
                    changed.append(after)
                    events.append(event(type_, after, now_us, actor=actor.user))
            unit.jobs.put(*changed)
            unit.events.append(*events)
            status = _status(unit, array)
        self._wake()
        return status


def _status(unit: Unit, array: Array, *, whole: bool = False) -> ArrayStatus:
    """`whole`: also who ended badly first, which has to be looked for."""
    tally = unit.jobs.tally("state", {"array_id": array.id})
    counts = {state: count for state in JobState if (count := tally.get(state, 0))}
    bad = unit.jobs.find({"array_id": array.id, "state": BAD}) if whole and BAD & counts.keys() else []
    return ArrayStatus(array, counts, min(bad, key=lambda job: (job.finished_us or 0, job.id), default=None))
