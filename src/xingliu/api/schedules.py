"""Schedules: keep a job file with a timetable, list, hold, release, stop."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control, Once
from xingliu.api.jobs import JobIn
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import Out
from xingliu.control.schedules import ScheduleStatus
from xingliu.kernel.ids import BlobId, ScheduleId

router = APIRouter(tags=["schedules"])


class ScheduleOut(Out):
    """Submits `spec` whenever it is due. Instants in microseconds.

    `coming_us` are the next due instants; `last_us` is the one that was dealt with last, and `message` says why nothing was
    submitted then. `unfinished` are jobs and arrays it submitted that were not known to be over then.
    """

    id: str
    name: str
    tenant: str
    project: str
    user: str
    cron: str
    time_zone: str
    overlap: str
    held: bool
    coming_us: list[int]
    last_us: int | None
    message: str
    submitted: int
    unfinished: list[str]
    created_us: int
    spec: dict[str, Any]


def schedule_out(status: ScheduleStatus) -> ScheduleOut:
    schedule, timetable = status.schedule, status.schedule.timetable
    return ScheduleOut(
        id=schedule.id,
        name=schedule.name,
        tenant=schedule.tenant,
        project=schedule.project,
        user=schedule.user,
        cron=timetable.cron,
        time_zone=timetable.time_zone,
        overlap=timetable.overlap.value,
        held=schedule.held,
        coming_us=list(status.coming_us),
        last_us=schedule.last_us,
        message=schedule.message,
        submitted=schedule.submitted,
        unfinished=list(schedule.unfinished),
        created_us=schedule.created_us,
        spec=dict(schedule.kept.document),
    )


@router.post("/v1/schedules", status_code=201)
def create_schedule(control: Control, asker: Asker, body: JobIn, once: Once = None) -> ScheduleOut:
    """Keep a job file that has a `schedule`. The same file again is the schedule there is."""
    blob = BlobId(body.blob) if body.blob is not None else None
    made = control.schedules.create(asker, body.document, project=body.project, blob=blob, idempotency_key=once)
    return schedule_out(made)


@router.get("/v1/schedules")
def list_schedules(
    control: Control,
    asker: Asker,
    project: Annotated[str | None, Query(max_length=100)] = None,
    name: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[ScheduleOut]:
    """By time of creation."""
    where: dict[str, object] = {} if name is None else {"name": name}
    if project is not None:
        where["project"] = control.projects.get(asker, project).id
    start = ScheduleId(after) if after is not None else None
    found = control.schedules.list(asker, where, after=start, limit=limit + 1)
    return page_of(found, limit, lambda status: status.schedule.id, schedule_out)


@router.get("/v1/schedules/{schedule}")
def show_schedule(control: Control, asker: Asker, schedule: str) -> ScheduleOut:
    """By id, or by its name where you see one of that name."""
    return schedule_out(control.schedules.get(asker, schedule))


@router.post("/v1/schedules/{schedule}:hold")
def hold_schedule(control: Control, asker: Asker, schedule: str) -> ScheduleOut:
    """Submit nothing until it is released; what is due meanwhile is not made up for."""
    return schedule_out(control.schedules.hold(asker, schedule))


@router.post("/v1/schedules/{schedule}:release")
def release_schedule(control: Control, asker: Asker, schedule: str) -> ScheduleOut:
    """Let it go on with the next due instant."""
    return schedule_out(control.schedules.release(asker, schedule))


@router.post("/v1/schedules/{schedule}:stop")
def stop_schedule(control: Control, asker: Asker, schedule: str) -> ScheduleOut:
    """Forget it; the jobs it submitted go on."""
    return schedule_out(control.schedules.stop(asker, schedule))
