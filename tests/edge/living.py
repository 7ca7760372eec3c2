"""A real cloud for a test: a home and port of its own, `xl` as a process, and the questions that end every story."""

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from xingliu.cli.client import Client, part
from xingliu.cli.credentials import Credentials
from xingliu.cli.errors import CloudUnreachable
from xingliu.kernel.ids import JobId, attempt_id, lease_id, replica_id, role_id

Json = dict[str, Any]
T = TypeVar("T")
XL = Path(sys.executable).with_name("xl")
FINAL = {"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED"}
LIMIT_S = 120.0


def wait_until(look: Callable[[], T | None], what: str, *, limit_s: float = LIMIT_S, every_s: float = 0.05) -> T:
    """What `look` gives once it is something: not None, False, empty or 0."""
    until = time.monotonic() + limit_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"not within {limit_s:.0f} s: {what}"
        time.sleep(every_s)


class LivingCloud:
    """One home. `up` may be called again after anything died."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._kept: Client | None = None
        self.marker = f"XL_REPLICA=xingliu-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]}/".encode()

    # Commands ------------------------------------------------------------------------------------------------------

    def xl(self, *words: str, ok: bool = True, input_text: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("XL_")}
        env.update(XL_HOME=str(self.home), XDG_CONFIG_HOME=str(self.home.parent / "config"))
        done = subprocess.run([XL, *words], env=env, capture_output=True, text=True, input=input_text, check=False)
        assert not ok or done.returncode == 0, f"xl {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def up(self) -> "LivingCloud":
        self.xl("up", "--detach", "--port", "0")
        return self

    @property
    def client(self) -> Client:
        """The admin's, for where the cloud is now."""
        found = json.loads((self.home / "client.json").read_text())
        credentials = Credentials(found["url"], found["key"], found.get("ca"), "the test")
        if self._kept is None or self._kept.credentials != credentials:
            self._let_go()
            self._kept = Client(credentials)
        return self._kept

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def patiently(self, ask: Callable[[Client], T]) -> T:
        """What the cloud answers, asked again while it is being restarted."""

        def answer() -> tuple[T] | None:
            with contextlib.suppress(CloudUnreachable, FileNotFoundError):
                return (ask(self.client),)
            return None

        return wait_until(answer, "the cloud answers")[0]

    # Jobs ----------------------------------------------------------------------------------------------------------

    def submit(self, **document: object) -> str:
        """A job's id. The idempotency key is its name, so a lost answer submits nothing twice."""
        body = {"document": {"kind": "job", **document}}
        made = self.patiently(lambda client: client.post("/v1/jobs", body, once=f"{document['name']}-{time.time_ns()}"))
        return str(made["id"])

    def job(self, job: str) -> Json:
        return self.patiently(lambda client: client.get(f"/v1/jobs/{part(job)}"))

    def attempts(self, job: str) -> list[Json]:
        return self.patiently(lambda client: list(client.pages(f"/v1/jobs/{part(job)}/attempts")))

    def wait_for_state(self, job: str, *states: str) -> Json:
        return wait_until(lambda: found if (found := self.job(job))["state"] in states else None, f"{job} is {states}")

    def wait_for_end(self, *jobs: str) -> list[Json]:
        return [self.wait_for_state(job, *FINAL) for job in jobs]

    def files(self, job: str) -> Mapping[str, str]:
        """The text of every file in the job's folder, by path."""
        data, _ = self.patiently(lambda client: client.raw(f"/v1/jobs/{part(job)}/files", path="."))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = [(member.name.removeprefix("./"), tar.extractfile(member)) for member in tar if member.isfile()]
            return {name: file.read().decode(errors="replace") for name, file in members if file is not None}

    def log(self, job: str, rank: int = 0, attempt: int | None = None) -> str:
        where = {"rank": rank, "attempt": attempt, "offset": 0, "limit_bytes": 2**20}
        data, _ = self.patiently(lambda client: client.raw(f"/v1/jobs/{part(job)}/logs", **where))
        return data.decode(errors="replace")

    # Victims -------------------------------------------------------------------------------------------------------

    def supervisor(self) -> int:
        return int(json.loads((self.home / "run" / "up.lock").read_text())["pid"])

    def is_ours(self, pid: int) -> bool:
        """Whether this is a living process that was started for this home."""
        return f"XL_HOME={self.home}".encode() in _read(f"/proc/{pid}/environ").split(b"\0")

    def control_plane(self) -> int | None:
        """The supervisor's child, None between two lives of it."""
        children = Path(f"/proc/{self.supervisor()}/task/{self.supervisor()}/children").read_text().split()
        return next((int(pid) for pid in children if b"xingliu.compose.serve" in _read(f"/proc/{pid}/cmdline")), None)

    def shims(self) -> dict[str, int]:
        """The pids of shims whose replica runs, by lease."""
        found = {}
        for record in (self.home / "replicas").glob("*/record.json"):
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads(record.read_text())
                if facts.get("phase") == "running" and "xl-shim" in _read(f"/proc/{facts['shim']}/comm").decode():
                    found[record.parent.name] = int(facts["shim"])
        return found

    def shim(self, job: str, rank: int = 0, attempt: int = 1) -> int:
        """The pid of the shim that owns this running replica."""
        return self.shims()[lease_id(attempt_id(replica_id(role_id(JobId(job), "main"), rank), attempt))]

    def replica_processes(self) -> Mapping[int, Mapping[str, str]]:
        """The environment of every process on this machine that a replica of this home started, by pid."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and self.marker in (environ := _read(f"{folder}/environ")):
                pairs = (pair.partition("=") for pair in environ.decode(errors="replace").split("\0"))
                found[int(folder.name)] = {name: value for name, _, value in pairs}
        return found

    def own_processes(self, job: str, program: str) -> list[tuple[int, int]]:
        """(rank, pid) of the job's processes whose program is `program`, not what is around them."""
        return sorted(
            (int(environ["RANK"]), pid)
            for pid, environ in self.replica_processes().items()
            if environ.get("XL_JOB") == job and _program(pid) == program
        )

    # What must hold in the end ---------------------------------------------------------------------------------------

    def assert_nothing_left(self) -> None:
        """No process of any replica, and no cgroup with a process in it."""
        wait_until(lambda: not self.replica_processes(), f"no process is left: {self.replica_processes()}", limit_s=10)
        name = self.marker.decode().partition("=")[2].rstrip("/")
        left = [path for path in _cgroups(name) if _read(f"{path}/cgroup.procs").strip()]
        assert not left, f"cgroups still have processes: {left}"
        assert not self.shims()

    def assert_conserved(self) -> None:
        found = self.patiently(lambda client: client.get("/v1/usage/conservation"))
        assert found["pools"], "there is no pool to account for"
        assert found["holds"] is True, f"device time appeared or vanished: {json.dumps(found, indent=1)}"
        for pool in found["pools"]:
            assert sum(pool["classes"].values()) == pool["capacity"] and pool["difference"] == 0, pool
            assert sum(pool["leased_as"].values()) == pool["classes"]["leased"], pool

    def end(self) -> None:
        """Stop everything this home runs, whatever state it is in."""
        self._let_go()
        with contextlib.suppress(OSError, ValueError):
            pid = self.supervisor()
            if self.is_ours(pid):
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not self.is_ours(pid), "the supervisor ends", limit_s=40)
        for pid in [*self.shims().values(), *self.replica_processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError):
            spawner = json.loads((self.home / "run" / "spawner.lock").read_text())["pid"]
            if "xl-spawner" in _read(f"/proc/{spawner}/comm").decode():
                os.kill(spawner, signal.SIGKILL)
        for path in sorted(_cgroups(self.marker.decode().partition("=")[2].rstrip("/")), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path)  # noqa: PTH106 - a cgroup is no folder of files


@contextlib.contextmanager
def living_cloud(home: Path) -> Iterator[LivingCloud]:
    """A cloud that is up, and gone with everything it ran afterwards."""
    cloud = LivingCloud(home)
    try:
        yield cloud.up()
    finally:
        cloud.end()


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _program(pid: int) -> str:
    return _read(f"/proc/{pid}/cmdline").split(b"\0")[0].decode(errors="replace").rpartition("/")[2]


def _cgroups(name: str) -> Sequence[str]:
    """Every cgroup below one of this name, in every hierarchy."""
    return [
        folder
        for root in ("/sys/fs/cgroup", *(str(path) for path in Path("/sys/fs/cgroup").glob("*")))
        if Path(f"{root}/{name}").is_dir()
        for folder, _, _ in os.walk(f"{root}/{name}")
    ]
