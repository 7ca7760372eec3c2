"""`xl tenant`."""

import click

from xingliu.cli.creating import create_once
from xingliu.cli.output import print_json, print_table, show_time
from xingliu.cli.session import Session, json_option


@click.group()
def tenant() -> None:
    """Who is invoiced.

    \b
    xl tenant create acme
    xl tenant ls
    """


@tenant.command()
@json_option
@click.pass_obj
def ls(session: Session) -> None:
    """List tenants.

    \b
    xl tenant ls --json
    """
    found = list(session.client.pages("/v1/tenants"))
    if session.json:
        print_json(found)
        return
    print_table(("TENANT", "CREATED"), [(one["id"], show_time(one["created_us"])) for one in found], empty="No tenants.")


@tenant.command()
@click.argument("name")
@json_option
@click.pass_obj
def create(session: Session, name: str) -> None:
    """Create a tenant.

    \b
    xl tenant create acme
    """
    create_once(session, "/v1/tenants", {"name": name}, lambda made: f"tenant {made['id']} created")
