"""The traces of Muri's simulator (SIGCOMM'22) and what it gave for them, read strictly: all that is wrong is told at once.

A job runs iterations x iteration_time x 1.015 when it has the cluster of 64 GPUs to itself, as in that simulator.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from xingliu.forecast.trace import TraceJob
from xingliu.forecast.trace_tables import BadCell, Row, Table, missing
from xingliu.kernel.ids import JobId
from xingliu.kernel.problems import InvalidDocument, Problem

GPUS, GPUS_PER_NODE = 64, 8
RUN_US = 1015  # of one iteration for each millisecond of its time
TRACE_COLUMNS = ("num_gpu", "submit_time", "iterations", "iteration_time")
KEYS, METRICS = ("trace", "schedule_flag"), ("avg_jct_s", "makespan_s", "p99_jct_s")

Reference = dict[tuple[str, str], dict[str, int]]


@dataclass(frozen=True)
class MuriTrace:
    """`jobs` in the order of the file; their ids sort in that order too."""

    name: str
    jobs: tuple[TraceJob, ...]


def read_muri_trace(name: str, source: str, lines: Iterable[str]) -> MuriTrace:
    """Raises InvalidDocument."""
    table = Table(source, lines)
    _check(table, TRACE_COLUMNS, TRACE_COLUMNS)
    problems: list[Problem] = []
    jobs: list[TraceJob] = []
    for placed in table.rows(problems):
        with placed as row:
            jobs.append(_job(len(jobs), row))
    if not jobs and not problems:
        problems.append(Problem(1, None, "", "it has no jobs", "Is the file cut off?"))
    if problems:
        raise InvalidDocument(source, tuple(problems))
    return MuriTrace(name, tuple(jobs))


def _job(number: int, row: Row) -> TraceJob:
    gpus = row.whole("num_gpu")
    if not 0 < gpus <= GPUS:
        raise BadCell("num_gpu", f"{gpus} GPUs cannot be had of {GPUS}", f"The published cluster has 1 to {GPUS} to give.")
    if gpus > GPUS_PER_NODE and gpus % GPUS_PER_NODE:
        hint = f"Above {GPUS_PER_NODE}, a multiple of {GPUS_PER_NODE}: such jobs take whole nodes."
        raise BadCell("num_gpu", f"{gpus} GPUs are no whole nodes of {GPUS_PER_NODE}", hint)
    for column in ("iterations", "iteration_time"):
        if not row.whole(column):
            raise BadCell(column, "with 0 it would run for no time", "Leave the job out, or say what it really took.")
    run_us = row.whole("iterations") * row.whole("iteration_time") * RUN_US
    return TraceJob(JobId(f"{number:09d}"), "muri", row.whole("submit_time") * 1000, run_us, gpus)


def read_reference(source: str, lines: Iterable[str]) -> Reference:
    """By trace and policy, the figures it has, in microseconds. A figure may be left empty. Raises InvalidDocument."""
    table = Table(source, lines)
    _check(table, (*KEYS, *METRICS), KEYS)
    problems: list[Problem] = []
    found: Reference = {}
    for placed in table.rows(problems):
        with placed as row:
            key = row.text("trace"), row.text("schedule_flag")
            if key in found:
                raise BadCell("trace", f"{' under '.join(key)} is there twice", "Keep one of the two rows.")
            found[key] = {metric: _figure(row, metric) for metric in METRICS if row.text(metric)}
    if problems:
        raise InvalidDocument(source, tuple(problems))
    return found


def _figure(row: Row, metric: str) -> int:
    figure_us = row.seconds_us(metric)
    if not figure_us:
        raise BadCell(metric, "0 is nothing to compare with", "Leave the cell empty where there is no figure.")
    return figure_us


def _check(table: Table, known: tuple[str, ...], needed: tuple[str, ...]) -> None:
    if lacking := missing(table.columns, needed):
        message = (
            f"the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} missing"
        )
        hint = f"Its first line names its columns; these are read: {', '.join(known)}."
        raise InvalidDocument(table.source, (Problem(1, None, lacking[0], message, hint),))
