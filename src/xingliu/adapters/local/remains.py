"""What a replica left on this machine, as files say it: its record, its lock, whatever still runs of it."""

import contextlib
import fcntl
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xingliu.adapters.local.cgroups import processes_in, remove_cgroups
from xingliu.adapters.local.locks import is_held
from xingliu.control.ports import Phase, ReplicaRecord, Stop
from xingliu.kernel.ids import LeaseId
from xingliu.workloads.model import Saved

_STOP_BYTES = 100
_FINAL = frozenset({Phase.ENDED, Phase.LAUNCH_FAILED, Phase.LOST})


def is_over(record: ReplicaRecord) -> bool:
    """Whether it ended and nothing of it is left."""
    return record.phase in _FINAL and record.empty_us is not None


@dataclass(slots=True)
class Remains:
    """One replica's folder, read no more often than it changes."""

    lease: LeaseId
    folder: Path
    marker: str
    record: ReplicaRecord | None = None
    version: tuple[int, int, int] = (0, 0, 0)
    ordered: Stop | None = None

    def look(self, now_us: int) -> ReplicaRecord | None:
        """What is known now. A replica whose shim died is killed here, and LOST; `empty_us` follows when that is verified."""
        if self.record is not None and is_over(self.record):
            return self.record
        held = is_held(self.folder / "lock")  # before the record is read: a shim writes its last record while it holds the lock
        self._read(anyway=not held)
        if self.record is not None and not held and not is_over(self.record):
            self._bury(now_us)
        return self.record

    def _read(self, *, anyway: bool) -> None:
        """Read the record if it looks changed; numbers of files are used again, so the last look is always a real one."""
        path = self.folder / "record.json"
        try:
            found = path.stat()
            version = (found.st_ino, found.st_mtime_ns, found.st_size)
            if anyway or version != self.version:
                self.record, self.version = _as_record(self.lease, json.loads(path.read_text())), version
        except FileNotFoundError:
            self.record = None

    def _bury(self, now_us: int) -> None:
        """Kill what its shim started; once nothing is left, say so on disk."""
        facts = json.loads((self.folder / "record.json").read_text())
        left = processes_in(facts["cgroups"]) or (set() if facts["cgroups"] else marked(self.marker))
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started = facts.get("started_us")
        alive = (self.folder / "lock").stat().st_mtime_ns // 1000
        ended = facts.get("ended_us") or max(alive, started or 0)
        facts.update(phase=str(Phase.LOST), ended_us=ended, message="Its shim was killed, and so everything it ran.")
        if not left and remove_cgroups(facts["cgroups"]):
            facts["empty_us"] = max(now_us, ended)
        self._note(facts)

    def _note(self, facts: dict[str, Any]) -> None:
        """Write the record on the shim's behalf; on a full disk it is only known here, and found out again after a restart."""
        self.record = _as_record(self.lease, facts)
        with contextlib.suppress(OSError):
            new = self.folder / "record.json.launcher"
            new.touch(mode=0o600)
            new.write_text(json.dumps(facts))
            new.replace(self.folder / "record.json")

    def refuse(self, message: str, now_us: int) -> None:
        """Record that it cannot be started, so that it never is; one that has a shim, or had, is left alone."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (self.folder / "record.json").exists():
                phase = str(Phase.LAUNCH_FAILED)
                self._note({"cgroups": [], "phase": phase, "ended_us": now_us, "empty_us": now_us, "message": message})
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def order_stop(self, stop: Stop) -> None:
        """Tell the shim, once for each different order; it also finds the order by itself within a second."""
        if stop == self.ordered:
            return
        number = int(signal.Signals[stop.signal])
        order = os.open(self.folder / "stop", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(
                order, f"{number} {stop.kill_at_us}".ljust(_STOP_BYTES).encode(), 0
            )  # in place: this needs no room on the disk
        finally:
            os.close(order)
        self._poke()
        self.ordered = stop

    def _poke(self) -> None:
        """The number in the lock is the shim's as long as the lock is held; the handle makes sure that it stays meant."""
        with contextlib.suppress(OSError, ValueError):
            handle = os.pidfd_open(int((self.folder / "lock").read_text()))
            try:
                if is_held(self.folder / "lock"):
                    signal.pidfd_send_signal(handle, signal.SIGUSR1)
            finally:
                os.close(handle)


def _as_record(lease: LeaseId, facts: dict[str, Any]) -> ReplicaRecord:
    return ReplicaRecord(
        lease=lease,
        phase=Phase(facts["phase"]),
        started_us=facts.get("started_us"),
        ended_us=facts.get("ended_us"),
        empty_us=facts.get("empty_us"),
        exit_code=facts.get("exit_code"),
        signal=facts.get("signal"),
        stopped=facts.get("stopped", False),
        message=facts.get("message", ""),
        cpu_us=facts.get("cpu_us"),
        memory_peak_bytes=facts.get("memory_peak_bytes"),
        saved=Saved(**facts["saved"]) if facts.get("saved") else None,
    )


def marked(marker: str) -> set[int]:
    """Every process whose environment has `marker` (NAME=value): how they are found where there are no cgroups."""
    found = set()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and marker.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found
