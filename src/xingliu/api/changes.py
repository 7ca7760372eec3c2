"""Every list's change stream: the event log as server-sent events, narrowed to one noun and to what the actor sees.

The stream ends when the client leaves, and when its key or user is revoked.
"""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from enum import StrEnum
from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from xingliu.api.asking import Asker, Control, Credential
from xingliu.api.errors import TooManyStreams
from xingliu.api.events import event_out
from xingliu.control.services import Services
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.events import Event
from xingliu.tenancy.model import Actor

STREAMS_MAX = 64
HEARTBEAT_S = 15.0
LOOK_S = 1.0
_SEQ_MAX = 2**53

router = APIRouter(tags=["changes"])


class Listed(StrEnum):
    """What there are lists of."""

    JOBS = "jobs"
    ARRAYS = "arrays"
    TENANTS = "tenants"
    PROJECTS = "projects"
    USERS = "users"
    KEYS = "keys"
    SECRETS = "secrets"
    NODES = "nodes"
    QUEUES = "queues"
    FLAVORS = "flavors"
    POOLS = "pools"
    EVENTS = "events"


class Streams:
    """How many streams are open, and the threads that they wait in."""

    def __init__(self, most: int = STREAMS_MAX) -> None:
        self._free = threading.Semaphore(most)
        self.most = most
        self.limiter = anyio.CapacityLimiter(most)

    def enter(self) -> None:
        """Raises TooManyStreams."""
        if not self._free.acquire(blocking=False):
            raise TooManyStreams("change streams", self.most)

    def leave(self) -> None:
        self._free.release()


@router.get(
    "/v1/{noun}:changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events as they happen."}},
)
def changes(
    noun: Listed,
    request: Request,
    control: Control,
    asker: Asker,
    given: Credential,
    after: Annotated[int | None, Query(ge=0, le=_SEQ_MAX, description="The last event known; default: only new ones.")] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=_SEQ_MAX)] = None,
) -> StreamingResponse:
    """Follow a list: `id` is the event's number, `event` its type, `data` the event."""
    streams: Streams = request.app.state.streams
    streams.enter()
    start = next((seq for seq in (last_event_id, after) if seq is not None), control.events.last_seq())
    only = None if noun is Listed.EVENTS else noun.removesuffix("s")
    return EventStream(streams, Stream(control, given, only, start))


class Stream:
    """What one client has been told so far."""

    def __init__(self, control: Services, given: str, noun: str | None, after: int) -> None:
        self._control, self._given, self._noun, self._after = control, given, noun, after
        self._spoke_s = time.monotonic()

    def next(self) -> bytes | None:
        """What to send now, perhaps nothing yet; None to end. Waits at most LOOK_S."""
        try:
            actor = self._control.actors.resolve(self._given)
            return self._news(actor)
        except XingliuError:
            return None

    def _news(self, actor: Actor) -> bytes:
        self._control.events.wait(self._after, timeout_s=LOOK_S)
        events, self._after = self._control.events.since(actor, self._noun, self._after)
        if not events and time.monotonic() - self._spoke_s < HEARTBEAT_S:
            return b""
        self._spoke_s = time.monotonic()
        return b"".join(_written(events)) or b": still here\n\n"


class EventStream(StreamingResponse):
    """Sends until the client leaves or the stream ends, and then, however it ended, gives its place back."""

    def __init__(self, streams: Streams, stream: Stream) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._follow(stream), media_type="text/event-stream", headers=headers)
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave()

    async def _follow(self, stream: Stream) -> AsyncIterator[bytes]:
        yield b": following\n\n"
        while (chunk := await run_sync(stream.next, limiter=self._streams.limiter)) is not None:
            yield chunk


def _written(events: Sequence[Event]) -> Iterator[bytes]:
    for event in events:
        data = json.dumps(event_out(event).model_dump(), separators=(",", ":"), default=str)
        yield f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()
