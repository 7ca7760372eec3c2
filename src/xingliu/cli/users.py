"""`xl user`."""

from collections.abc import Sequence

import click

from xingliu.cli.client import parts
from xingliu.cli.creating import create_once
from xingliu.cli.output import print_json, print_table, show_time
from xingliu.cli.session import Session, json_option
from xingliu.kernel.errors import BadValue

ROLES = "admin, operator, finance (the whole cloud), owner (a tenant), member, viewer (a project)"


@click.group()
def user() -> None:
    """Who acts, and in which roles.

    \b
    xl user create ann --tenant acme --role member:acme/nlp
    xl user create bob --tenant acme --role owner:acme
    xl user create oz --role operator
    xl user revoke ann
    """


@user.command()
@click.option("--tenant", help="Only this tenant's.")
@json_option
@click.pass_obj
def ls(session: Session, tenant: str | None) -> None:
    """List users with their roles.

    \b
    xl user ls --tenant acme
    """
    found = list(session.client.pages("/v1/users", tenant=tenant))
    if session.json:
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one.get("tenant"),
            show_bindings(one["bindings"]),
            show_time(one["created_us"]),
            show_time(one.get("revoked_us")),
        )
        for one in found
    ]
    print_table(("USER", "TENANT", "ROLES", "CREATED", "REVOKED"), rows, empty="No users.")


def show_bindings(bindings: Sequence[dict[str, str]]) -> str:
    return ", ".join(f"{one['role']} of {one['scope'] or 'the cloud'}" for one in bindings)


@user.command()
@click.argument("name")
@click.option("--tenant", help="Whose they are; default: your own tenant.")
@click.option("--role", "roles", multiple=True, metavar="ROLE[:SCOPE]", help=f"May be given again. {ROLES}.")
@json_option
@click.pass_obj
def create(session: Session, name: str, tenant: str | None, roles: tuple[str, ...]) -> None:
    """Create a user. A key for them: `xl key create USER`.

    \b
    xl user create ann --tenant acme --role member:acme/nlp
    """
    body = {"name": name, "tenant": tenant, "bindings": [binding(text) for text in roles]}
    create_once(
        session, "/v1/users", body, lambda made: f"user {made['id']} created; give them a key: xl key create {made['id']}"
    )


def binding(text: str) -> dict[str, str]:
    """`member:acme/nlp` as a role and where it holds."""
    role, _, scope = text.partition(":")
    if not role:
        raise BadValue(text, "a role", f"Write ROLE or ROLE:SCOPE, such as member:acme/nlp. Roles: {ROLES}.")
    return {"role": role, "scope": scope}


@user.command()
@click.argument("name")
@json_option
@click.pass_obj
def revoke(session: Session, name: str) -> None:
    """End a user's access at once, with all their keys. What they own stays.

    \b
    xl user revoke ann
    """
    found = session.client.post(f"/v1/users/{parts(name)}:revoke")
    if session.json:
        print_json(found)
    else:
        click.echo(f"user {found['id']} revoked")
