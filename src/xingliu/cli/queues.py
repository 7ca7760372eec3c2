"""`xl queue`."""

from typing import Any

import click

from xingliu.cli.client import part
from xingliu.cli.output import print_fields, print_json, print_table, show_resources
from xingliu.cli.session import Session, json_option

Json = dict[str, Any]


@click.group()
def queue() -> None:
    """Waiting lines and their quotas.

    \b
    xl queue ls
    xl queue show research
    """


@queue.command()
@json_option
@click.pass_obj
def ls(session: Session) -> None:
    """List queues: quota, what is in use, who runs and waits.

    \b
    xl queue ls
    """
    found = list(session.client.pages("/v1/queues"))
    if session.json:
        print_json(found)
        return
    rows = [
        (one["name"], _quota(one), show_resources(one.get("in_use")) or "nothing", one.get("running"), one.get("pending"))
        for one in found
    ]
    print_table(("QUEUE", "QUOTA", "IN USE", "RUNNING", "WAITING"), rows, empty="No queues.")


def _quota(queue: Json) -> str:
    return "none" if queue.get("quota") is None else show_resources(queue["quota"]) or "nothing"


@queue.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show one queue.

    \b
    xl queue show research
    """
    found = session.client.get(f"/v1/queues/{part(name)}")
    if session.json:
        print_json(found)
        return
    print_fields(
        {
            "queue": found["name"],
            "quota": _quota(found),
            "in use": show_resources(found.get("in_use")) or "nothing",
            "running": found.get("running"),
            "waiting": found.get("pending"),
            "held": "yes" if found.get("held") else "no",
        }
    )
