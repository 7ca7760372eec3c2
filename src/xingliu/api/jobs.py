"""Jobs: plan, submit, list, explain, stop, hold, release."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from xingliu.api.asking import Asker, Control, Once, Text
from xingliu.api.jobs_out import AttemptOut, JobOut, PlanOut, WhyOut, attempt_out, job_out, plan_out, why_out
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In
from xingliu.control.services import Services
from xingliu.kernel.ids import BlobId, JobId
from xingliu.tenancy.model import Actor
from xingliu.workloads.model import FINAL, LIVE, JobState

router = APIRouter(tags=["jobs"])
CHANGES_MAX = 12


class PlanIn(In):
    """`document`: a job file as JSON. `project` counts where the file names none."""

    document: dict[str, Any]
    project: Text | None = None


class JobPlanIn(PlanIn):
    """`changes`: each other values of some keys of the job, or of its resources, to plan beside it: `{"nodes": 8}`."""

    changes: Annotated[list[dict[str, Any]], Field(max_length=CHANGES_MAX)] = []


class JobIn(PlanIn):
    """`blob`: the SHA-256 of the packed working folder, uploaded before."""

    blob: Text | None = None


class ChangeIn(In):
    """`document`: the keys of the job file that become others."""

    document: dict[str, Any]


@router.post("/v1/jobs:plan")
def plan_job(control: Control, asker: Asker, body: JobPlanIn) -> PlanOut:
    """What would happen, at which price and from when, as it is and with each change; records nothing."""
    plans = control.submissions.plan(asker, body.document, project=body.project, changes=body.changes)
    return plan_out(plans, body.changes)


@router.post("/v1/jobs", status_code=201)
def submit_job(control: Control, asker: Asker, body: JobIn, once: Once = None) -> JobOut:
    """Submit a job file. Of an array, the first element is answered; its `array` names the whole."""
    blob = BlobId(body.blob) if body.blob is not None else None
    return job_out(control.submissions.submit(asker, body.document, project=body.project, blob=blob, idempotency_key=once))


@router.get("/v1/jobs")
def list_jobs(
    control: Control,
    asker: Asker,
    state: JobState | None = None,
    project: Annotated[str | None, Query(max_length=100)] = None,
    queue: Annotated[str | None, Query(max_length=100)] = None,
    name: Annotated[str | None, Query(max_length=100)] = None,
    user: Annotated[str | None, Query(max_length=100, description="By id, or by its name in a tenant.")] = None,
    active: Annotated[bool, Query(description="Only those that are not over.")] = False,
    array: Annotated[str | None, Query(max_length=100, description="Only elements of this array.")] = None,
    alone: Annotated[bool, Query(description="Without the elements of arrays.")] = False,
    newest_first: bool = True,
    limit: Limit = 100,
    after: After = None,
) -> Page[JobOut]:
    """By time of submission."""
    where = _where(control, asker, state=state, project=project, queue=queue, name=name, user=user, active=active)
    if array is not None or alone:
        where["array_id"] = None if array is None else control.arrays.get(asker, array).array.id
    start = JobId(after) if after is not None else None
    found = control.jobs.list(asker, where, after=start, limit=limit + 1, newest_first=newest_first)
    return page_of(found, limit, lambda job: job.id, job_out)


@router.get("/v1/jobs/{job}")
def show_job(control: Control, asker: Asker, job: str) -> JobOut:
    """By id, by the beginning of one, or the newest of that name; of an array with its index, `sweep[3]`."""
    return job_out(control.jobs.get(asker, job))


@router.get("/v1/jobs/{job}/why")
def explain_job(control: Control, asker: Asker, job: str) -> WhyOut:
    """Why it waits, who is ahead, and when it may start."""
    return why_out(control.jobs.why(asker, job))


@router.get("/v1/jobs/{job}/attempts")
def list_attempts(
    control: Control,
    asker: Asker,
    job: str,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, le=2**53, description="How many to skip: `next` of the page before.")] = 0,
) -> Page[AttemptOut]:
    """Every attempt of every rank, by number, then rank."""
    spec = control.jobs.get(asker, job).spec
    found = [attempt_out(spec, attempt, lease) for attempt, lease in control.jobs.attempts(asker, job)]
    more = len(found) > after + limit
    return Page(items=found[after : after + limit], next=str(after + limit) if more else None)


@router.post("/v1/jobs/{job}:stop")
def stop_job(control: Control, asker: Asker, job: str) -> JobOut:
    """Signal, grace, SIGKILL. A job that is over stays as it is."""
    return job_out(control.jobs.stop(asker, job))


@router.post("/v1/jobs/{job}:hold")
def hold_job(control: Control, asker: Asker, job: str) -> JobOut:
    """Keep it from starting; one that runs is stopped and waits."""
    return job_out(control.jobs.hold(asker, job))


@router.post("/v1/jobs/{job}:change")
def change_job(control: Control, asker: Asker, job: str, body: ChangeIn) -> JobOut:
    """Ask for something else for a job that waits; it keeps its place."""
    return job_out(control.alterations.change(asker, job, body.document))


@router.post("/v1/jobs/{job}:release")
def release_job(control: Control, asker: Asker, job: str) -> JobOut:
    """Let a held job go on."""
    return job_out(control.jobs.release(asker, job))


def _where(
    control: Services,
    asker: Actor,
    *,
    state: JobState | None,
    project: str | None,
    queue: str | None,
    name: str | None,
    user: str | None,
    active: bool,
) -> dict[str, object]:
    """The filters that were given; a project also by its bare name."""
    where: dict[str, object] = {}
    if active or state is not None:
        where["state"] = state if state is not None else LIVE
    if active and state in FINAL:
        where["state"] = frozenset[JobState]()
    if project is not None:
        where["project"] = control.projects.get(asker, project).id
    if user is not None:
        where["user"] = control.jobs.users_called(asker, user)
    if queue is not None:
        where["queue"] = control.queues.below(queue)
    if name is not None:
        where["name"] = name
    return where
