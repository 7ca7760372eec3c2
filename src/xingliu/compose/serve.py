"""The control plane's process: `python -m xingliu.compose.serve OPTIONS`, started by the supervisor only."""

import gc

gc.disable()  # until all is imported: a tenth of the start would be collections that find nothing

import contextlib
import json
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from threading import Event, Thread

from xingliu.adapters.sql.errors import StoreTooNew
from xingliu.adapters.sql.holding import StoreInUse
from xingliu.compose.build import Cloud, build
from xingliu.compose.collecting import collect_seldom
from xingliu.compose.errors import BadCertificate
from xingliu.compose.settings import UpSettings
from xingliu.compose.supervise import EXIT_GIVE_UP
from xingliu.kernel.errors import XingliuError

log = logging.getLogger("xingliu")


def main() -> int:
    """Say that it is up once the store is open and all is wired: the socket is bound, so who asks waits, not long."""
    options = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    ended, lost = Event(), Event()

    def lost_control() -> None:
        lost.set()
        ended.set()

    try:
        settings = _settings(options)
        _check_certificate(settings)
        cloud = build(settings, str(options["url"]), on_lost=lost_control)
    except XingliuError as error:
        _tell(options["tell"], f"{error} {error.advice()}".encode())
        log.error("%s %s", error, error.advice())
        return EXIT_GIVE_UP if isinstance(error, StoreTooNew | StoreInUse) else 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: ended.set())
    Thread(target=_watch_supervisor, args=(int(options["alive"]), ended), daemon=True).start()
    _tell(options["tell"], b"+")
    try:
        _listen(settings, cloud, socket.socket(fileno=int(options["listener"])), ended)
    finally:
        cloud.close()
    return EXIT_GIVE_UP if lost.is_set() else 0


def _listen(settings: UpSettings, cloud: Cloud, listener: socket.socket, ended: Event) -> None:
    # The web framework takes half of the start, and by now `xl up` has returned: what comes next starts beside it.
    from xingliu.compose.listening import listen  # noqa: PLC0415

    collect_seldom()
    cloud.start()
    listen(settings, cloud.services, listener, ended)


def _check_certificate(settings: UpSettings) -> None:
    """Raises BadCertificate."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_cert, settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise BadCertificate(settings.tls_cert, settings.tls_key, str(error)) from error


def _watch_supervisor(alive: int, ended: Event) -> None:
    """The pipe ends when the supervisor dies, however it dies; without one nobody would restart us."""
    os.read(alive, 1)
    ended.set()


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
