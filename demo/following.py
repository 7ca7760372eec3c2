"""Following a job through the API: its state, its attempts, and what rank 0 prints."""

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xingliu.cli.client import Client, part

Json = dict[str, Any]
FINAL = {"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED"}
CHUNK_BYTES = 2**20
_STEP = re.compile(r"step (\d+) (\S.*)")
_SAVED = re.compile(r"checkpoint at step (\d+)")
_RESUMED = re.compile(r"resumed from step (\d+)")


@dataclass
class Seen:
    """What rank 0 of one attempt has said so far; steps are 0 before the first."""

    step: int = 0
    saved: int = 0
    resumed: int | None = None
    told: str = ""


@dataclass
class Followed:
    """One job, looked at again and again."""

    client: Client
    job: str
    seen: dict[int, Seen] = field(default_factory=dict)
    _offsets: dict[int, int] = field(default_factory=dict)
    _rests: dict[int, str] = field(default_factory=dict)

    def look(self) -> Json:
        """The job as it is now, after reading on in every attempt's log."""
        now = self.client.get(f"/v1/jobs/{part(self.job)}")
        for number in sorted({one["number"] for one in self.attempts()}):
            self._read_on(number)
        return now

    def attempts(self) -> list[Json]:
        return list(self.client.pages(f"/v1/jobs/{part(self.job)}/attempts"))

    def at(self, number: int) -> Seen:
        return self.seen.setdefault(number, Seen())

    def _read_on(self, number: int) -> None:
        offset = self._offsets.get(number, 0)
        path = f"/v1/jobs/{part(self.job)}/logs"
        data, headers = self.client.raw(path, attempt=number, rank=0, offset=offset, limit_bytes=CHUNK_BYTES)
        self._offsets[number] = int(headers.get("x-log-next", offset + len(data)))
        *lines, self._rests[number] = (self._rests.get(number, "") + data.decode(errors="replace")).split("\n")
        for line in lines:
            _note(self.at(number), line)


def _note(seen: Seen, line: str) -> None:
    if found := _STEP.fullmatch(line):
        seen.step, seen.told = int(found[1]), found[2]
    elif found := _SAVED.fullmatch(line):
        seen.saved = int(found[1])
    elif found := _RESUMED.fullmatch(line):
        seen.resumed = int(found[1])


def rank_processes(job: str, rank: int) -> Iterator[int]:
    """The processes on this machine that are this rank of the job, by what /proc shows of their environment.

    Only those that run the job's own program: not the shell or the sandbox around it.
    """
    wanted = {f"XL_JOB={job}".encode(), f"RANK={rank}".encode()}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environment = set((folder / "environ").read_bytes().split(b"\0"))
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted <= environment and words[0].rpartition(b"/")[2].startswith(b"python"):
                yield int(folder.name)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
