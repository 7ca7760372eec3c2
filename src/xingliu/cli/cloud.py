"""`xl apply` and `xl cloud`: the operator file."""

from pathlib import Path
from typing import Any

import click

from xingliu.cli.errors import MustSayYes
from xingliu.cli.output import note, print_json
from xingliu.cli.session import Session, json_option, may_ask, yes_option
from xingliu.fleet.cloudfile import read_cloud
from xingliu.kernel.documents import parse

Json = dict[str, Any]
MARKS = {"create": ("+", "green"), "update": ("~", "yellow")}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@yes_option
@click.option("--preview", is_flag=True, help="Show the difference and change nothing.")
@json_option
@click.pass_obj
def apply(session: Session, file: Path, yes: bool, preview: bool) -> None:
    """Bring the cloud to what an operator file says.

    The difference is shown first.

    \b
    xl apply cloud.yaml
    xl apply --preview cloud.yaml
    xl cloud show > cloud.yaml        the file that is in force
    """
    document = parse(file.read_text(errors="replace"), str(file))
    read_cloud(document)
    if not (yes or preview or may_ask()):
        raise MustSayYes("applying an operator file")
    found = session.client.post("/v1/cloud:apply", {"document": document.value, "preview": True})
    if not session.json:
        _show(found["changes"])
    if found["changes"] and not preview:
        if not yes:
            click.confirm("Apply it?", abort=True, err=session.json)
        found = session.client.post("/v1/cloud:apply", {"document": document.value, "preview": False})
        if not session.json:
            note("applied")
    if session.json:
        print_json(found)


def _show(changes: list[Json]) -> None:
    for change in changes:
        mark, colour = MARKS.get(change["change"], ("-", "red"))
        click.echo(click.style(f"{mark} {change['sentence']}", fg=colour))
    if not changes:
        click.echo("The cloud is as the file says; nothing changes.")


@click.group()
def cloud() -> None:
    """The operator file that is in force.

    \b
    xl cloud show > cloud.yaml
    """


@cloud.command()
@json_option
@click.pass_obj
def show(session: Session) -> None:
    """Print the operator file that is in force, ready to be changed and applied.

    \b
    xl cloud show > cloud.yaml
    """
    document = session.client.get("/v1/cloud")
    if session.json:
        print_json(document)
        return
    import yaml  # noqa: PLC0415 - 10 ms, for this one command

    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
