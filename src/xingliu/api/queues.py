"""Queues."""

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import Out
from xingliu.control.queues import QueuePage
from xingliu.kernel.resources import Resources

router = APIRouter(tags=["queues"])


class QueueOut(Out):
    """A queue; `in_use`, `borrowed`, `running` and `pending` are those of projects you see, in it and below it.

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
    held: bool
    in_use: dict[str, int]
    borrowed: dict[str, int]
    running: int
    pending: int


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
        held=queue.held,
        in_use=dict(page.in_use),
        borrowed=dict(page.borrowed),
        running=page.running,
        pending=page.pending,
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
