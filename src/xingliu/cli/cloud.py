"""`xl apply` and `xl cloud`: the operator file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from xingliu.cli.errors import MustSayYes
from xingliu.cli.output import note, print_json, show_time
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

    The difference is shown first, and what it would do to the jobs that run and wait.

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
        for line in effect_lines(found.get("effects") or {}):
            click.echo(line)
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


EFFECTS = {
    "starts": "would start at once",
    "sooner": "would start sooner",
    "later": "would start later",
    "never": "could never start",
    "stopped": "would be stopped for others at once",
    "above": "may be stopped for others from then on, their queue above its quota",
}


def effect_lines(effects: Json) -> Iterator[str]:
    """A line for each thing that jobs would meet: how many, and the first of them."""
    for key, words in EFFECTS.items():
        if count := effects.get(f"{key}_count", 0):
            named = [each if isinstance(each, str) else _moved(each) for each in effects[key]]
            more = f" and {count - len(named)} more" if count > len(named) else ""
            yield f"{count} job{'' if count == 1 else 's'} {words}: {', '.join(named)}{more}"
    if effects and effects["sooner"] is None:
        yield "When others would start was not looked at: the cloud is large."


def _moved(move: Json) -> str:
    before, after = (show_time(move[key]) or "unknown" for key in ("before_us", "after_us"))
    return f"{move['job']} ({before} becomes {after})"


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
