"""Many jobs stopped, held or released at once: shown first, then done in transactions of bounded size.

The newest go first: who waits behind is gone before room is made for it, and what is submitted meanwhile is not reached.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xingliu.control.errors import BadSelection
from xingliu.control.ports import Store, Unit
from xingliu.control.scope import Scope
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import JobId, ProjectId, QueueName
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb, may
from xingliu.training.asking import CHANGES, Ask
from xingliu.training.gang import event
from xingliu.workloads.model import FINAL, LIVE, Job, JobState

AT_ONCE_MAX = 500
FIRST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Selector:
    """Which jobs: named ones, or those that match all that is given, or, with `everything`, all that are not over.

    `queue` takes those below it along; in `name`, * stands for any letters and ? for one.
    """

    jobs: tuple[str, ...] = ()
    project: str | None = None
    queue: str | None = None
    user: str | None = None
    state: JobState | None = None
    name: str | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    project: ProjectId
    state: JobState
    count: int


@dataclass(frozen=True, slots=True)
class Bulk:
    """What is, or would be, done.

    Attributes:
        count: jobs that change; `groups` of them as they were, `jobs` the first of them in a preview, else all.
        same: jobs that are so already, or over.
        refused: those this actor sees and may not touch, by project.
        left: jobs to change that are still to be looked at, from `next` on.
    """

    count: int
    groups: tuple[Group, ...]
    jobs: tuple[Job, ...]
    same: int
    refused: Mapping[ProjectId, int]
    left: int = 0
    next: JobId | None = None


Takes = Callable[[Job], bool]


@dataclass(slots=True)
class _Sorted:
    """Jobs by what would become of them."""

    wanted: list[Job] = field(default_factory=list)
    same: int = 0
    refused: Counter[ProjectId] = field(default_factory=Counter)

    def add(self, job: Job, changes: bool | None) -> None:
        """`changes` None: the actor may not."""
        if changes is None:
            self.refused[job.project] += 1
        elif changes:
            self.wanted.append(job)
        else:
            self.same += 1


class BulkJobs:
    """`wake` asks for a cycle soon."""

    def __init__(self, store: Store, world: World, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._store, self._world, self._clock, self._wake = store, world, clock, wake

    def preview(self, actor: Actor, ask: Ask, selector: Selector) -> Bulk:
        """What would change now; changes nothing. Raises BadSelection, Unknown, AmbiguousName."""
        candidates, _ = self._meant(actor, selector)
        found = _Sorted()
        for job in candidates:
            found.add(job, self._changes(actor, ask, job))
        first = tuple(found.wanted[:FIRST_SHOWN])
        return Bulk(len(found.wanted), _groups(found.wanted), first, found.same, found.refused)

    def carry_out(self, actor: Actor, ask: Ask, selector: Selector, *, after: JobId | None = None) -> Bulk:
        """Change the next jobs, at most AT_ONCE_MAX in one transaction; again with `after` as `next` until there is none.

        Repeating the whole after a crash changes what is left. Raises BadSelection, Unknown, AmbiguousName.
        """
        candidates, takes = self._meant(actor, selector)
        now, later = _Sorted(), _Sorted()
        for job in candidates:
            if after is None or job.id < after:
                found = now if len(now.wanted) < AT_ONCE_MAX else later
                found.add(job, self._changes(actor, ask, job))
        left, cursor = len(later.wanted), now.wanted[-1].id if later.wanted else None
        if not left:
            now.same, now.refused = now.same + later.same, now.refused + later.refused
        pairs = self._change(actor, ask, now.wanted, takes) if now.wanted else []
        same = now.same + len(now.wanted) - len(pairs)
        changed = tuple(job for _, job in pairs)
        return Bulk(len(pairs), _groups(job for job, _ in pairs), changed, same, now.refused, left, cursor)

    def _meant(self, actor: Actor, selector: Selector) -> tuple[list[Job], Takes]:
        """The jobs that are meant and seen, newest first; and what they must still be when they are changed."""
        _check(selector)
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            if selector.jobs:
                named = {job.id: job for name in selector.jobs for job in _named(unit, scope, name)}
                return [named[job] for job in sorted(named, reverse=True)], lambda job: True
            takes = _takes(unit, scope, self._world, selector)
        return sorted(filter(takes, self._world.live_jobs()), key=lambda job: job.id, reverse=True), takes

    def _changes(self, actor: Actor, ask: Ask, job: Job) -> bool | None:
        """Whether it would change; None where the actor may not change it."""
        if not may(actor, Verb.JOB_STOP, project=job.project):
            return None
        return job.state not in FINAL and CHANGES[ask](job, 0)[0] is not job

    def _change(self, actor: Actor, ask: Ask, jobs: Iterable[Job], takes: Takes) -> list[tuple[Job, Job]]:
        """Before and after, of those that still are what was meant."""
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            fresh = [found for job in jobs if (found := unit.jobs.get(job.id)) is not None and takes(found)]
            steps = [(job, *CHANGES[ask](job, now_us)) for job in fresh if job.state not in FINAL]
            changed = [step for step in steps if step[1] is not step[0]]
            unit.jobs.put(*(after for _, after, _ in changed))
            unit.events.append(*(event(type_, after, now_us, actor=actor.user) for _, after, type_ in changed))
        self._wake()
        return [(before, after) for before, after, _ in changed]


def _check(selector: Selector) -> None:
    """Raises BadSelection."""
    words = (selector.project, selector.queue, selector.user, selector.state, selector.name)
    selects = selector.everything or any(word is not None for word in words)
    if selector.jobs and selects:
        raise BadSelection("Jobs are named and selected at once.")
    if not selector.jobs and not selects:
        raise BadSelection("Nothing says which jobs are meant.")


def _named(unit: Unit, scope: Scope, name: str) -> Sequence[Job]:
    """A job, or all of an array that are not over. Raises Unknown, AmbiguousName."""
    found = scope.job_or_array(name)
    return [found] if isinstance(found, Job) else unit.jobs.find({"array_id": found.id, "state": LIVE})


def _takes(unit: Unit, scope: Scope, world: World, selector: Selector) -> Takes:
    """Whether a job is one of those that are meant and seen. Raises Unknown, AmbiguousName."""
    visible = scope.visible_projects()
    if selector.project is not None:
        visible = frozenset({scope.project(selector.project).id})
    if selector.queue is not None and unit.queues.get(QueueName(selector.queue)) is None:
        raise Unknown("queue", selector.queue)
    queues = None if selector.queue is None else world.below(QueueName(selector.queue))
    users = None if selector.user is None else scope.users_called(selector.user)
    name = None if selector.name is None else _pattern(selector.name)
    return lambda job: (
        job.state not in FINAL
        and (visible is None or job.project in visible)
        and (queues is None or job.queue in queues)
        and (users is None or job.user in users)
        and selector.state in (None, job.state)
        and (name is None or name.fullmatch(job.name) is not None)
    )


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in words))


def _groups(jobs: Iterable[Job]) -> tuple[Group, ...]:
    counts = Counter((job.project, job.state) for job in jobs)
    return tuple(Group(project, state, count) for (project, state), count in sorted(counts.items()))
