"""A PostgreSQL server for tests: Debian's binaries, a folder and a socket of its own, gone afterwards."""

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

INSTALL = "apt-get install postgresql"
FAST = ["-c", "fsync=off", "-c", "max_connections=120", "-c", "shared_buffers=16MB", "-c", "listen_addresses="]


def binaries() -> Path:
    """The newest installed version's programs; without them the test fails, as a skip would hide that."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail(f"PostgreSQL is not installed: {INSTALL}")
    return found[-1].parent


@contextmanager
def postgres_server(*, options: list[str] = FAST) -> Iterator[str]:
    """The URL of a fresh server's first database, on a Unix socket. It will not run as root, so it runs as `postgres`."""
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="xl-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"

    def run(*command: str | Path) -> None:
        done = subprocess.run([str(part) for part in command], user=user, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    try:
        run(programs / "initdb", "-D", data, "-U", "xl", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        settings = shlex.join(["-k", str(folder), *options])
        run(programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", folder / "log", "-o", settings, "start")
        try:
            yield f"postgresql://xl@/postgres?host={folder}"
        finally:
            run(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server for the whole session; take a `fresh_database` of it."""
    with postgres_server() as url:
        yield url


def fresh_database(server_url: str) -> str:
    """The URL of a new, empty database on that server."""
    import psycopg  # noqa: PLC0415 (every test session loads this module; few of them need the driver)

    name = f"xl_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[call-overload]
    return server_url.replace("/postgres?", f"/{name}?")
