"""Schedules: jobs of one file, submitted whenever a timetable is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from xingliu.control.dependencies import ended
from xingliu.control.errors import AlreadyScheduled, AmbiguousName, NoSchedule, TooMany
from xingliu.control.ports import Store, Unit
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.control.submissions import Submissions
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.documents import Document
from xingliu.kernel.errors import Unknown, XingliuError
from xingliu.kernel.events import CLOUD, EventDraft
from xingliu.kernel.ids import BlobId, Ids, ScheduleId
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.workloads.schedules import Occurrence, Schedule, occur, released, skipped
from xingliu.workloads.spec import read_job
from xingliu.workloads.specs import keep_spec
from xingliu.workloads.timetables import Timetable, due_after, next_due_us

SCHEDULES_MAX = 10_000
COMING_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule and its next due instants; none while it is held."""

    schedule: Schedule
    coming_us: tuple[int, ...]


class Schedules:
    """`run_due` is a step of the loop; the rest is what people ask for."""

    def __init__(self, store: Store, world: World, submissions: Submissions, clock: Clock, ids: Ids) -> None:
        self._store, self._world, self._submissions, self._clock, self._ids = store, world, submissions, clock, ids

    def create(
        self,
        actor: Actor,
        document: Mapping[str, object],
        *,
        project: str | None = None,
        blob: BlobId | None = None,
        idempotency_key: str | None = None,
    ) -> ScheduleStatus:
        """Keep a job file that has a schedule. The same file of that name again is what there is already.

        Raises what submitting it would now, and NoSchedule, AlreadyScheduled, TooMany.
        """
        spec = read_job(Document.of(document))
        if spec.schedule is None:
            raise NoSchedule(spec.name)
        once = replace(spec, schedule=None)
        file = {key: value for key, value in document.items() if key != "schedule"}
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            job = self._submissions.new_job(unit, actor, once, file, project, blob, now_us)
            request = {"document": document, "project": job.project, "blob": blob}
            if (earlier := made_before(unit, actor, idempotency_key, request)) is not None:
                return _status(_find(unit, Scope(unit, actor), earlier), now_us)
            schedule = Schedule(
                id=ScheduleId(job.id),
                tenant=job.tenant,
                project=job.project,
                user=actor.user,
                name=spec.name,
                timetable=spec.schedule,
                kept=keep_spec(file, once),
                created_us=now_us,
                next_us=next_due_us(spec.schedule, now_us),
                blob=blob,
            )
            if (there := self._there(unit, schedule)) is not None:
                return _status(there, now_us)
            unit.specs.put(schedule.kept)
            unit.schedules.put(schedule)
            unit.events.append(_event("schedule.created", schedule, now_us, actor.user, facts=_told(schedule.timetable)))
            keep_receipt(unit, actor, idempotency_key, request, schedule.id, now_us)
        return _status(schedule, now_us)

    def _there(self, unit: Unit, new: Schedule) -> Schedule | None:
        """The schedule of that name, where it is the same. Raises AlreadyScheduled, TooMany."""
        named = unit.schedules.find({"project": new.project, "name": new.name}, limit=1)
        if not named:
            if len(self._world.schedules) >= SCHEDULES_MAX:
                raise TooMany("schedules", SCHEDULES_MAX, "Stop some: `xl schedule stop NAME`.")
            return None
        same = (named[0].spec_id, named[0].timetable, named[0].blob) == (new.spec_id, new.timetable, new.blob)
        if not same:
            raise AlreadyScheduled(new.name, new.project)
        return named[0]

    def get(self, actor: Actor, name: str) -> ScheduleStatus:
        """By id, or by a name that is unique among those seen. Raises Unknown, AmbiguousName."""
        with self._store.read() as unit:
            return _status(_find(unit, Scope(unit, actor), name), self._clock.now_us())

    def list(
        self,
        actor: Actor,
        where: Mapping[str, object] | None = None,
        *,
        after: ScheduleId | None = None,
        limit: int = 100,
    ) -> Sequence[ScheduleStatus]:
        """The visible ones that match, by time of creation."""
        now_us = self._clock.now_us()
        with self._store.read() as unit:
            found = unit.schedules.find(Scope(unit, actor).narrow(where), after=after, limit=limit)
        return [_status(schedule, now_us) for schedule in found]

    def hold(self, actor: Actor, name: str) -> ScheduleStatus:
        """Submit nothing until it is released; what it submitted goes on. Raises Unknown, AmbiguousName, Forbidden."""
        return self._set_held(actor, name, held=True)

    def release(self, actor: Actor, name: str) -> ScheduleStatus:
        """Let it go on with the next due instant. Raises Unknown, AmbiguousName, Forbidden."""
        return self._set_held(actor, name, held=False)

    def _set_held(self, actor: Actor, name: str, *, held: bool) -> ScheduleStatus:
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            schedule = _find(unit, Scope(unit, actor), name, Verb.JOB_STOP)
            if schedule.held is not held:
                schedule = replace(schedule, held=True) if held else released(schedule, now_us)
                unit.schedules.put(schedule)
                unit.events.append(_event("schedule.held" if held else "schedule.released", schedule, now_us, actor.user))
        return _status(schedule, now_us)

    def stop(self, actor: Actor, name: str) -> ScheduleStatus:
        """Forget it; what it submitted goes on. Raises Unknown, AmbiguousName, Forbidden."""
        with self._store.write() as unit:
            schedule = _find(unit, Scope(unit, actor), name, Verb.JOB_STOP)
            unit.schedules.delete(schedule.id)
            unit.events.append(_event("schedule.stopped", schedule, self._clock.now_us(), actor.user))
        return ScheduleStatus(schedule, ())

    # The loop ---------------------------------------------------------------------------------------------------------

    def run_due(self) -> None:
        """Submit what is due, each instant once: it is recorded in the transaction that submits. Only the loop's thread.

        However long nothing ran, each schedule submits once. Raises StoreUnavailable, NotInControl.
        """
        now_us = self._clock.now_us()
        for schedule_id in self._world.due(now_us):
            with self._store.write() as unit:
                schedule = unit.schedules.get(schedule_id)
                if schedule is not None and schedule.is_due(now_us):
                    self._deal_with(unit, schedule, now_us)

    def _deal_with(self, unit: Unit, schedule: Schedule, now_us: int) -> None:
        over = ended(unit, schedule.unfinished)
        of = occur(schedule, now_us, tuple(one for one in schedule.unfinished if one not in over))
        after, facts = of.schedule, {"due_us": of.at_us}
        if of.why_not:
            event = _event("schedule.skipped", schedule, now_us, cause=of.why_not, facts=facts)
        else:
            after, event = self._submit(unit, of, now_us)
        unit.schedules.put(after)
        unit.events.append(event)

    def _submit(self, unit: Unit, of: Occurrence, now_us: int) -> tuple[Schedule, EventDraft]:
        schedule, facts = of.schedule, dict[str, object](due_us=of.at_us)
        try:
            job = self._submissions.submit_due(unit, of, now_us)
        except XingliuError as refusal:
            facts["code"] = refusal.code
            event = _event("schedule.refused", schedule, now_us, cause=str(refusal), facts=facts)
            return skipped(of, str(refusal)).schedule, event
        one = job.array_id or job.id
        facts["array" if job.array is not None else "job"] = one
        after = replace(schedule, submitted=schedule.submitted + 1, unfinished=(*schedule.unfinished, one))
        return after, _event("schedule.submitted", schedule, now_us, facts=facts)


def _find(unit: Unit, scope: Scope, name: str, verb: Verb | None = None) -> Schedule:
    """Raises Unknown, AmbiguousName, and Forbidden where the actor may not do `verb`."""
    named = unit.schedules.get(ScheduleId(name))
    visible = scope.visible_projects()
    found = [named] if named is not None and (visible is None or named.project in visible) else []
    found = found or list(unit.schedules.find(scope.narrow({"name": name}), limit=2))
    if not found:
        raise Unknown("schedule", name)
    if len(found) > 1:
        raise AmbiguousName("schedule", name, ", ".join(f"{one.id} of {one.project}" for one in found))
    if verb is not None:
        scope.require(verb, project=found[0].project)
    return found[0]


def _status(schedule: Schedule, now_us: int) -> ScheduleStatus:
    if schedule.held or schedule.next_us is None:
        return ScheduleStatus(schedule, ())
    first_us = min(schedule.next_us, now_us)
    coming = islice((at_us for at_us in due_after(schedule.timetable, first_us - 1) if at_us >= schedule.next_us), COMING_SHOWN)
    return ScheduleStatus(schedule, tuple(coming))


def _told(timetable: Timetable) -> dict[str, object]:
    return {"cron": timetable.cron, "time_zone": timetable.time_zone, "overlap": timetable.overlap.value}


def _event(
    type_: str, schedule: Schedule, now_us: int, actor: str = CLOUD, *, cause: str = "", facts: Mapping[str, object] | None = None
) -> EventDraft:
    told = {"name": schedule.name, **(facts or {})}
    return EventDraft(type_, schedule.id, actor, now_us, schedule.tenant, schedule.project, cause, told)
