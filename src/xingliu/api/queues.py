"""Queues."""

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import Out
from xingliu.control.queues import QueuePage

router = APIRouter(tags=["queues"])


class QueueOut(Out):
    """A queue; `in_use`, `running` and `pending` are those of projects you see. `quota` null is without bound."""

    name: str
    quota: dict[str, int] | None
    held: bool
    in_use: dict[str, int]
    running: int
    pending: int


def _out(page: QueuePage) -> QueueOut:
    queue = page.queue
    return QueueOut(
        name=queue.name,
        quota=None if queue.quota is None else dict(queue.quota),
        held=queue.held,
        in_use=dict(page.in_use),
        running=page.running,
        pending=page.pending,
    )


@router.get("/v1/queues")
def list_queues(control: Control, asker: Asker, limit: Limit = 100, after: After = None) -> Page[QueueOut]:
    """By name."""
    return page_of(control.queues.list(asker, after=after, limit=limit + 1), limit, lambda page: page.queue.name, _out)


@router.get("/v1/queues/{name}")
def show_queue(control: Control, asker: Asker, name: str) -> QueueOut:
    """One queue."""
    return _out(control.queues.get(asker, name))
