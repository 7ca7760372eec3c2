"""Reading the logs of a job's replicas: merged, across attempts, each from where its last reading ended."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from xingliu.cli.client import Client, part
from xingliu.cli.errors import ApiProblem
from xingliu.cli.output import note

CHUNK_BYTES = 1 << 20
TAIL_BYTES = 1 << 16


@dataclass
class Source:
    """One replica's log: how far it was read, the line that is not complete yet, and whether there may be more.

    `name`: what stands before its lines.
    """

    rank: int
    name: str
    offset: int = 0
    rest: bytes = b""
    ended: bool = False
    read: bool = False


@dataclass
class _Try:
    """One attempt of the gang."""

    number: int
    sources: dict[int, Source] = field(default_factory=dict)

    @property
    def read(self) -> bool:
        return all(source.read for source in self.sources.values())


class LogReader:
    """Writes to standard output what the replicas wrote, `[rank] ` before each line where there are several.

    With roles it is `[learner 0] `; `rank` counts within `role`, where one is given.

    Attempts come in order, each announced by `-- attempt N --` on standard error when there is more than one.
    """

    def __init__(
        self, client: Client, job: str, *, attempt: int | None = None, rank: int | None = None, role: str | None = None
    ) -> None:
        self._client, self._job, self._attempt, self._rank, self._role = client, job, attempt, rank, role
        self._tries: dict[int, _Try] = {}
        self._announced = 1

    def read_on(self) -> bool:
        """Print what is new; whether there was anything. After an ApiProblem or CloudUnreachable it goes on where it was."""
        self._load()
        news = False
        for one in self._in_order():
            self._announce(one)
            for source in one.sources.values():
                news |= self._read(one, source)
            if not one.read:
                break
        return news

    def finish(self) -> None:
        """Print lines that never got their end."""
        for one in self._in_order():
            for source in one.sources.values():
                _flush(source)

    def tail(self, lines: int) -> None:
        """Skip all but the last lines of each replica of the newest attempt."""
        self._load()
        *earlier, newest = self._in_order() or [_Try(1)]
        for source in (source for one in earlier for source in one.sources.values()):
            source.read = True
        self._announced = max(1, newest.number)
        for source in newest.sources.values():
            source.offset = self._start_of_last(newest.number, source.rank, lines)

    def _load(self) -> None:
        for found in self._client.pages(f"/v1/jobs/{part(self._job)}/attempts"):
            number, rank, role = found["number"], found["rank"], found.get("role")
            counted = rank if self._role is None else found["role_rank"]
            if self._attempt in (None, number) and self._rank in (None, counted) and self._role in (None, role):
                one = self._tries.setdefault(number, _Try(number))
                name = f"{role} {found['role_rank']}" if role else str(rank)
                one.sources.setdefault(rank, Source(rank, name)).ended = found.get("outcome") is not None

    def _in_order(self) -> list[_Try]:
        return [self._tries[number] for number in sorted(self._tries)]

    def _announce(self, one: _Try) -> None:
        if one.number > self._announced:
            self._announced = one.number
            note(f"-- attempt {one.number} --")

    def _read(self, one: _Try, source: Source) -> bool:
        """Print one log to its present end. Of a replica that had ended before, that is all there is."""
        news, ended = False, source.ended
        while not source.read:
            data, source.offset = self._fetch(one.number, source.rank, source.offset)
            if not data:
                source.read = ended
                break
            news = True
            _write(prefixed(source, data) if len(one.sources) > 1 else data)
        if source.read:
            _flush(source)
        return news

    def _fetch(self, number: int, rank: int, offset: int) -> tuple[bytes, int]:
        """At most a megabyte from `offset`, and the offset after it; nothing where nothing was written."""
        data, headers = self._get(number, rank, offset, CHUNK_BYTES)
        return data, int(headers.get("x-log-next", offset + len(data)))

    def _get(self, number: int, rank: int, offset: int, limit_bytes: int) -> tuple[bytes, Mapping[str, str]]:
        path = f"/v1/jobs/{part(self._job)}/logs"
        try:
            return self._client.raw(path, attempt=number, rank=rank, offset=offset, limit_bytes=limit_bytes)
        except ApiProblem as problem:
            if problem.status == 404:  # it never began to write
                return b"", {}
            raise

    def _start_of_last(self, number: int, rank: int, lines: int) -> int:
        """The offset of the last `lines` lines, looking back further and further."""
        back = TAIL_BYTES
        while True:
            data, headers = self._get(number, rank, -back, back)
            start = int(headers.get("x-log-offset", 0))
            ends = [place for place, byte in enumerate(data[:-1]) if byte == ord("\n")]
            if len(ends) >= lines:
                return start + ends[-lines] + 1
            if len(data) < back or start == 0 or back >= CHUNK_BYTES:
                return start
            back *= 4


def prefixed(source: Source, data: bytes) -> bytes:
    """The complete lines of what came so far, each with its rank; the rest is kept, unless it is very long."""
    *lines, source.rest = (source.rest + data).split(b"\n")
    if len(source.rest) > CHUNK_BYTES:
        lines, source.rest = [*lines, source.rest], b""
    return b"".join(b"[%s] %s\n" % (source.name.encode(), line) for line in lines)


def _flush(source: Source) -> None:
    if source.rest:
        _write(b"[%s] %s\n" % (source.name.encode(), source.rest))
        source.rest = b""


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
