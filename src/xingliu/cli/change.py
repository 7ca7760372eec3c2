"""`xl change`: another request for a job that waits."""

from typing import Any

import click

from xingliu.cli.client import part
from xingliu.cli.errors import NothingToChange
from xingliu.cli.jobs import job_argument
from xingliu.cli.output import print_json
from xingliu.cli.session import Session, json_option

IN_RESOURCES = ("gpu", "cpu", "memory")


@click.command()
@job_argument
@click.option("--queue", help="Where it waits.")
@click.option("--nodes", type=int, help="A gang of this many replicas, each on a node of its own.")
@click.option("--gpu", help="GPUs a node, such as 1 or H100:8.")
@click.option("--cpu", help="Cores a node.")
@click.option("--memory", help="Memory a node, such as 64GB.")
@click.option("--time-limit", help="Longest running time, such as 36h.")
@click.option("--priority", type=click.Choice(["low", "normal", "high", "urgent"]), help="How urgent it is.")
@click.option("--preemptible/--not-preemptible", default=None, help="Whether it may borrow, and be stopped for others.")
@json_option
@click.pass_obj
def change(session: Session, /, job: str, **options: Any) -> None:
    """Ask for something else for a job that waits; it keeps its place.

    `xl why` names the cheapest change that starts it. One that runs cannot be changed.

    \b
    xl change train --nodes 2
    xl change train --gpu A100:8 --priority high
    xl change train --queue research --json
    """
    given = {key: value for key, value in options.items() if value is not None}
    if not given:
        raise NothingToChange
    resources = {key: _number(given.pop(key)) for key in IN_RESOURCES if key in given}
    document = {**given, **({"resources": resources} if resources else {})}
    changed = session.client.post(f"/v1/jobs/{part(job)}:change", {"document": document})
    if session.json:
        print_json(changed)
    else:
        click.echo(f"{changed['id']} is changed")


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
