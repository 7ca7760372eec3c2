"""`xl project`."""

import click

from xingliu.cli.creating import create_once
from xingliu.cli.output import print_json, print_table, show_time
from xingliu.cli.session import Session, json_option


@click.group()
def project() -> None:
    """Who owns and pays inside a tenant.

    \b
    xl project create acme/nlp
    xl project create nlp --queue research
    xl project ls
    """


@project.command()
@click.option("--tenant", help="Only this tenant's.")
@json_option
@click.pass_obj
def ls(session: Session, tenant: str | None) -> None:
    """List projects.

    \b
    xl project ls --tenant acme
    """
    found = list(session.client.pages("/v1/projects", tenant=tenant))
    if session.json:
        print_json(found)
        return
    rows = [(one["id"], one.get("queue"), show_time(one["created_us"])) for one in found]
    print_table(("PROJECT", "QUEUE", "CREATED"), rows, empty="No projects.")


@project.command()
@click.argument("name", metavar="[TENANT/]NAME")
@click.option("--queue", help="Where its jobs wait; default: the cloud's default queue.")
@json_option
@click.pass_obj
def create(session: Session, name: str, queue: str | None) -> None:
    """Create a project, in your own tenant unless another is named.

    \b
    xl project create acme/nlp --queue research
    """
    tenant, slash, rest = name.partition("/")
    own = session.client.get("/v1/whoami").get("tenant") if not slash else None
    body = {"tenant": tenant if slash else own, "name": rest if slash else name, "queue": queue}
    create_once(session, "/v1/projects", body, lambda made: f"project {made['id']} created")
