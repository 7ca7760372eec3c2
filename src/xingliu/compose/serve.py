"""The control plane's process: `python -m xingliu.compose.serve OPTIONS`, started by the supervisor only."""

import contextlib
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from threading import Event, Thread

import uvicorn

from xingliu.adapters.sql.errors import StoreTooNew
from xingliu.adapters.sql.holding import StoreInUse
from xingliu.api.app import create_app
from xingliu.compose.build import build
from xingliu.compose.settings import UpSettings
from xingliu.compose.supervise import EXIT_GIVE_UP
from xingliu.kernel.errors import XingliuError

log = logging.getLogger("xingliu")
STREAMS_END_WITHIN_S = 2
KEEP_ALIVE_S = 75


class Server(uvicorn.Server):
    """Says through a pipe when it accepts requests, and leaves signals to `main`."""

    def __init__(self, config: uvicorn.Config, tell: int) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _tell(self._tell, b"+")

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # as uvicorn declares it
        yield


def main() -> int:
    options = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = _settings(options)
    server = Server(_config(settings), int(options["tell"]))
    lost = Event()

    def lost_control() -> None:
        lost.set()
        server.should_exit = True

    try:
        cloud = build(settings, str(options["url"]), on_lost=lost_control)
    except XingliuError as error:
        _tell(options["tell"], f"{error} {error.advice()}".encode())
        log.error("%s %s", error, error.advice())
        return EXIT_GIVE_UP if isinstance(error, StoreTooNew | StoreInUse) else 1
    server.config.app = create_app(cloud.services)
    _end_on_signals(server)
    Thread(target=_watch_supervisor, args=(int(options["alive"]), server), daemon=True).start()
    cloud.start()
    try:
        server.run(sockets=[socket.socket(fileno=int(options["listener"]))])
    finally:
        cloud.close()
    return EXIT_GIVE_UP if lost.is_set() else 0


def _config(settings: UpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        "",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=STREAMS_END_WITHIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def _end_on_signals(server: uvicorn.Server) -> None:
    def end(number: int, frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _watch_supervisor(alive: int, server: uvicorn.Server) -> None:
    """The pipe ends when the supervisor dies, however it dies; without one nobody would restart us."""
    os.read(alive, 1)
    server.should_exit = True


def _settings(options: dict[str, object]) -> UpSettings:
    cert, key, store_url = options["tls_cert"], options["tls_key"], options["store_url"]
    return UpSettings(
        home=Path(str(options["home"])),
        host=str(options["host"]),
        port=int(str(options["port"])),
        store_url=str(store_url) if store_url else None,
        tls_cert=Path(str(cert)) if cert else None,
        tls_key=Path(str(key)) if key else None,
        sandbox=bool(options["sandbox"]),
    )


def _tell(fd: int, message: bytes) -> None:
    """Once; the supervisor stops listening after the first word, and may itself be gone."""
    with contextlib.suppress(OSError):
        os.write(fd, message)
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main())
