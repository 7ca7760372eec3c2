"""`xl schedule`: what is submitted again and again. `xl run` makes one of a file that has a `schedule`."""

from itertools import islice
from typing import Any

import click

from xingliu.cli.client import part
from xingliu.cli.output import now_us, print_json, print_table, show_time
from xingliu.cli.session import Session, json_option
from xingliu.workloads.timetables import Overlap, Timetable, due_after

Json = dict[str, Any]
HEADERS = ("SCHEDULE", "NAME", "PROJECT", "CRON", "ZONE", "OVERLAP", "NEXT", "LAST", "SUBMITTED")


@click.group()
def schedule() -> None:
    """Jobs that are submitted again and again.

    `xl run` keeps a job file with a `schedule` as one: `schedule: "0 3 * * *"`, or
    `schedule: {cron: "0 3 * * *", time_zone: Europe/Berlin, overlap: queue}`.

    \b
    xl run nightly.yaml
    xl schedule ls
    xl schedule show nightly
    xl schedule hold nightly
    """


@schedule.command()
@click.option("--project", help="Only this project's.")
@click.option("--name", help="Only those of this name.")
@json_option
@click.pass_obj
def ls(session: Session, project: str | None, name: str | None) -> None:
    """List schedules, with when each is due next.

    \b
    xl schedule ls --project acme/nlp
    """
    found = list(session.client.pages("/v1/schedules", project=project, name=name))
    if session.json:
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one["name"],
            one["project"],
            one["cron"],
            one["time_zone"],
            one["overlap"],
            next_time(one),
            show_time(one["last_us"]) if one["last_us"] is not None else "",
            one["submitted"],
        )
        for one in found
    ]
    print_table(HEADERS, rows, empty='No schedules. A job file makes one with `schedule: "0 3 * * *"`.')


@schedule.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show a schedule, the next times it is due, and what became of the last.

    \b
    xl schedule show nightly
    xl schedule show nightly --json
    """
    found = session.client.get(f"/v1/schedules/{part(name)}")
    if session.json:
        print_json(found)
    else:
        tell(found)


def tell(found: Json) -> None:
    click.echo(f"{found['name']} of {found['project']} ({found['id']}), by {found['user']}")
    click.echo(f"  due at {found['cron']}, {found['time_zone']}; {found['overlap']} while one submitted before is not over")
    click.echo(f"  next   {', '.join(map(show_time, found['coming_us'])) or next_time(found)}")
    if found["last_us"] is not None:
        click.echo(f"  last   {show_time(found['last_us'])}{': nothing, ' + found['message'] if found['message'] else ''}")
    running = f"; not over then: {', '.join(found['unfinished'])}" if found["unfinished"] else ""
    click.echo(f"  submitted {found['submitted']} so far{running}")


def coming(written: str | Json) -> str:
    """The next times at which a job file's `schedule` is due."""
    parts = {"cron": written} if isinstance(written, str) else {**written, "overlap": Overlap.SKIP}
    times = islice(due_after(Timetable(**parts), now_us()), 3)
    return ", ".join(map(show_time, times)) or "never"


def next_time(found: Json) -> str:
    if found["held"]:
        return "held"
    return show_time(found["coming_us"][0]) if found["coming_us"] else "never"


@schedule.command()
@click.argument("name")
@json_option
@click.pass_obj
def hold(session: Session, name: str) -> None:
    """Submit nothing until released; what is due meanwhile is not made up for.

    \b
    xl schedule hold nightly
    """
    _change(session, name, "hold", "is held")


@schedule.command()
@click.argument("name")
@json_option
@click.pass_obj
def release(session: Session, name: str) -> None:
    """Let a held schedule go on with the next time it is due.

    \b
    xl schedule release nightly
    """
    _change(session, name, "release", "goes on")


@schedule.command()
@click.argument("name")
@json_option
@click.pass_obj
def stop(session: Session, name: str) -> None:
    """End a schedule for good; the jobs it submitted go on.

    \b
    xl schedule stop nightly
    """
    _change(session, name, "stop", "is stopped; the jobs it submitted go on")


def _change(session: Session, name: str, verb: str, done: str) -> None:
    answer = session.client.post(f"/v1/schedules/{part(name)}:{verb}")
    if session.json:
        print_json(answer)
    else:
        click.echo(f"schedule {answer['name']} of {answer['project']} {done}")
