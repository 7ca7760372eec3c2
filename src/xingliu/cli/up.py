"""`xl up`: starts the cloud on this machine. It is timed, so what it does not need is not imported here."""

import os
from pathlib import Path

import click

from xingliu.cli.credentials import home_file, login_file
from xingliu.cli.homes import home_of, home_option, store_option
from xingliu.cli.output import print_json
from xingliu.cli.session import Session, json_option
from xingliu.compose.settings import DEFAULT_PORT, UpSettings
from xingliu.compose.supervise import Up
from xingliu.compose.supervise import up as bring_up


@click.command()
@home_option
@store_option
@click.option("--detach", is_flag=True, help="Return when it answers; it stays up in the background.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; off loopback TLS is required.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any that is free.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate chain, PEM.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its private key, PEM.")
@click.option("--sandbox/--no-sandbox", default=True, help="Without: jobs are plain processes of yours, for one tenant.")
@json_option
@click.pass_obj
def up(
    session: Session,
    /,
    home: Path | None,
    store: str | None,
    detach: bool,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    sandbox: bool,
) -> int:
    """Start the cloud on this machine, or take over one that runs.

    It needs no configuration: one tenant, project and queue, and this machine as its node. Jobs that ran before go on.

    \b
    xl up --detach
    xl up --port 0 --home ./cloud
    xl up --store postgresql://user@localhost/xingliu
    """
    settings = UpSettings(home_of(home), host, port, store, tls_cert, tls_key, sandbox=sandbox)

    def tell(ready: Up) -> None:
        if session.json:
            print_json({"url": ready.url, "pid": ready.pid, "home": str(settings.home)})
        else:
            _tell_up(settings, ready, detach=detach)

    return bring_up(settings, detach=detach, on_ready=tell)


def _tell_up(settings: UpSettings, ready: Up, *, detach: bool) -> None:
    click.echo(f"The cloud is up at {ready.url}, its state in {settings.home}.")
    if os.geteuid() != 0:
        click.echo("It was not started by root, so it is for one tenant: every job runs as you.")
    if settings.client_file != home_file():
        click.echo(f"Commands find it with:  export XL_HOME={settings.home}")
    elif login_file().exists() and not os.environ.get("XL_HOME"):
        click.echo(f"Commands talk to the cloud you are logged in to ({login_file()}); `xl logout` makes them use this one.")
    click.echo("Try:  xl run -- echo hello" if detach else "Ctrl-C stops it; jobs go on. Elsewhere, try:  xl run -- echo hello")
