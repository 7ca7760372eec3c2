"""Jobs that wait for others: a step of the cycle that marks what has ended, as it was waited for or not."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from xingliu.control.ports import Store, Unit
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import ArrayId, JobId
from xingliu.training.gang import event
from xingliu.workloads.dependencies import After, judge
from xingliu.workloads.model import FINAL, Job, JobState


class Dependencies:
    """Only the cycle's thread may call `run`."""

    def __init__(self, store: Store, world: World, clock: Clock) -> None:
        self._store, self._world, self._clock = store, world, clock

    def run(self) -> None:
        """Record which of the ends that are waited for have come, and how. Raises StoreUnavailable, NotInControl."""
        waiting = self._world.dependents()
        named = {after.id for job in waiting for after in job.after if after.met is None}
        over = [one for one in named if self._world.is_over(one)]
        if not over:
            return
        with self._store.read() as unit:
            known = ended(unit, over)
        judged = [(job, after) for job in waiting if (after := judge(job.after, known)) != job.after]
        with self._store.write() as unit:
            _record(unit, judged, self._clock.now_us())


def ended(unit: Unit, names: Iterable[str]) -> dict[str, Mapping[JobState, int]]:
    """How those of these jobs and arrays ended that are wholly over: states of all elements, counted."""
    states = {name: _states(unit, name) for name in names}
    return {name: found for name, found in states.items() if found.keys() <= FINAL}


def _states(unit: Unit, name: str) -> Mapping[JobState, int]:
    job = unit.jobs.get(JobId(name))
    if job is not None:
        return {job.state: 1}
    tally = unit.jobs.tally("state", {"array_id": ArrayId(name)})
    return {state: tally[state] for state in JobState if state in tally}


def _record(unit: Unit, judged: Iterable[tuple[Job, tuple[After, ...]]], now_us: int) -> None:
    """What somebody asked for meanwhile stands: only what a job waits for is written anew."""
    changed: list[Job] = []
    events: list[EventDraft] = []
    for before, after in judged:
        job = unit.jobs.get(before.id)
        if job is None or job.state is not JobState.PENDING or job.after != before.after:
            continue
        changed.append(replace(job, after=after))
        events += [_event(job, new, now_us) for old, new in zip(before.after, after, strict=True) if old != new]
    unit.jobs.put(*changed)
    unit.events.append(*events)


def _event(job: Job, after: After, now_us: int) -> EventDraft:
    cause = f"{after.name} ended{'' if after.met else ', but not as it was waited for'}"
    facts = {"after": after.id, "end": after.kind, "met": after.met}
    return event("job.dependency-met" if after.met else "job.dependency-failed", job, now_us, cause=cause, facts=facts)
