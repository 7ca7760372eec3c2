"""`xl events`."""

from typing import Any

import click

from xingliu.cli.arrays import job_or_array
from xingliu.cli.errors import CloudUnreachable
from xingliu.cli.following import Patience
from xingliu.cli.output import print_json, show_time
from xingliu.cli.session import Session, json_option

Json = dict[str, Any]
SHOWN = 1_000
ENDS = {"job.succeeded", "job.failed", "job.timed-out", "job.cancelled"}


@click.command()
@click.argument("job", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C, or until the job's end.")
@click.option("--type", "type_", help="Only of this type, such as job.started.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=SHOWN, show_default=True, help="At most so many, the newest.")
@json_option
@click.pass_obj
def events(session: Session, job: str | None, follow: bool, type_: str | None, limit: int) -> None:
    """Tell the story of a job, or of the cloud.

    One line an event: when, who, what, why.

    \b
    xl events train
    xl events -f train
    xl events --type node.draining
    """
    subject = job_or_array(session.client, job, session.client.get)["id"] if job else None
    seen = 0
    found = list(session.client.pages("/v1/events", most=limit, subject=subject, type=type_, newest_first=True))[::-1]
    if session.json and not follow:
        print_json(found)
        return
    for event in found:
        seen = max(seen, event["seq"])
        _tell(session, event, alone=subject is None)
    if follow and not (subject and any(event["type"] in ENDS for event in found)):
        _follow(session, seen, subject, type_)


def _follow(session: Session, seen: int, subject: str | None, type_: str | None) -> None:
    """Tell what happens after event number `seen`, across lost connections; of one job up to its end."""
    patience = Patience()
    while True:
        try:
            for event in session.client.changes("events", after=seen):
                patience.news()
                seen = event["seq"]
                if subject not in (None, event["subject"]) or type_ not in (None, event["type"]):
                    continue
                _tell(session, event, alone=subject is None)
                if subject and event["type"] in ENDS:
                    return
        except CloudUnreachable as lost:
            patience.unanswered(lost)
        patience.rest()


def _tell(session: Session, event: Json, *, alone: bool) -> None:
    if session.json:
        import json  # noqa: PLC0415 - one document a line, where `print_json` would make many

        click.echo(json.dumps(event, ensure_ascii=False))
        return
    click.echo(line(event, alone=alone))


def line(event: Json, *, alone: bool) -> str:
    """`14:03:10  ann  job.started  job-id  why or the facts`; `alone` names the subject, which a story of one leaves out."""
    facts = ", ".join(f"{name} {value}" for name, value in (event.get("facts") or {}).items() if isinstance(value, str | int))
    subject = f"{event['subject']:<14}  " if alone else ""
    what = f"{event['type']:<17}  {subject}{event.get('cause') or facts}"
    return f"{show_time(event['at_us']):<8}  {event['actor']:<12}  {what}".rstrip()
