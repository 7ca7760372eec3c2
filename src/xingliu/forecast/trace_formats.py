"""The formats of traces that are read, and telling which one a file has."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from xingliu.forecast.trace import Trace, TraceJob
from xingliu.forecast.trace_philly_log import read_log
from xingliu.forecast.trace_sacct import NEEDED as SACCT_NEEDED
from xingliu.forecast.trace_sacct import read_sacct
from xingliu.forecast.trace_tables import Row, Table, missing
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import JobId
from xingliu.kernel.problems import InvalidDocument, Problem, shorten

MIB = 2**20


@dataclass(eq=False)
class UnknownTrace(XingliuError):
    """{source}:1: no trace format that is known has these columns: {columns}"""

    code: ClassVar[str] = "unknown_trace"
    hint: ClassVar[str] = "{nearest}\nIt reads: {known}."
    source: str
    columns: str
    nearest: str
    known: str


@dataclass(eq=False)
class EmptyTrace(XingliuError):
    """{source} holds no job that can be simulated{left_out}."""

    code: ClassVar[str] = "empty_trace"
    hint: ClassVar[str] = "A job needs a submission, a run time, and GPUs or cores."
    source: str
    left_out: str


@dataclass(frozen=True, slots=True)
class Format:
    """One shape of table: the columns it is known by, and how a row is read: a job, or why it is left out."""

    needed: tuple[str, ...]
    read: Callable[[Row], TraceJob | str]
    dated: Callable[[tuple[str, ...]], bool]
    piped: bool = False


def _philly(row: Row) -> TraceJob | str:
    dated = row.text("submit_utc")
    submitted_us = row.instant_us("submit_utc") if dated else row.seconds_us("submit_s")
    return _by_gpus(row, "vc", submitted_us)


def _itp(row: Row) -> TraceJob | str:
    return _by_gpus(row, "cluster", row.seconds_us("submit_s"))


def _by_gpus(row: Row, tenant: str, submitted_us: int) -> TraceJob | str:
    gpus, run_us = row.whole("num_gpus"), row.seconds_us("duration_s")
    if not gpus:
        return "jobs without GPUs, of which this format tells nothing else"
    if not run_us:
        return "jobs that ran for no time"
    return TraceJob(JobId(row.text("job_id")), row.text(tenant) or "none", submitted_us, run_us, gpus)


def _openb(row: Row) -> TraceJob | str:
    """A pod is one node. A share of a GPU becomes a whole one: shares are not handed out here."""
    if not row.text("scheduled_time"):
        return "pods that were never placed"
    run_us = row.seconds_us("deletion_time") - row.seconds_us("scheduled_time")
    if run_us <= 0:
        return "pods that ran for no time"
    models = [model for model in row.text("gpu_spec").split("|") if model]
    gpus = row.whole("num_gpu")
    return TraceJob(
        id=JobId(row.text("name")),
        tenant=row.text("qos") or "none",
        submitted_us=row.seconds_us("creation_time"),
        run_us=run_us,
        gpus=gpus,
        nodes=1,
        cpu_milli=row.whole("cpu_milli"),
        memory_bytes=row.whole("memory_mib") * MIB,
        gpu=models[0] if gpus and len(models) == 1 else None,
    )


def _never(_columns: tuple[str, ...]) -> bool:
    return False


FORMATS: Mapping[str, Format] = {
    "philly": Format(("job_id", "submit_s", "duration_s", "num_gpus", "vc"), _philly, lambda columns: "submit_utc" in columns),
    "itp": Format(("cluster", "job_id", "submit_s", "duration_s", "num_gpus"), _itp, _never),
    "openb": Format(
        ("name", "cpu_milli", "memory_mib", "num_gpu", "creation_time", "deletion_time", "scheduled_time"), _openb, _never
    ),
    "sacct": Format(SACCT_NEEDED, read_sacct, lambda _: True, piped=True),
}
NAMES = tuple(FORMATS)


def read_trace(source: str, lines: Iterable[str], *, as_format: str | None = None) -> Trace:
    """The jobs of a trace. `lines` with their ends; `as_format` one of NAMES, None to find out.

    Raises UnknownTrace, EmptyTrace, and InvalidDocument with the line and column of everything that cannot be read.
    """
    ahead = iter(lines)
    first = next(ahead, "")
    if first.lstrip("\ufeff \t").startswith("["):
        return _finished(source, "philly", True, *read_log(source, first + "".join(ahead)))
    table = Table(source, _chain(first, ahead))
    name = as_format or _detect(table)
    shape = FORMATS[name]
    if lacking := missing(table.columns, shape.needed):
        message = f"read as {name}, it lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}"
        raise InvalidDocument(source, (Problem(1, None, lacking[0], message, "Leave --format out to have it found."),))
    problems: list[Problem] = []
    jobs: list[TraceJob] = []
    left_out: Counter[str] = Counter()
    counted = _Taken()
    for placed in table.rows(problems):
        with placed as row:
            found = shape.read(row)
            if isinstance(found, str):
                left_out[found] += 1
            else:
                jobs.append(found)
                counted.note(name, row)
    if problems:
        raise InvalidDocument(source, tuple(problems))
    return _finished(source, name, shape.dated(table.columns), jobs, left_out, counted.notes())


class _Taken:
    """What was taken for something a little different, counted."""

    def __init__(self) -> None:
        self._shares = self._choices = 0

    def note(self, name: str, row: Row) -> None:
        if name == "openb":
            self._shares += row.text("num_gpu") == "1" and row.text("gpu_milli") not in ("", "1000")
            self._choices += "|" in row.text("gpu_spec")

    def notes(self) -> list[str]:
        said = {
            "{} asked for a share of a GPU and got a whole one": self._shares,
            "{} named several models of GPU and took any": self._choices,
        }
        return [text.format(f"{count:,}") for text, count in said.items() if count]


def _detect(table: Table) -> str:
    """Raises UnknownTrace."""
    lacking = {name: missing(table.columns, shape.needed) for name, shape in FORMATS.items() if shape.piped == table.piped}
    nearest = min(lacking, key=lambda name: (len(lacking[name]), name))
    if not lacking[nearest]:
        return nearest
    columns = ", ".join(map(shorten, table.columns[:12])) + (", ..." if len(table.columns) > 12 else "") or "none, it is empty"
    near = f"Nearest is {nearest}, which has {', '.join(lacking[nearest])} as well."
    known = "; ".join(f"{name} ({', '.join(shape.needed)})" for name, shape in FORMATS.items())
    raise UnknownTrace(table.source, columns, near, known)


def _chain(first: str, rest: Iterable[str]) -> Iterable[str]:
    yield first
    yield from rest


def _finished(
    source: str, name: str, dated: bool, jobs: list[TraceJob], left_out: Counter[str], notes: Iterable[str] = ()
) -> Trace:
    """In order of submission, ids made different where they were not. Raises EmptyTrace."""
    said = [f"{count:,} left out: {what}" for what, count in left_out.items()]
    if not jobs:
        raise EmptyTrace(source, f": {'; '.join(said)}" if said else "")
    seen: Counter[str] = Counter()
    unique = []
    for job in sorted(jobs, key=lambda job: job.submitted_us):
        seen[job.id] += 1
        unique.append(job if seen[job.id] == 1 else replace(job, id=JobId(f"{job.id}#{seen[job.id]}")))
    return Trace(source, name, dated, tuple(unique), (*notes, *said))
