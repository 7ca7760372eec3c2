"""A shell beside a running replica: in its namespaces, its cgroups, its environment, and as its uid."""

import contextlib
import fcntl
import json
import os
import pty
import secrets
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from xingliu.adapters.local.isolation import Isolation, Walls
from xingliu.adapters.local.locks import is_held
from xingliu.adapters.local.places import Places
from xingliu.adapters.local.remains import marked
from xingliu.adapters.local.sandbox import SYSTEM_PATH, WORK, drop_to
from xingliu.adapters.local.script import exports_of
from xingliu.control.errors import NotRunning
from xingliu.kernel.ids import LeaseId

_READ_BYTES = 2**16
_END_TIMEOUT_S = 5
_NS_GET_USERNS = 0xB701
_JOIN = 'for folder in $1; do echo $$ > "$folder/cgroup.procs" || exit 1; done; shift; exec setsid --ctty "$@"'


class LocalShells:
    """The Shells port: enters with nsenter what bubblewrap made."""

    def __init__(self, places: Places, isolation: Isolation) -> None:
        self._places = places
        self._isolation = isolation

    def open(self, lease: LeaseId, *, uid: int, command: Sequence[str]) -> "PtyTerminal":
        record = self._running(lease)
        exports = exports_of(self._prelude(record))
        marker = f"XL_SHELL={secrets.token_hex(8)}"
        name, _, value = marker.partition("=")
        prelude = os.memfd_create("environment", 0)
        there = f"cd {WORK}\n" if self._isolation.sandboxed else ""
        own = f"export {name}={value} TERM=xterm-256color\nexec {prelude}<&-\n"
        os.write(prelude, f"unset BASH_ENV\n{exports}\n{there}{own}".encode())
        environment = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", name: value, "BASH_ENV": f"/proc/self/fd/{prelude}"}
        inner = ["-c", 'exec "$@"', "xl", *(command or [self._isolation.shell, "-i"])]
        folders = " ".join(map(str, _strings(record["cgroups"])))
        user = self._user_namespace(record)
        argv = ["/bin/sh", "-c", _JOIN, "sh", folders, *self._enter(record, uid, user), self._isolation.shell, *inner]
        main, other = pty.openpty()
        try:
            if self._isolation.walls is Walls.UID:
                os.fchown(other, uid, uid)
            process = subprocess.Popen(
                argv, stdin=other, stdout=other, stderr=other, env=environment, pass_fds=[prelude, *user], cwd=self._cwd(lease)
            )
        except BaseException:
            os.close(main)
            raise
        finally:
            for fd in (other, prelude, *user):
                os.close(fd)
        return PtyTerminal(process, main, marker)

    def _running(self, lease: LeaseId) -> Mapping[str, object]:
        """The record of a replica that runs now. Raises NotRunning."""
        folder = self._places.replica(lease)
        with contextlib.suppress(OSError, ValueError):
            record: dict[str, object] = json.loads((folder / "record.json").read_text())
            if record["phase"] == "running" and is_held(folder / "lock"):
                return record
        raise NotRunning(f"replica {lease}")

    def _prelude(self, record: Mapping[str, object]) -> str:
        """What the replica's own shell was told; its shim keeps it in memory, and only there."""
        try:
            with open(f"/proc/{record['shim']}/fd/{record['prelude_fd']}") as file:
                return file.read()
        except OSError as error:
            raise NotRunning(f"replica {record['lease']}") from error

    def _user_namespace(self, record: Mapping[str, object]) -> list[int]:
        """Without root: the user namespace that owns the sandbox's others. What runs in it may be in a child of that one."""
        if self._isolation.walls is not Walls.NAMESPACE:
            return []
        mounts = os.open(f"/proc/{record['inside']}/ns/mnt", os.O_RDONLY)
        try:
            return [fcntl.ioctl(mounts, _NS_GET_USERNS)]
        finally:
            os.close(mounts)

    def _enter(self, record: Mapping[str, object], uid: int, user: Sequence[int]) -> list[str]:
        if not self._isolation.sandboxed:
            return []
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--root"]
        if self._isolation.walls is Walls.NAMESPACE:
            outer = [
                "nsenter",
                "--target",
                str(record["inside"]),
                f"--user=/proc/self/fd/{user[0]}",
                "--preserve-credentials",
                *spaces,
            ]
            if os.fstat(user[0]).st_ino == Path(f"/proc/{record['inside']}/ns/user").stat().st_ino:
                return [*outer, "--"]
            return [*outer, "--", "nsenter", "--target", "1", "--user", "--preserve-credentials", "--"]
        return ["nsenter", "--target", str(record["inside"]), *spaces, "--", *drop_to(self._isolation, uid)]

    def _cwd(self, lease: LeaseId) -> str:
        return "/" if self._isolation.sandboxed else str(self._places.replica(lease) / "scratch" / "work")


def _strings(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class PtyTerminal:
    """The Terminal port on a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], main: int, marker: str) -> None:
        self._process = process
        self._main = main
        self._marker = marker

    def read(self) -> bytes:
        try:
            return os.read(self._main, _READ_BYTES)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._main, rest) :]

    def resize(self, rows: int, columns: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> int:
        """Hang up, then kill whatever still carries this shell's mark."""
        for number in (signal.SIGHUP, signal.SIGKILL):
            if self._process.poll() is None:
                self._send(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_END_TIMEOUT_S)
        self._send(signal.SIGKILL)
        if self._main >= 0:
            os.close(self._main)
            self._main = -1
        code = self._process.wait()
        return 128 - code if code < 0 else code

    def _send(self, number: signal.Signals) -> None:
        for pid in marked(self._marker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
