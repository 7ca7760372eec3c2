"""`xl login`, `logout`, `whoami`."""

import click

from xingliu.cli.client import Client
from xingliu.cli.credentials import Credentials, check_url, find_credentials, login_file, save_credentials
from xingliu.cli.output import print_fields, print_json
from xingliu.cli.secrets import read_hidden
from xingliu.cli.session import Session, json_option
from xingliu.cli.users import show_bindings


@click.command()
@click.argument("url")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="Certificates to trust, for a cloud with its own.",
)
@json_option
@click.pass_obj
def login(session: Session, url: str, ca: str | None) -> None:
    """Log in to a cloud with a key.

    The key is asked for, or piped in; it is kept in a file that only you can read.

    \b
    xl login https://cloud.example.org
    xl login https://cloud.example.org < my.key
    XL_URL=... XL_KEY=... xl ps        without a file, for scripts
    """
    address = check_url(url)
    key = read_hidden("Key", f"login {url}").strip()
    credentials = Credentials(address, key, ca, str(login_file()))
    who = Client(credentials).get("/v1/whoami")
    save_credentials(login_file(), credentials)
    if session.json:
        print_json(who)
    else:
        click.echo(f"Logged in to {address} as {who['user']}.")


@click.command()
@json_option
@click.pass_obj
def logout(session: Session) -> None:
    """Forget the key that login stored.

    The key itself stays good: `xl key revoke` ends it.

    \b
    xl logout
    """
    there = login_file().exists()
    login_file().unlink(missing_ok=True)
    if session.json:
        print_json({"forgotten": there})
    else:
        click.echo("Logged out." if there else "Nobody was logged in.")


@click.command()
@json_option
@click.pass_obj
def whoami(session: Session) -> None:
    """Show who you are, where, and what you may do.

    \b
    xl whoami
    """
    who = session.client.get("/v1/whoami")
    if session.json:
        print_json(who)
        return
    print_fields(
        {
            "user": who["user"],
            "tenant": who.get("tenant"),
            "roles": show_bindings(who["bindings"]),
            "project": who.get("default_project"),
            "queue": who.get("default_queue"),
            "cloud": f"{session.client.url}, version {who['cloud']['version']}",
            "key from": find_credentials().source,
        }
    )
