"""A terminal in a running replica's sandbox, over a WebSocket.

Binary frames are bytes, both ways. Text frames are JSON: first `{"command": [...]}` from the client (empty: a shell), then
`{"resize": [rows, columns]}`; last `{"exit": code}` to the client, or a problem document.
"""

import asyncio
import json
import threading
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from xingliu.api.asking import resolve
from xingliu.api.errors import TooManyStreams, problem_of, respond
from xingliu.control.errors import BadCredentials
from xingliu.control.ports import Terminal
from xingliu.control.services import Services
from xingliu.kernel.errors import BadValue, XingliuError
from xingliu.tenancy.model import Actor

TERMINALS_MAX = 32
COMMAND_WITHIN_S = 10.0
_SIDE_LONGEST = 10_000
_NORMAL, _POLICY = 1000, 1008

router = APIRouter()


class Terminals:
    """How many terminals are open, and the threads that copy their bytes: one for each direction, and one to end them."""

    def __init__(self, most: int = TERMINALS_MAX) -> None:
        self._free = threading.Semaphore(most)
        self.most = most
        self.limiter = anyio.CapacityLimiter(3 * most)

    def enter(self) -> None:
        """Raises TooManyStreams."""
        if not self._free.acquire(blocking=False):
            raise TooManyStreams("terminals", self.most)

    def leave(self) -> None:
        self._free.release()


@router.websocket("/v1/jobs/{job}/attach")
async def attach(socket: WebSocket, job: str, rank: Annotated[int, Query(ge=0, le=2**53)] = 0) -> None:
    """Open a terminal, copy both ways until the command ends or the client leaves, and end all it started."""
    terminals: Terminals = socket.app.state.terminals
    try:
        actor = await _asker(socket)
        terminals.enter()
    except XingliuError as error:
        await socket.send_denial_response(respond(error))
        return
    try:
        await socket.accept()
        await _attached(socket, terminals, actor, job, rank)
    except (WebSocketDisconnect, RuntimeError):
        return  # the client left; starlette says RuntimeError when it left before an answer was sent
    finally:
        terminals.leave()


async def _asker(socket: WebSocket) -> Actor:
    scheme, _, given = socket.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise BadCredentials
    services: Services = socket.app.state.services
    return await resolve(services.actors, given.strip())


async def _attached(socket: WebSocket, terminals: Terminals, actor: Actor, job: str, rank: int) -> None:
    services: Services = socket.app.state.services
    try:
        command = _command(await asyncio.wait_for(socket.receive(), COMMAND_WITHIN_S))
        terminal = await run_sync(lambda: services.attach.open(actor, job, rank=rank, command=command))
    except TimeoutError:
        await socket.close(_POLICY, "no command came")
        return
    except XingliuError as error:
        await socket.send_text(json.dumps(problem_of(error)))
        await socket.close(_POLICY)
        return
    try:
        await _copy(socket, terminal, terminals.limiter)
    finally:
        with anyio.CancelScope(shield=True):
            code = await run_sync(terminal.close, limiter=terminals.limiter)
    await socket.send_text(json.dumps({"exit": code}))
    await socket.close(_NORMAL)


async def _copy(socket: WebSocket, terminal: Terminal, limiter: anyio.CapacityLimiter) -> None:
    """Until either side ends. Raises WebSocketDisconnect when it was the client."""
    tasks = [asyncio.ensure_future(way(socket, terminal, limiter)) for way in (_show, _type)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def _show(socket: WebSocket, terminal: Terminal, limiter: anyio.CapacityLimiter) -> None:
    while data := await run_sync(terminal.read, abandon_on_cancel=True, limiter=limiter):
        await socket.send_bytes(data)


async def _type(socket: WebSocket, terminal: Terminal, limiter: anyio.CapacityLimiter) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", _NORMAL))
        data: bytes | None = message.get("bytes")
        if data is None:
            _resize(terminal, message.get("text") or "")
        elif data:
            await run_sync(terminal.write, data, abandon_on_cancel=True, limiter=limiter)


def _command(message: Any) -> list[str]:
    """Raises BadValue, WebSocketDisconnect."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", _NORMAL))
    found = _read(message.get("text") or "").get("command")
    if not isinstance(found, list) or not all(isinstance(word, str) and "\0" not in word for word in found):
        raise BadValue("the first frame", "a command", 'Send {"command": ["ls", "-l"]}, or {"command": []} for a shell.')
    return found


def _resize(terminal: Terminal, text: str) -> None:
    """A frame that is none is ignored: a terminal of a wrong size is better than none."""
    size = _read(text).get("resize")
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int and 0 < side <= _SIDE_LONGEST for side in size):
        terminal.resize(size[0], size[1])


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
