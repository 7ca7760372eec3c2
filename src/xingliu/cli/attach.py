"""`xl attach`: this terminal, connected to one inside the replica's sandbox."""

import contextlib
import json
import os
import select
import shutil
import signal
import ssl
import sys
import termios
import threading
import tty
from collections.abc import Iterator

import click
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from xingliu.cli.client import Client, part
from xingliu.cli.errors import ApiProblem, CloudUnreachable
from xingliu.cli.jobs import job_argument
from xingliu.cli.roles import rank_in_job
from xingliu.cli.session import Session

END_OF_INPUT = b"\x04"
CHUNK_BYTES = 65536


@click.command(epilog="Exit code: the command's own.")
@job_argument
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]")
@click.option("--role", help="Of which role the replica is.")
@click.option("--rank", type=click.IntRange(min=0), default=0, show_default=True, help="Which replica, with --role of that role.")
@click.pass_obj
def attach(session: Session, job: str, command: tuple[str, ...], role: str | None, rank: int) -> int:
    """Open a shell inside a running replica.

    It runs beside the replica: same sandbox, same user, same limits.

    \b
    xl attach train
    xl attach train --rank 1
    xl attach rl-run --role rollout --rank 3
    xl attach train -- nvidia-smi
    """
    found = session.client.get(f"/v1/jobs/{part(job)}")
    with _connected(session.client, job, rank_in_job(found, role, rank)) as socket:
        socket.send(json.dumps({"command": list(command)}))
        with _raw_terminal():
            return _Shell(socket).run()


@contextlib.contextmanager
def _connected(client: Client, job: str, rank: int) -> Iterator[ClientConnection]:
    """Raises ApiProblem, CloudUnreachable."""
    url = f"{client.url.replace('http', 'ws', 1)}/v1/jobs/{part(job)}/attach?rank={rank}"
    headers = client.headers()
    try:
        socket = connect(url, additional_headers=headers, ssl=client.tls(), max_size=None, compression=None, proxy=None)
    except InvalidStatus as refused:
        raise _refusal(refused.response.status_code, bytes(refused.response.body or b"")) from None
    except (OSError, ssl.SSLError) as lost:
        raise CloudUnreachable(client.url, str(lost)) from None
    with socket:
        yield socket


def _refusal(status: int, body: bytes) -> ApiProblem:
    try:
        return ApiProblem(status, json.loads(body))
    except ValueError:
        return ApiProblem(status, {"status": status})


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes through, Ctrl-C too; the terminal is put back whatever happens."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class _Shell:
    """Copies both ways until the other side says how it ended."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> int:
        """The command's exit code. Raises CloudUnreachable when the connection is lost, ApiProblem when it was refused."""
        if sys.stdout.isatty():
            signal.signal(signal.SIGWINCH, lambda *_: self._resize())
            self._resize()
        typing = threading.Thread(target=self._type, daemon=True)
        typing.start()
        try:
            return self._show()
        finally:
            os.write(self._wake_write, b"x")
            typing.join()

    def _resize(self) -> None:
        columns, rows = shutil.get_terminal_size()
        with contextlib.suppress(ConnectionClosed):
            self._socket.send(json.dumps({"resize": [rows, columns]}))

    def _show(self) -> int:
        try:
            for message in self._socket:
                if isinstance(message, bytes):
                    sys.stdout.buffer.write(message)
                    sys.stdout.buffer.flush()
                    continue
                said = json.loads(message)
                if "exit" in said:
                    return int(said["exit"])
                if "code" in said:
                    raise ApiProblem(int(said.get("status", 0)), said)
        except ConnectionClosed:
            pass
        raise CloudUnreachable("the replica", "the connection was lost.")

    def _type(self) -> None:
        """From the keyboard, or a pipe, to the other side, until woken up."""
        sources = [sys.stdin.fileno(), self._wake_read]
        with contextlib.suppress(ConnectionClosed, OSError):
            while self._wake_read not in (ready := select.select(sources, [], [])[0]):
                data = os.read(ready[0], CHUNK_BYTES)
                self._socket.send(data or END_OF_INPUT)
                if not data:
                    return
