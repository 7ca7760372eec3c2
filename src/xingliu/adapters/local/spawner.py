"""The warm process that makes shims, because a fork of it costs a fraction of starting Python.

Run as `python -I -S spawner.py RUN_FOLDER SHIM_FILE VERSION`, one for a run folder. It listens on `spawner.sock` there
and forks for each connection; the child reads one order (four bytes of length, then JSON), answers whether it took it,
and is from then on a shim, in a session of its own. The spawner itself never reads an order, so no secret stays in its
memory, and no shim depends on it. Standard library only: it imports nothing of xingliu but the shim, as a file.
"""
# Paths are plain strings here, for importing pathlib costs more than all the rest.

import errno
import fcntl
import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, NoReturn

ORDER_BYTES_MAX = 32 * 2**20
TALK_TIMEOUT_S = 10.0
ALREADY_THERE = 3


def receive(talk: socket.socket) -> dict[str, Any]:
    """One order. Raises EOFError, OSError, ValueError."""
    (length,) = struct.unpack(">I", _take(talk, 4))
    if length > ORDER_BYTES_MAX:
        raise ValueError("the order is too long")
    facts: dict[str, Any] = json.loads(_take(talk, length))
    return facts


def _take(talk: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = talk.recv(min(count - len(parts), 2**20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def become_shim(code: ModuleType, talk: socket.socket) -> NoReturn:
    """In a child: own whatever replica the connection orders, then exit."""
    status = 1
    try:
        os.setsid()
        _name_process("xl-shim")
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        talk.settimeout(TALK_TIMEOUT_S)
        shim = code.Shim(code.Order(**receive(talk)))
        try:
            refused = shim.claim()
        except OSError as error:
            refused = f"its record cannot be written: {os.strerror(error.errno or errno.EIO)}"
        try:  # noqa: SIM105 - importing contextlib is not worth it here
            talk.sendall(json.dumps({"refused": refused}).encode())
        except OSError:
            pass  # whoever ordered it was killed; what is claimed runs, and the next control plane finds its record
        talk.close()
        if not refused:
            shim.run()
        status = 0
    finally:
        os._exit(status)


def _name_process(name: str) -> None:
    with open("/proc/self/comm", "w") as file:
        file.write(name)


def open_door() -> tuple[int, socket.socket]:
    """The lock that makes this the only spawner of the current folder, and the socket it listens on."""
    lock = os.open("spawner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(ALREADY_THERE)
    if os.path.exists("spawner.sock"):
        os.unlink("spawner.sock")
    door = socket.socket(socket.AF_UNIX)
    door.bind("spawner.sock")
    door.listen(1024)
    return lock, door


def serve(code: ModuleType, lock: int, door: socket.socket) -> NoReturn:
    """For ever: a child for each connection."""
    os.setsid()
    _name_process("xl-spawner")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.disable()
    gc.freeze()
    while True:
        talk, _ = door.accept()
        try:
            if not os.fork():
                os.close(lock)
                door.close()
                become_shim(code, talk)
        except OSError:
            time.sleep(0.01)
        talk.close()


def main(run: str, shim_file: str, version: str) -> NoReturn:
    """Return to whoever started this as soon as the spawner listens."""
    os.umask(0o077)
    os.chdir(run)
    lock, door = open_door()
    code = ModuleType("shim")
    SourceFileLoader("shim", shim_file).exec_module(code)
    if pid := os.fork():
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": pid, "version": version}).encode(), 0)
        os._exit(0)
    serve(code, lock, door)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
