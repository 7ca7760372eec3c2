"""Many jobs at once: stop, hold, release, by name or by what they have in common."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from xingliu.api.asking import Asker, Control, Text
from xingliu.api.shapes import In, Out
from xingliu.control.bulk import AT_ONCE_MAX, Bulk, Selector
from xingliu.control.services import Services
from xingliu.kernel.ids import JobId
from xingliu.tenancy.model import Actor
from xingliu.training.asking import Ask
from xingliu.workloads.model import Job, JobState

router = APIRouter(tags=["jobs"])
_Word = Annotated[Text | None, Field(max_length=200)]


class BulkIn(In):
    """Jobs by name in `jobs`, or those that match everything else that is given; `all` is every one you see.

    `queue` takes those below it along; in `name`, * and ? stand for any letters and for one. `preview` changes nothing.
    A request changes at most 500 jobs; ask again with `after` as the answer's `next` until that is null.
    """

    jobs: Annotated[list[Annotated[Text, Field(max_length=200)]], Field(max_length=AT_ONCE_MAX)] = []
    project: _Word = None
    queue: _Word = None
    user: _Word = None
    state: JobState | None = None
    name: _Word = None
    all: bool = False
    preview: bool = False
    after: _Word = None


class GroupOut(Out):
    project: str
    state: str
    count: int


class RefusedOut(Out):
    project: str
    count: int


class TouchedOut(Out):
    job: str
    name: str
    project: str
    queue: str
    user: str
    state: str


class BulkOut(Out):
    """What was changed, or with `preview` would be.

    `groups` are the states before it; `jobs` are the first 20 in a preview, else all that changed; `same` are so already;
    `refused` you see and may not touch. `left` more are to change, from `next` on.
    """

    preview: bool
    count: int
    groups: list[GroupOut]
    jobs: list[TouchedOut]
    same: int
    refused: list[RefusedOut]
    left: int
    next: str | None


@router.post("/v1/jobs:stop")
def stop_jobs(control: Control, asker: Asker, body: BulkIn) -> BulkOut:
    """End them for good: signal, grace, SIGKILL."""
    return _ask(control, asker, Ask.STOP, body)


@router.post("/v1/jobs:hold")
def hold_jobs(control: Control, asker: Asker, body: BulkIn) -> BulkOut:
    """Keep them from starting; those that run are stopped and wait."""
    return _ask(control, asker, Ask.HOLD, body)


@router.post("/v1/jobs:release")
def release_jobs(control: Control, asker: Asker, body: BulkIn) -> BulkOut:
    """Let held ones go on."""
    return _ask(control, asker, Ask.RELEASE, body)


def _ask(control: Services, asker: Actor, ask: Ask, body: BulkIn) -> BulkOut:
    selector = Selector(tuple(body.jobs), body.project, body.queue, body.user, body.state, body.name, body.all)
    if body.preview:
        return _out(control.bulk.preview(asker, ask, selector), preview=True)
    after = JobId(body.after) if body.after is not None else None
    return _out(control.bulk.carry_out(asker, ask, selector, after=after), preview=False)


def _out(bulk: Bulk, *, preview: bool) -> BulkOut:
    return BulkOut(
        preview=preview,
        count=bulk.count,
        groups=[GroupOut(project=group.project, state=group.state.value, count=group.count) for group in bulk.groups],
        jobs=[_touched(job) for job in bulk.jobs],
        same=bulk.same,
        refused=[RefusedOut(project=project, count=count) for project, count in sorted(bulk.refused.items())],
        left=bulk.left,
        next=bulk.next,
    )


def _touched(job: Job) -> TouchedOut:
    named = {"job": job.id, "name": job.title, "project": job.project, "queue": job.queue, "user": job.user}
    return TouchedOut(state=job.state.value, **named)
