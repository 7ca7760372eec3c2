"""A home of its own with everything local on it, for tests with real processes."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from xingliu.adapters.local.cgroups import CgroupTree
from xingliu.adapters.local.isolation import Isolation, Walls, no_isolation
from xingliu.adapters.local.parts import LocalParts, open_local
from xingliu.control.ports import DesiredReplica, Launch, Stop
from xingliu.kernel.ids import JobId, LeaseId, NodeName, ProjectId
from xingliu.workloads.records import ReplicaRecord

PATIENCE_S = 60
WALLS: dict[str, Isolation | None] = {
    "local": None,
    "local as one user": Isolation(Walls.NAMESPACE, CgroupTree(), shutil.which("bwrap") or "", "", "/usr/bin/bash"),
    "local without walls": no_isolation(),
}
ACME_UID, BETA_UID = 231_001, 231_002


class Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


def until(happened: Callable[[], object], what: str = "it") -> None:
    """Poll until it is so. Fails after a limit that no machine should need."""
    ends = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < ends, f"{what} did not happen within {PATIENCE_S} s"
        time.sleep(0.005)


def launch(lease: str, script: str, *, environment: Mapping[str, str] | None = None, **more: object) -> Launch:
    """A replica of job `lease` up to its first dot."""
    plain = Launch(
        lease=LeaseId(lease),
        job=JobId(lease.partition(".")[0]),
        project=ProjectId("acme/research"),
        node=NodeName("here"),
        rank=0,
        uid=ACME_UID,
        script=script,
        setup=None,
        environment=environment or {},
        secrets=(),
        python=None,
        cpu_milli=1000,
        memory_bytes=500_000_000,
        shm_bytes=None,
        gpus=(),
        blob=None,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


class LocalCloud:
    """One home, the parts on it, and what it is asked to run."""

    def __init__(self, home: Path, isolation: Isolation | None = None) -> None:
        self.home = home
        self._isolation = isolation
        self.parts: LocalParts = open_local(home, Clock(), isolation=isolation)
        self.desired: dict[str, DesiredReplica] = {}

    def restart(self) -> None:
        """As a new control plane: nothing in memory, everything on disk."""
        self.parts.launcher.close()
        self.parts = open_local(self.home, Clock(), isolation=self._isolation)

    def start(self, *launches: Launch) -> None:
        self.desired |= {one.lease: DesiredReplica(one.lease, one) for one in launches}
        self.ensure()

    def ensure(self) -> None:
        self.parts.launcher.ensure(list(self.desired.values()))

    def stop(self, lease: str, stop: Stop) -> None:
        self.desired[lease] = replace(self.desired[lease], stop=stop)
        self.ensure()

    def drop(self, lease: str) -> None:
        """Name it no more, until its folder is put away."""
        del self.desired[lease]

        def gone() -> bool:
            self.ensure()
            return not (self.home / "replicas" / lease).exists()

        until(gone, f"{lease} being let go")

    def record(self, lease: str) -> ReplicaRecord | None:
        return next(iter(self.parts.launcher.observe([LeaseId(lease)])), None)

    def until_record(self, lease: str, holds: Callable[[ReplicaRecord], object], what: str) -> ReplicaRecord:
        def happened() -> bool:
            record = self.record(lease)
            return record is not None and bool(holds(record))

        until(happened, f"{lease} {what}")
        record = self.record(lease)
        assert record is not None
        return record

    def until_running(self, lease: str) -> ReplicaRecord:
        return self.until_record(lease, lambda record: record.started_us, "started")

    def until_over(self, lease: str) -> ReplicaRecord:
        return self.until_record(lease, lambda record: record.over and record.empty_us, "ended")

    def run(self, script: str, *, lease: str = "j1.main.0.1", **more: object) -> ReplicaRecord:
        self.start(launch(lease, script, **more))  # type: ignore[arg-type]
        return self.until_over(lease)

    def log(self, lease: str = "j1.main.0.1") -> str:
        return self.parts.files.read_log(LeaseId(lease), offset=0, limit_bytes=2**26).data.decode()

    def until_log(self, text: str, lease: str = "j1.main.0.1") -> None:
        until(lambda: text in self.log(lease), f"{text!r} in the log")

    def shim_pid(self, lease: str) -> int:
        return int((self.home / "replicas" / lease / "lock").read_text())

    def spawner_pid(self) -> int:
        lock = (self.home / "run" / "spawner.lock").read_text()
        return int(lock.partition('"pid": ')[2].partition(",")[0])

    def processes(self, lease: str) -> set[int]:
        """Everything of a replica, its sandbox included, found by the mark in its environment."""
        mark = f"XL_REPLICA={self.parts.places.cgroup}/{lease}".encode()
        found = set()
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
        return found

    def names(self, lease: str) -> set[str]:
        """The names of the replica's processes that live."""
        return {Path(f"/proc/{pid}/comm").read_text().strip() for pid in self.processes(lease) if is_alive(pid)}

    def command(self, lease: str, words: str) -> int:
        """The pid of the replica's process whose command line begins with `words`, once there is one.

        What is around it has them further on: the shell's and the sandbox's command lines end with the script.
        """
        found: list[int] = []

        def look() -> bool:
            for pid in self.processes(lease):
                with contextlib.suppress(OSError):
                    line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if line.startswith(words):
                        found.append(pid)
            return bool(found)

        until(look, f"a process {words!r}")
        return found[0]

    def close(self) -> None:
        """Leave nothing: no replica, no spawner, no cgroup."""
        self.desired.clear()

        def empty() -> bool:
            self.ensure()
            return not any((self.home / "replicas").iterdir())

        until(empty, "everything being let go")
        self.parts.launcher.close()


@contextmanager
def local_cloud(home: Path, isolation: Isolation | None = None) -> Iterator[LocalCloud]:
    cloud = LocalCloud(home, isolation)
    try:
        yield cloud
    finally:
        cloud.close()


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
