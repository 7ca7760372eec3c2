"""What Slurm's accounting prints: `sacct -a -X -P --format=JobID,Account,Submit,Start,End,...`."""

import re

from xingliu.forecast.trace import TraceJob
from xingliu.forecast.trace_tables import BadCell, Row
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId
from xingliu.kernel.problems import show_value

NEEDED = ("JobID", "Submit", "Start", "End")
MINUTE_US = 60 * SECOND_US
_NEVER = frozenset({"", "Unknown", "None", "N/A", "NONE"})
_SPAN = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)(?:\.\d+)?\Z")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)[nc]?\Z", re.IGNORECASE)
_BYTES = {"K": 2**10, "": 2**20, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_GPU = re.compile(r"gres/gpu(?::([A-Za-z][A-Za-z0-9_.-]*))?\Z")


def read_sacct(row: Row) -> TraceJob | str:
    """A job, or why it is left out. Raises BadCell.

    Instants are the cluster's local time, which sacct does not name a zone for: they are taken as they stand.
    """
    name = row.text("JobID")
    if "." in name:
        return "steps of jobs (use `sacct -X`)"
    if row.text("Start") in _NEVER:
        return "jobs that never started"
    start_us, end = row.instant_us("Start"), row.text("End")
    if end in _NEVER:
        return "jobs that still ran"
    run_us = row.instant_us("End") - start_us
    if run_us <= 0:
        return "jobs that ran for less than a second"
    tres = _tres(row)
    nodes = max(1, _count(row, tres, "node", "NNodes", "AllocNodes", "ReqNodes"))
    gpus, model = _gpus(tres)
    cpus = _count(row, tres, "cpu", "NCPUS", "AllocCPUS", "ReqCPUS")
    limit = row.text("Timelimit")
    return TraceJob(
        id=JobId(name),
        tenant=row.text("Account") or row.text("User") or "none",
        submitted_us=row.instant_us("Submit"),
        run_us=run_us,
        gpus=gpus,
        nodes=nodes,
        cpu_milli=-(-cpus * 1000 // nodes),
        memory_bytes=-(-_memory_bytes(tres, row) // nodes),
        gpu=model,
        limit_us=_span_us(limit) if limit and limit[0].isdigit() else None,
    )


def _tres(row: Row) -> dict[str, str]:
    """`cpu=8,mem=64G,node=1,gres/gpu=4` of what was given, else of what was asked."""
    text = row.text("AllocTRES") or row.text("ReqTRES") or row.text("AllocGRES") or row.text("ReqGRES")
    return {name: amount for name, _, amount in (part.partition("=") for part in text.split(",") if part)}


def _gpus(tres: dict[str, str]) -> tuple[int, str | None]:
    """How many, and the model where only one is named."""
    counts: dict[str | None, int] = {}
    for name, amount in tres.items():
        match = _GPU.match(name)
        if match is not None:
            counts[match.group(1)] = _whole("AllocTRES", amount)
    models = [model for model in counts if model is not None]
    total = counts.get(None, sum(counts.values()))
    return total, models[0] if len(models) == 1 and total else None


def _count(row: Row, tres: dict[str, str], kind: str, *columns: str) -> int:
    if kind in tres:
        return _whole("AllocTRES", tres[kind])
    found = next((column for column in columns if row.text(column)), None)
    return row.whole(found) if found else 0


def _memory_bytes(tres: dict[str, str], row: Row) -> int:
    text = tres.get("mem", "")
    if not text:
        return 0
    match = _SIZE.match(text)
    if match is None:
        raise BadCell("AllocTRES", f"mem={show_value(text)} is not an amount of memory")
    whole, _, rest = match.group(1).partition(".")
    unit = _BYTES[match.group(2).upper()]
    return int(whole) * unit + (int(rest) * unit // 10 ** len(rest) if rest else 0)


def _whole(column: str, text: str) -> int:
    if not text.isdecimal():
        raise BadCell(column, f"{show_value(text)} is not a whole number")
    return int(text)


def _span_us(text: str) -> int:
    """`2-03:04:05`, `03:04:05`, `04:05` as microseconds."""
    match = _SPAN.match(text)
    if match is None:
        raise BadCell("Timelimit", f"{show_value(text)} is not a time as Slurm writes it", "Such as 1-12:00:00 or 30:00.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * SECOND_US
