"""`xl key`."""

import click

from xingliu.cli.client import part
from xingliu.cli.creating import create_once
from xingliu.cli.output import note, print_json, print_table, show_time
from xingliu.cli.session import Session, json_option


@click.group()
def key() -> None:
    """Credentials of users.

    A key is shown once, when it is created.

    \b
    xl key create ann
    xl key ls
    xl key revoke KEY
    """


@key.command()
@click.option("--user", help="Only this user's.")
@json_option
@click.pass_obj
def ls(session: Session, user: str | None) -> None:
    """List keys by what they begin with.

    \b
    xl key ls --user ann
    """
    found = list(session.client.pages("/v1/keys", user=user))
    if session.json:
        print_json(found)
        return
    rows = [
        (one["id"], one["user"], one.get("prefix"), show_time(one["created_us"]), show_time(one.get("revoked_us")))
        for one in found
    ]
    print_table(("KEY", "USER", "BEGINS WITH", "CREATED", "REVOKED"), rows, empty="No keys.")


@key.command()
@click.argument("user", required=False)
@json_option
@click.pass_obj
def create(session: Session, user: str | None) -> None:
    """Create a key, for yourself unless another user is named; print it, this once.

    \b
    xl key create ann
    xl key create ann > ann.key
    """
    owner = user or session.client.get("/v1/whoami")["user"]
    if not session.json:
        note(f"a key for {owner}; it is not shown again")
    create_once(session, "/v1/keys", {"user": owner}, lambda made: str(made["key"]))


@key.command()
@click.argument("name", metavar="KEY")
@json_option
@click.pass_obj
def revoke(session: Session, name: str) -> None:
    """End a key at once.

    \b
    xl key revoke 3f9a1c
    """
    found = session.client.post(f"/v1/keys/{part(name)}:revoke")
    if session.json:
        print_json(found)
    else:
        click.echo(f"key {found['id']} revoked")
