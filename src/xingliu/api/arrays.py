"""Arrays: list, explain, stop, hold and release all elements of one as one."""

from typing import Annotated

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control
from xingliu.api.jobs_out import WhyOut, why_out
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import Out
from xingliu.control.arrays import ArrayStatus
from xingliu.kernel.ids import ArrayId
from xingliu.workloads.model import Job

router = APIRouter(tags=["arrays"])


class BadElementOut(Out):
    """An element that did not succeed."""

    job: str
    name: str
    state: str
    exit_code: int | None
    signal: int | None
    message: str


class ArrayOut(Out):
    """Many jobs of one file. `counts` by state, of those there are; `first_bad` is told of a single array only."""

    id: str
    name: str
    tenant: str
    project: str
    user: str
    queue: str
    indices: str
    size: int
    max_parallel: int | None
    submitted_us: int
    counts: dict[str, int]
    first_bad: BadElementOut | None


class ReasonOut(Out):
    reason: str
    count: int


class ArrayWhyOut(Out):
    """Why elements wait, the most common reason first, and the explanation of the first that waits."""

    array: ArrayOut
    reasons: list[ReasonOut]
    first: WhyOut | None


def array_out(status: ArrayStatus) -> ArrayOut:
    array = status.array
    return ArrayOut(
        id=array.id,
        name=array.name,
        tenant=array.tenant,
        project=array.project,
        user=array.user,
        queue=array.queue,
        indices=array.indices,
        size=array.size,
        max_parallel=array.max_parallel,
        submitted_us=array.submitted_us,
        counts={state.value: count for state, count in status.counts.items()},
        first_bad=None if status.first_bad is None else _bad(status.first_bad),
    )


def _bad(job: Job) -> BadElementOut:
    state = job.state.value
    return BadElementOut(job=job.id, name=job.title, state=state, exit_code=job.exit_code, signal=job.signal, message=job.message)


@router.get("/v1/arrays")
def list_arrays(
    control: Control,
    asker: Asker,
    project: Annotated[str | None, Query(max_length=100)] = None,
    queue: Annotated[str | None, Query(max_length=100)] = None,
    name: Annotated[str | None, Query(max_length=100)] = None,
    user: Annotated[str | None, Query(max_length=100, description="By id, or by its name in a tenant.")] = None,
    active: Annotated[bool, Query(description="Only those with elements that are not over.")] = False,
    newest_first: bool = True,
    limit: Limit = 100,
    after: After = None,
) -> Page[ArrayOut]:
    """By time of submission."""
    where: dict[str, object] = {} if name is None else {"name": name}
    if queue is not None:
        where["queue"] = control.queues.below(queue)
    if user is not None:
        where["user"] = control.jobs.users_called(asker, user)
    if project is not None:
        where["project"] = control.projects.get(asker, project).id
    start = ArrayId(after) if after is not None else None
    found = control.arrays.list(asker, where, active=active, after=start, limit=limit + 1, newest_first=newest_first)
    return page_of(found, limit, lambda status: status.array.id, array_out)


@router.get("/v1/arrays/{array}")
def show_array(control: Control, asker: Asker, array: str) -> ArrayOut:
    """By id, by the beginning of one, or the newest of that name."""
    return array_out(control.arrays.get(asker, array))


@router.get("/v1/arrays/{array}/why")
def explain_array(control: Control, asker: Asker, array: str) -> ArrayWhyOut:
    """Why its elements wait, and when the first of them may start."""
    why = control.arrays.why(asker, array)
    return ArrayWhyOut(
        array=array_out(why.status),
        reasons=[ReasonOut(reason=reason.value, count=count) for reason, count in why.reasons],
        first=None if why.first is None else why_out(why.first),
    )


@router.post("/v1/arrays/{array}:stop")
def stop_array(control: Control, asker: Asker, array: str) -> ArrayOut:
    """Signal, grace, SIGKILL for every element that is not over."""
    return array_out(control.arrays.stop(asker, array))


@router.post("/v1/arrays/{array}:hold")
def hold_array(control: Control, asker: Asker, array: str) -> ArrayOut:
    """Keep its elements from starting; those that run are stopped and wait."""
    return array_out(control.arrays.hold(asker, array))


@router.post("/v1/arrays/{array}:release")
def release_array(control: Control, asker: Asker, array: str) -> ArrayOut:
    """Let its held elements go on."""
    return array_out(control.arrays.release(asker, array))
