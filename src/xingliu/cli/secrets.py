"""`xl secret`."""

import sys

import click

from xingliu.cli.client import part, parts
from xingliu.cli.creating import create_once
from xingliu.cli.errors import NoValueGiven
from xingliu.cli.output import print_json, print_table, show_time
from xingliu.cli.session import Session, json_option


@click.group()
def secret() -> None:
    """Values that jobs may ask for by name.

    They are encrypted, never shown again, and masked in logs. A job names them: `secrets: [HF_TOKEN]`.

    \b
    xl secret create HF_TOKEN
    xl secret create HF_TOKEN < token.txt
    xl secret ls
    xl secret revoke HF_TOKEN
    """


@secret.command()
@click.option("--project", help="Only this project's.")
@json_option
@click.pass_obj
def ls(session: Session, project: str | None) -> None:
    """List secrets, by name only.

    \b
    xl secret ls --project acme/nlp
    """
    found = list(session.client.pages("/v1/secrets", project=project))
    if session.json:
        print_json(found)
        return
    rows = [(one["name"], one["project"], show_time(one["created_us"])) for one in found]
    print_table(("SECRET", "PROJECT", "SET"), rows, empty="No secrets.")


@secret.command()
@click.argument("name")
@click.option("--project", help="Whose jobs may ask for it; default: your own project.")
@json_option
@click.pass_obj
def create(session: Session, name: str, project: str | None) -> None:
    """Create a secret, or give it a new value, which is asked for or piped in.

    \b
    xl secret create HF_TOKEN
    printf %s "$TOKEN" | xl secret create HF_TOKEN
    """
    value = read_hidden(f"Value of {name}", f"secret create {name}")
    body = {"project": project, "name": name, "value": value}
    create_once(session, "/v1/secrets", body, lambda made: f"secret {made['name']} of {made['project']} is set")


def read_hidden(prompt: str, command: str) -> str:
    """A value from the keyboard, unseen, or from standard input. Raises NoValueGiven. The last line end is not part of it."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, err=True))
    value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not value:
        raise NoValueGiven(prompt.lower(), command)
    return value


@secret.command()
@click.argument("name")
@click.option("--project", help="Whose it is; default: your own project.")
@json_option
@click.pass_obj
def revoke(session: Session, name: str, project: str | None) -> None:
    """Delete a secret. Jobs that run keep the value they were given.

    \b
    xl secret revoke HF_TOKEN
    """
    owner = session.client.project(project)
    session.client.delete(f"/v1/secrets/{parts(owner)}/{part(name)}")
    if session.json:
        print_json({"name": name, "project": owner})
    else:
        click.echo(f"secret {name} of {owner} deleted")


secret.add_command(revoke, "delete")
