"""Events: the log, as far as the actor sees it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control
from xingliu.api.pages import Limit, Page
from xingliu.api.shapes import Out
from xingliu.kernel.events import Event

router = APIRouter(tags=["events"])
_SEQ_MAX = 2**53


class EventOut(Out):
    """One change: who did what, when, and why."""

    seq: int
    at_us: int
    type: str
    subject: str
    actor: str
    tenant: str
    project: str
    cause: str
    facts: dict[str, Any]


def event_out(event: Event) -> EventOut:
    return EventOut.model_construct(
        seq=event.seq,
        at_us=event.at_us,
        type=event.type,
        subject=event.subject,
        actor=event.actor,
        tenant=event.tenant,
        project=event.project,
        cause=event.cause,
        facts=dict(event.facts),
    )


@router.get("/v1/events")
def list_events(
    control: Control,
    asker: Asker,
    subject: Annotated[str | None, Query(max_length=300)] = None,
    type: Annotated[str | None, Query(max_length=100)] = None,  # noqa: A002  # the word on the wire
    project: Annotated[str | None, Query(max_length=100)] = None,
    after: Annotated[int | None, Query(ge=0, le=_SEQ_MAX)] = None,
    limit: Limit = 100,
    newest_first: bool = False,
) -> Page[EventOut]:
    """Oldest first unless asked otherwise."""
    named = {"subject": subject, "type": type, "project": project}
    where = {name: value for name, value in named.items() if value is not None}
    found = control.events.find(asker, where, after=after, limit=limit, newest_first=newest_first)
    return Page(items=[event_out(event) for event in found.items], next=str(found.next_seq) if found.next_seq else None)
