"""Queues."""

from typing import Annotated

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.control.holds import Hold
from xingliu.control.queues import QueuePage
from xingliu.kernel.resources import Resources
from xingliu.scheduling.deserved import Share
from xingliu.workloads.model import Job

router = APIRouter(tags=["queues"])


class HoldIn(In):
    """Shown to everyone whose job waits there."""

    reason: Text


class HoldOut(Out):
    """Who holds a queue, since when, and why."""

    queue: str
    actor: str
    since_us: int
    reason: str


class ShareOut(Out):
    """What was used lately of `kind`, the one of which most of the cloud was held; what was used long ago counts less.

    Amounts in milli-units x microseconds; `owed` is `deserved` less `used`. A queue deserves its weight's part of what its
    parent deserves, against those beside it in which somebody waits or used anything lately; a user, as much as any other
    who waits or used anything of what the queue used. `used_ppm` and `deserved_ppm`: of what all used, in millionths.
    """

    kind: str
    used: int
    deserved: int
    owed: int
    used_ppm: int
    deserved_ppm: int


class UserShareOut(Out):
    """What a user used of a queue."""

    user: str
    share: ShareOut


class UserSharesOut(Out):
    """Users you may know of, at most 100, the one that goes first first; `of` used the queue lately or wait in it."""

    queue: str
    of: int
    items: list[UserShareOut]


class QueueOut(Out):
    """A queue; `in_use`, `borrowed`, `running` and `pending` are those of projects you see, in it and below it.

    `lent` is what the queues beside it hold of its quota, and `share` what was used of it, whosever it is.
    `hold` is null where nobody holds it.
    `order` is whose turn it is in it, below priority: its own, or that of the nearest queue above it that has one.

    Bounds and amounts by kind, in thousandths of a core or GPU; a bound that is null is none.
    """

    name: str
    parent: str | None
    children: list[str]
    quota: dict[str, int] | None
    borrow_limit: dict[str, int] | None
    lend_limit: dict[str, int] | None
    user_limit: dict[str, int] | None
    project_limit: dict[str, int] | None
    weight: int
    min_runtime_us: int
    order: str
    held: bool
    in_use: dict[str, int]
    borrowed: dict[str, int]
    lent: dict[str, int]
    running: int
    pending: int
    hold: HoldOut | None
    share: ShareOut


class InLineOut(Out):
    """A job that waits, with its position in the line of the queue that was asked for; 1 is next."""

    position: int
    job: str
    name: str
    project: str
    user: str
    queue: str
    priority: str
    nodes: int
    submitted_us: int
    deadline_us: int | None
    reason: str | None


class LineOut(Out):
    """Those of a line that you see; `of` wait in it, and `others` of them are of projects you do not see."""

    queue: str
    of: int
    others: int
    items: list[InLineOut]
    next: str | None


def hold_out(hold: Hold | None) -> HoldOut | None:
    if hold is None:
        return None
    return HoldOut(queue=hold.queue, actor=hold.actor, since_us=hold.since_us, reason=hold.reason)


def _out(page: QueuePage) -> QueueOut:
    queue = page.queue
    return QueueOut(
        name=queue.name,
        parent=queue.parent,
        children=list(page.children),
        quota=_bound(queue.quota),
        borrow_limit=_bound(queue.borrow_limit),
        lend_limit=_bound(queue.lend_limit),
        user_limit=_bound(queue.user_limit),
        project_limit=_bound(queue.project_limit),
        weight=queue.weight,
        min_runtime_us=queue.min_runtime_us,
        order=page.order.value,
        held=queue.held,
        in_use=dict(page.in_use),
        borrowed=dict(page.borrowed),
        lent=dict(page.lent),
        running=page.running,
        pending=page.pending,
        hold=hold_out(page.hold),
        share=_share(page.share),
    )


def _share(share: Share) -> ShareOut:
    return ShareOut(
        kind=share.kind,
        used=share.used,
        deserved=share.deserved,
        owed=share.owed,
        used_ppm=share.used_ppm,
        deserved_ppm=share.deserved_ppm,
    )


def _bound(amounts: Resources | None) -> dict[str, int] | None:
    return None if amounts is None else dict(amounts)


@router.get("/v1/queues")
def list_queues(control: Control, asker: Asker, limit: Limit = 100, after: After = None) -> Page[QueueOut]:
    """By name."""
    return page_of(control.queues.list(asker, after=after, limit=limit + 1), limit, lambda page: page.queue.name, _out)


@router.get("/v1/queues/{name}")
def show_queue(control: Control, asker: Asker, name: str) -> QueueOut:
    """One queue."""
    return _out(control.queues.get(asker, name))


@router.get("/v1/queues/{name}/users")
def list_queue_users(control: Control, asker: Asker, name: str) -> UserSharesOut:
    """What its users used of it lately, and what they are owed."""
    page = control.queues.users(asker, name)
    items = [UserShareOut(user=user, share=_share(share)) for user, share in page.users]
    return UserSharesOut(queue=page.queue, of=page.of, items=items)


@router.get("/v1/queues/{name}/line")
def list_line(
    control: Control,
    asker: Asker,
    name: str,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, le=2**53, description="A position: `next` of the page before.")] = 0,
) -> LineOut:
    """Who waits in it and below it, in the order in which the last cycle decided them."""
    page = control.queues.line(asker, name, after=after, limit=limit + 1)
    shown = page.jobs[:limit]
    return LineOut(
        queue=page.queue,
        of=page.of,
        others=page.others,
        items=[_in_line(number, job) for number, job in shown],
        next=str(shown[-1][0]) if len(page.jobs) > limit else None,
    )


def _in_line(position: int, job: Job) -> InLineOut:
    return InLineOut(
        position=position,
        job=job.id,
        name=job.title,
        project=job.project,
        user=job.user,
        queue=job.queue,
        priority=job.spec.priority.value,
        nodes=job.spec.all_nodes,
        submitted_us=job.submitted_us,
        deadline_us=job.spec.deadline_us,
        reason=job.wait.reason.value if job.wait is not None else None,
    )


@router.post("/v1/queues/{name}:hold")
def hold_queue(control: Control, asker: Asker, name: str, body: HoldIn) -> QueueOut:
    """Let no job of it and below it start; what runs goes on."""
    control.holds.hold(asker, name, reason=body.reason)
    return _out(control.queues.get(asker, name))


@router.post("/v1/queues/{name}:release")
def release_queue(control: Control, asker: Asker, name: str) -> QueueOut:
    """Let its jobs start again."""
    control.holds.release(asker, name)
    return _out(control.queues.get(asker, name))
