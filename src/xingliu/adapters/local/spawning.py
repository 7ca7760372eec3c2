"""The launcher's side of the spawner: have one of this version run, and hand it orders."""

import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import xingliu
from xingliu.adapters.local import spawner
from xingliu.adapters.local.locks import is_held
from xingliu.adapters.local.places import Places
from xingliu.control.errors import LauncherUnavailable
from xingliu.kernel.ids import LeaseId

_START_TIMEOUT_S = 60
_ANSWER_TIMEOUT_S = 30.0
_AT_ONCE_MAX = 64


class Spawning:
    """One home's spawner. It is started when needed, and replaced when it runs other code than is installed."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._programs = (Path(spawner.__file__), Path(xingliu.__file__).with_name("shim.py"))
        self._version = hashlib.sha256(b"".join(path.read_bytes() for path in self._programs)).hexdigest()

    def ready(self) -> None:
        """Have a spawner of this version listen. Raises LauncherUnavailable."""
        lock = self._places.run / "spawner.lock"
        if is_held(lock):
            if _read(lock).get("version") == self._version:
                return
            self.end()
        self._start()

    def end(self) -> None:
        """End the spawner; the shims it made go on."""
        lock = self._places.run / "spawner.lock"
        try:
            handle = os.pidfd_open(int(str(_read(lock).get("pid", 0))))
        except (OSError, ValueError):
            return
        try:
            if is_held(lock):  # asked after the handle was taken: so the process it means is the one that holds the lock
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                select.select([handle], [], [], _ANSWER_TIMEOUT_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def _start(self) -> None:
        program, shim_file = map(str, self._programs)
        command = [sys.executable, "-I", "-S", program, str(self._places.run), shim_file, self._version]
        with (self._places.run / "spawner.log").open("ab") as log:
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_START_TIMEOUT_S, check=False, cwd="/"
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise LauncherUnavailable(f"the spawner does not start ({error})") from error
        if done.returncode not in (0, spawner.ALREADY_THERE):
            raise LauncherUnavailable(f"the spawner does not start; see {log.name}")

    def send(self, orders: Mapping[LeaseId, bytes]) -> None:
        """Hand over orders; each has become a shim, or was refused because it had one, when this returns.

        Raises LauncherUnavailable, some of them taken: asking again is harmless.
        """
        self.ready()
        waiting = list(orders.values())
        while waiting:
            batch, waiting = waiting[:_AT_ONCE_MAX], waiting[_AT_ONCE_MAX:]
            try:
                self._exchange(batch)
            except OSError as error:
                raise LauncherUnavailable(f"the spawner does not answer ({error})") from error

    def _exchange(self, orders: list[bytes]) -> None:
        """All are sent before the first answer is awaited, so that the shims begin side by side."""
        folder = os.open(self._places.run, os.O_RDONLY | os.O_DIRECTORY)
        talks: list[socket.socket] = []
        try:
            for order in orders:
                talk = socket.socket(socket.AF_UNIX)
                talks.append(talk)
                talk.settimeout(_ANSWER_TIMEOUT_S)
                talk.connect(f"/proc/self/fd/{folder}/spawner.sock")  # by number: a socket's path has 107 bytes at most
                talk.sendall(struct.pack(">I", len(order)) + order)
            for talk in talks:
                refused = json.loads(talk.makefile("rb").read() or b"{}").get("refused", "it ended before it answered")
                if refused and not refused.startswith("it "):
                    raise OSError(refused)
        finally:
            os.close(folder)
            for talk in talks:
                talk.close()


def _read(lock: Path) -> dict[str, object]:
    try:
        facts = json.loads(lock.read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
