"""The API over HTTP, on the supervisor's socket."""

import contextlib
import socket
from collections.abc import Iterator
from threading import Event, Thread

import uvicorn

from xingliu.api.app import create_app
from xingliu.compose.settings import UpSettings
from xingliu.control.services import Services

STREAMS_END_WITHIN_S = 2
KEEP_ALIVE_S = 75


class Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: UpSettings, services: Services, listener: socket.socket, ended: Event) -> None:
    """Answer requests until `ended` is set; those under way are finished, streams within `STREAMS_END_WITHIN_S`."""
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=STREAMS_END_WITHIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    server = Server(config)

    def end() -> None:
        ended.wait()
        server.should_exit = True

    Thread(target=end, name="end", daemon=True).start()
    server.run(sockets=[listener])
