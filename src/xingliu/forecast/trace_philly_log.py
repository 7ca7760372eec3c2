"""Philly as Microsoft published it: one JSON list of jobs, each with its attempts and the GPUs they had."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from xingliu.forecast.trace import TraceJob
from xingliu.forecast.trace_tables import PROBLEMS_MAX, BadCell, read_instant_us
from xingliu.kernel.ids import JobId
from xingliu.kernel.problems import InvalidDocument, Problem, show_value

HINT = "Each job has jobid, vc, submitted_time and attempts of start_time, end_time and detail."


def read_log(source: str, text: str) -> tuple[list[TraceJob], Counter[str]]:
    """The jobs, and what was left out. Raises InvalidDocument."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem(error.lineno, error.colno, "", f"column {error.colno}: this is not JSON: {error.msg}")
        raise InvalidDocument(source, (problem,)) from None
    jobs, left_out, problems = [], Counter[str](), list[Problem]()
    for number, entry in enumerate(found):
        try:
            job = _job(entry)
        except BadCell as bad:
            key = f"[{number}].{bad.column}"
            problems.append(Problem(None, None, key, f"{key}: {bad}", bad.hint or HINT))
            if len(problems) >= PROBLEMS_MAX:
                break
            continue
        if isinstance(job, str):
            left_out[job] += 1
        else:
            jobs.append(job)
    if problems:
        raise InvalidDocument(source, tuple(problems))
    return jobs, left_out


def _job(entry: object) -> TraceJob | str:
    """Its GPUs are those of its last attempt; its run time is that of all attempts together."""
    if not isinstance(entry, dict):
        raise BadCell("", f"{show_value(entry)} is not a job")
    spans = [(end_us - start_us, gpus) for start_us, end_us, gpus in _attempts(entry)]
    run_us = sum(length_us for length_us, _ in spans)
    if not spans or run_us <= 0:
        return "jobs that never ran, or of which no end is known"
    gpus = spans[-1][1]
    if not gpus:
        return "jobs without GPUs, of which this format tells nothing else"
    tenant = _text(entry, "vc") or "none"
    return TraceJob(JobId(_text(entry, "jobid")), tenant, _instant_us(entry, "submitted_time"), run_us, gpus)


def _attempts(entry: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """Start, end and number of GPUs of each attempt that has them."""
    attempts = entry.get("attempts")
    if not isinstance(attempts, list):
        raise BadCell("attempts", f"{show_value(attempts)} is not a list")
    for attempt in attempts:
        if not isinstance(attempt, dict):
            raise BadCell("attempts", f"{show_value(attempt)} is not an attempt")
        if attempt.get("start_time") in (None, "None", "") or attempt.get("end_time") in (None, "None", ""):
            continue
        detail = attempt.get("detail") or []
        if not all(isinstance(part, dict) and isinstance(part.get("gpus"), list) for part in detail):
            raise BadCell("attempts.detail", "it does not list the GPUs of each machine")
        gpus = sum(len(part["gpus"]) for part in detail)
        yield _instant_us(attempt, "start_time"), _instant_us(attempt, "end_time"), gpus


def _instant_us(of: dict[str, Any], key: str) -> int:
    return read_instant_us(_text(of, key), key)


def _text(of: dict[str, Any], key: str) -> str:
    value = of.get(key)
    if not isinstance(value, str):
        raise BadCell(key, f"{show_value(value)} is not text")
    return value
