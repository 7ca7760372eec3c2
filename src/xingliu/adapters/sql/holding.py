"""One control plane a store: a lock that its process holds and that ends with it, however it ends.

The store's epoch keeps a stale control plane from writing; this lock keeps a second one from taking over by mistake.
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from xingliu.adapters.sql.engines import LOCK_WAIT_S, read_url
from xingliu.adapters.sql.errors import in_words
from xingliu.kernel.errors import XingliuError

ADVISORY_KEY = 0x78696E676C6975
PATIENCE_S = 5.0


@dataclass(eq=False)
class StoreInUse(XingliuError):
    """Another control plane works on this store."""

    code: ClassVar[str] = "store_in_use"
    hint: ClassVar[str] = (
        "Use that cloud, or stop it with `xl down` where it runs; two on one store would undo each other's work."
    )


def hold(url: str) -> AbstractContextManager[object]:
    """The lock, held until it is closed or this process ends; one that has just died is waited for. Raises StoreInUse."""
    where = read_url(url)
    with ExitStack() as stack, in_words():
        if where.get_backend_name() == "sqlite":
            fd = os.open(f"{where.database}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            stack.callback(os.close, fd)
            _insist(lambda: _lock_file(fd))
        else:
            engine = create_engine(where, poolclass=NullPool, connect_args={"connect_timeout": LOCK_WAIT_S})
            connection = stack.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
            _insist(lambda: _lock_database(connection))
        return stack.pop_all()


def _lock_file(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_database(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY}).scalar())


def _insist(attempt: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not attempt():
        if time.monotonic() > until:
            raise StoreInUse
        time.sleep(0.05)
