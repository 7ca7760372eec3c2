"""Everyday verbs: ps, why, stop, hold, release; of jobs, and of arrays as a whole."""

from collections.abc import Sequence
from typing import Any

import click

from xingliu.cli.arrays import array_row, is_array, job_or_array, show_counts
from xingliu.cli.bulk import HOLD, RELEASE, STOP, Saying, in_bulk, selected, selection_options
from xingliu.cli.client import Client
from xingliu.cli.following import FINAL, ending
from xingliu.cli.output import (
    print_json,
    print_table,
    show_span,
    show_time,
)
from xingliu.cli.roles import show_each
from xingliu.cli.session import Session, json_option

Json = dict[str, Any]
STATES = ["PENDING", "STARTING", "RUNNING", "STOPPING", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED"]
HEADERS = ("JOB", "NAME", "PROJECT", "STATE", "NODES", "EACH", "SUBMITTED", "RAN", "WHY")
WATCH_S = 2
SHOWN_MAX = 100


def _complete_job(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names and ids of jobs; nothing where no cloud answers."""
    try:
        jobs = list(context.ensure_object(Session).client.pages("/v1/jobs", most=SHOWN_MAX))
    except Exception:  # noqa: BLE001 - a shell that completes is no place for an error
        return []
    return list(dict.fromkeys(word for job in jobs for word in (job["name"], job["id"]) if word.startswith(incomplete)))


job_argument = click.argument("job", shell_complete=_complete_job)
jobs_argument = click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=_complete_job)


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that ended.")
@click.option(
    "--state", type=click.Choice(STATES, case_sensitive=False), metavar="STATE", help="Only those in this state, such as RUNNING."
)
@click.option("--project", help="Only this project's.")
@click.option("--queue", help="Only those of this queue and the ones below it.")
@click.option("--user", help="Only this user's.")
@click.option("--name", help="Only those with this name.")
@click.option("--all-elements", is_flag=True, help="Every element of an array on a line of its own, as --json does.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=SHOWN_MAX, show_default=True, help="At most so many, newest first."
)
@click.option("-w", "--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@json_option
@click.pass_obj
def ps(
    session: Session, /, everything: bool, state: str | None, all_elements: bool, limit: int, watch: bool, **filters: str | None
) -> None:
    """List jobs that wait or run.

    An array is one line, with how many of its elements are in each state.

    \b
    xl ps
    xl ps -a --limit 10
    xl ps --state RUNNING --json
    """
    active = None if everything or state else True
    query: dict[str, object] = {"active": active, "state": state and state.upper(), **filters}
    elements = session.json or all_elements or state is not None
    jobs = _load(session.client, query, limit, elements=elements)
    while watch and not session.json:
        click.clear()
        _print_jobs(jobs, everything=everything)
        _rest()
        jobs = _load(session.client, query, limit, elements=elements)
    if session.json:
        print_json(jobs)
    else:
        _print_jobs(jobs, everything=everything)


def _load(client: Client, query: Json, limit: int, *, elements: bool) -> list[Json]:
    """Jobs, newest first, among them arrays as one each unless their elements are asked for."""
    jobs = list(client.pages("/v1/jobs", most=limit, alone=None if elements else True, **query))
    if elements:
        return jobs
    of_arrays = {name: value for name, value in query.items() if name != "state"}
    arrays = list(client.pages("/v1/arrays", most=limit, **of_arrays))
    return sorted([*jobs, *arrays], key=lambda one: (one["submitted_us"], one["id"]), reverse=True)[:limit]


def _rest() -> None:
    import time  # noqa: PLC0415 - only while watching

    time.sleep(WATCH_S)


def _print_jobs(jobs: Sequence[Json], *, everything: bool) -> None:
    rows = [
        array_row(job)
        if is_array(job)
        else (
            job["id"],
            job["name"],
            job["project"],
            "HELD" if job.get("held") and job["state"] == "PENDING" else job["state"],
            job["nodes"],
            show_each(job),
            show_time(job["submitted_us"]),
            ran(job),
            why_short(job),
        )
        for job in jobs
    ]
    empty = (
        "No jobs yet. The first: `xl run -- echo hello`." if everything else "No job waits or runs. Those that ended: `xl ps -a`."
    )
    print_table(HEADERS, rows, empty=empty)


def ran(job: Json) -> str:
    """Running time: of finished attempts, and of the one that runs."""
    if job["state"] in FINAL:
        return show_span(job.get("started_us"), job.get("finished_us"))
    if job["state"] in ("RUNNING", "STOPPING"):
        return show_span(job.get("started_us"), None)
    return show_span(0, job["running_us"]) if job.get("running_us") else ""


def why_short(job: Json) -> str:
    if job["state"] in FINAL:
        return ending({**job, "started_us": None}).lstrip(",: ")
    if job["state"] == "STOPPING":
        return str(job.get("stop_why") or "")
    if job["state"] == "PENDING":
        return str((job.get("wait") or {}).get("reason", ""))
    return f"attempt {job['attempt']}" if job.get("attempt", 0) > 1 else ""


def _each(session: Session, jobs: Sequence[str], verb: str, done: str) -> None:
    """Tell every one of the jobs; the first refusal ends it."""
    answers = []
    for job in jobs:
        answer = job_or_array(session.client, job, lambda path: session.client.post(f"{path}:{verb}"))
        answers.append(answer)
        if is_array(answer) and not session.json:
            click.echo(f"{answer['id']} {done}: {show_counts(answer)}")
        elif not session.json:
            over = answer["state"] in FINAL and answer["state"] != "CANCELLED"
            click.echo(f"{answer['id']} {answer['state']}" if over else f"{answer['id']} {done}")
    if session.json:
        print_json(answers)


def _ask(session: Session, jobs: Sequence[str], saying: Saying, done: str, options: Json) -> None:
    selector = selected(jobs, options)
    if selector is None:
        _each(session, jobs, saying.verb, done)
    else:
        in_bulk(session, saying, selector, yes=options["yes"], preview=options["preview"])


@click.command()
@jobs_argument
@selection_options
@json_option
@click.pass_obj
def stop(session: Session, /, jobs: tuple[str, ...], **options: Any) -> None:
    """End jobs for good.

    One that runs gets its checkpoint signal, its grace, then SIGKILL. A selection is shown first, and asked about.

    \b
    xl stop train
    xl stop train-1 train-2
    xl stop sweep                all elements of an array; 'sweep[3]' is one
    xl stop --project vision --state PENDING --preview
    xl stop --queue research --name 'sweep-*' -y
    xl stop --all
    """
    _ask(session, jobs, STOP, "stops", options)


@click.command()
@jobs_argument
@selection_options
@json_option
@click.pass_obj
def hold(session: Session, /, jobs: tuple[str, ...], **options: Any) -> None:
    """Keep jobs from starting; stop those that run until released.

    A selection is shown first, and asked about.

    \b
    xl hold train
    xl hold --user ada --state PENDING
    """
    _ask(session, jobs, HOLD, "is held", options)


@click.command()
@jobs_argument
@selection_options
@json_option
@click.pass_obj
def release(session: Session, /, jobs: tuple[str, ...], **options: Any) -> None:
    """Let held jobs go on.

    A selection is shown first, and asked about.

    \b
    xl release train
    xl release --project vision
    """
    _ask(session, jobs, RELEASE, "is released", options)
