"""`xl events`."""

from typing import Any

import click

from xingliu.cli.client import part
from xingliu.cli.errors import CloudUnreachable
from xingliu.cli.following import Patience
from xingliu.cli.output import print_json, show_time
from xingliu.cli.session import Session, json_option

Json = dict[str, Any]
SHOWN_MAX = 10_000
ENDS = {"job.succeeded", "job.failed", "job.timed-out", "job.cancelled"}


@click.command()
@click.argument("job", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C, or until the job's end.")
@click.option("--type", "type_", help="Only of this type, such as job.started.")
@json_option
@click.pass_obj
def events(session: Session, job: str | None, follow: bool, type_: str | None) -> None:
    """Tell the story of a job, or of the cloud.

    One line an event: when, who, what, why.

    \b
    xl events train
    xl events -f train
    xl events --type node.draining
    """
    subject = session.client.get(f"/v1/jobs/{part(job)}")["id"] if job else None
    seen = 0
    found = list(session.client.pages("/v1/events", most=SHOWN_MAX, subject=subject, type=type_))
    if session.json and not follow:
        print_json(found)
        return
    for event in found:
        seen = max(seen, event["seq"])
        _tell(session, event)
    if follow and not (subject and any(event["type"] in ENDS for event in found)):
        _follow(session, seen, subject, type_)


def _follow(session: Session, seen: int, subject: str | None, type_: str | None) -> None:
    """Tell what happens after event number `seen`, across lost connections; of one job up to its end."""
    patience = Patience()
    while True:
        try:
            for event in session.client.changes("events", after=seen, subject=subject, type=type_):
                patience.news()
                seen = event["seq"]
                _tell(session, event)
                if subject and event["type"] in ENDS:
                    return
        except CloudUnreachable as lost:
            patience.unanswered(lost)
        patience.rest()


def _tell(session: Session, event: Json) -> None:
    if session.json:
        import json  # noqa: PLC0415 - one document a line, where `print_json` would make many

        click.echo(json.dumps(event, ensure_ascii=False))
        return
    click.echo(line(event))


def line(event: Json) -> str:
    """`14:03:10  ann  job.started  train-7: rank 0 on node-a`."""
    facts = ", ".join(f"{name} {value}" for name, value in (event.get("facts") or {}).items() if isinstance(value, str | int))
    what = "  ".join(word for word in (event["type"], event["subject"], event.get("cause") or facts) if word)
    return f"{show_time(event['at_us']):<8}  {event['actor']:<12}  {what}"
