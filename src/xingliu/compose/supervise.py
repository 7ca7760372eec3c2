"""`xl up` and `xl down`: one supervisor a home, which keeps the control plane running until it is told to stop."""

import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from xingliu.compose.errors import AlreadyUp, DidNotStart, DidNotStop, NotUp, PortTaken
from xingliu.compose.settings import UpSettings

log = logging.getLogger(__name__)
READY_WITHIN_S = 90.0
DOWN_WITHIN_S = 30.0
STEADY_S = 10.0
LONGEST_PAUSE_S = 5.0
EXIT_GIVE_UP = 4


@dataclass(frozen=True, slots=True)
class Up:
    """What is up: read from the home while its lock is held."""

    pid: int
    url: str


class HomeLock:
    """Held by the supervisor and, through inheritance, by its control plane: the home is free when both are gone."""

    def __init__(self, settings: UpSettings) -> None:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.run_folder.mkdir(exist_ok=True, mode=0o700)
        self._path = settings.run_folder / "up.lock"
        self.file: IO[str] = self._path.open("a+")
        os.set_inheritable(self.file.fileno(), True)

    def take(self, home: Path) -> None:
        """Raises AlreadyUp."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            up = self.read()
            raise AlreadyUp(home, up.url if up else "unknown", up.pid if up else 0) from None

    def write(self, up: Up) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.file.write(json.dumps({"pid": up.pid, "url": up.url}))
        self.file.flush()

    def read(self) -> Up | None:
        self.file.seek(0)
        text = self.file.read()
        return Up(**json.loads(text)) if text else None


def find_up(settings: UpSettings) -> Up | None:
    """What is up on this home, None when nothing is."""
    if not (settings.run_folder / "up.lock").exists():
        return None
    lock = HomeLock(settings)
    try:
        fcntl.flock(lock.file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return lock.read() or Up(0, "")
    else:
        return None
    finally:
        lock.file.close()


def listen(settings: UpSettings) -> socket.socket:
    """The API's socket, bound by the supervisor so that no request is refused while the control plane restarts."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError:
        listener.close()
        raise PortTaken(settings.host, settings.port) from None
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def up(settings: UpSettings, *, detach: bool, on_ready: Callable[[Up], None]) -> int:
    """Bring the cloud up and, unless detached, keep it up until SIGINT or SIGTERM. Gives the exit code.

    Raises AlreadyUp, PortTaken, DidNotStart.
    """
    lock = HomeLock(settings)
    lock.take(settings.home)
    with listen(settings) as listener:
        url = settings.url(listener.getsockname()[1])
        if detach:
            pid = _detach(settings, lock, listener, url)
            on_ready(Up(pid, url))
            return 0
        return Supervisor(settings, lock, listener, url).run(lambda: on_ready(Up(os.getpid(), url)))


def _detach(settings: UpSettings, lock: HomeLock, listener: socket.socket, url: str) -> int:
    """Supervise in a process of its own session; returns its pid once the cloud answers. Raises DidNotStart."""
    settings.log_file.parent.mkdir(exist_ok=True, mode=0o700)
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        os.setsid()
        log_fd = os.open(settings.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        code = 1
        try:
            code = Supervisor(settings, lock, listener, url).run(lambda: _say_ready(tell))
        except DidNotStart as error:
            os.write(tell, error.why.encode())
        finally:
            os._exit(code)
    os.close(tell)
    try:
        with os.fdopen(ready, "rb") as told:
            answer = told.read()
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)
        raise
    if answer != b"+":
        raise DidNotStart(answer.decode() or "its supervisor died", settings.log_file)
    return pid


def _say_ready(tell: int) -> None:
    os.write(tell, b"+")
    os.close(tell)


def _last_line(log_file: Path) -> str:
    """What a control plane that died of a defect said last; empty where nothing was kept."""
    try:
        lines = log_file.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1].strip()}" if lines else ""


class Supervisor:
    """Starts the control plane, starts it again when it dies, and stops it when told to."""

    def __init__(self, settings: UpSettings, lock: HomeLock, listener: socket.socket, url: str) -> None:
        self._settings, self._lock, self._listener, self._url = settings, lock, listener, url
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self, on_ready: Callable[[], object]) -> int:
        """Until told to stop. Raises DidNotStart when the first start fails."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        self._lock.write(Up(os.getpid(), self._url))
        pause_s, first = 0.1, True
        while not self._stopping:
            begun = time.monotonic()
            code = self._run_child(on_ready if first else None)
            if self._stopping:
                break
            if code == EXIT_GIVE_UP:
                return EXIT_GIVE_UP
            first = False
            pause_s = 0.1 if time.monotonic() - begun > STEADY_S else min(pause_s * 2, LONGEST_PAUSE_S)
            log.warning("the control plane ended with %s; starting it again in %.1f s", code, pause_s)
            time.sleep(pause_s)
        return 0

    def _run_child(self, on_ready: Callable[[], object] | None) -> int | None:
        """One life of the control plane; its exit code. Raises DidNotStart before it was ever ready, given `on_ready`."""
        ready, tell = os.pipe()
        alive, keep = os.pipe()
        fds = (tell, alive, self._lock.file.fileno(), self._listener.fileno())
        self._child = subprocess.Popen(
            [sys.executable, "-m", "xingliu.compose.serve", json.dumps(self._options(tell, alive))], pass_fds=fds
        )
        os.close(tell)
        os.close(alive)
        try:
            with os.fdopen(ready, "rb") as told:
                answer = told.read()
            if on_ready is not None:
                if answer != b"+" and not self._stopping:
                    self._child.wait()
                    why = answer.decode() or f"it ended with {self._child.returncode}{_last_line(self._settings.log_file)}"
                    raise DidNotStart(why, self._settings.log_file)
                on_ready()
            return self._child.wait()
        finally:
            os.close(keep)

    def _options(self, tell: int, alive: int) -> dict[str, object]:
        settings = self._settings
        return {
            "home": str(settings.home),
            "host": settings.host,
            "port": settings.port,
            "store_url": settings.store_url,
            "tls_cert": str(settings.tls_cert) if settings.tls_cert else None,
            "tls_key": str(settings.tls_key) if settings.tls_key else None,
            "sandbox": settings.sandbox,
            "url": self._url,
            "listener": self._listener.fileno(),
            "tell": tell,
            "alive": alive,
        }

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)


def down(settings: UpSettings) -> None:
    """Stop the control plane and wait until the home is free; what runs goes on. Raises NotUp, DidNotStop."""
    found = find_up(settings)
    if found is None or found.pid == 0:
        raise NotUp(settings.home)
    os.kill(found.pid, signal.SIGTERM)
    until = time.monotonic() + DOWN_WITHIN_S
    while find_up(settings) is not None:
        if time.monotonic() > until:
            raise DidNotStop(found.pid, int(DOWN_WITHIN_S))
        time.sleep(0.02)
