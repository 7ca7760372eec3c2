"""`xl up`, `down`, `backup`, `restore`: the cloud on this machine. The one file of the CLI that knows compose."""

import os
import time
from pathlib import Path

import click

from xingliu.cli.client import Client, part
from xingliu.cli.credentials import home_file, login_file, read_credentials
from xingliu.cli.output import note, print_json
from xingliu.cli.session import Session, json_option
from xingliu.compose.backup import backup as write_backup
from xingliu.compose.backup import restore as read_backup
from xingliu.compose.settings import DEFAULT_PORT, UpSettings, default_home
from xingliu.compose.supervise import Up
from xingliu.compose.supervise import down as bring_down
from xingliu.compose.supervise import up as bring_up

STOP_LOOK_S = 0.2

home_option = click.option(
    "--home", type=click.Path(path_type=Path), help="Where the cloud's state lives; default: $XL_HOME, else ~/.xingliu."
)
store_option = click.option(
    "--store", metavar="URL", help="postgresql://... instead of SQLite in the home. Also XL_STORE.", envvar="XL_STORE"
)


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
    settings = UpSettings(_home(home), host, port, store, tls_cert, tls_key, sandbox=sandbox)

    def tell(ready: Up) -> None:
        if session.json:
            print_json({"url": ready.url, "pid": ready.pid, "home": str(settings.home)})
        else:
            _tell_up(settings, ready, detach=detach)

    return bring_up(settings, detach=detach, on_ready=tell)


def _home(given: Path | None) -> Path:
    return given.absolute() if given else default_home()


def _tell_up(settings: UpSettings, ready: Up, *, detach: bool) -> None:
    click.echo(f"The cloud is up at {ready.url}, its state in {settings.home}.")
    if os.geteuid() != 0:
        click.echo("It was not started by root, so it is for one tenant: every job runs as you.")
    if settings.client_file != home_file():
        click.echo(f"Commands find it with:  export XL_HOME={settings.home}")
    elif login_file().exists() and not os.environ.get("XL_HOME"):
        click.echo(f"Commands talk to the cloud you are logged in to ({login_file()}); `xl logout` makes them use this one.")
    click.echo("Try:  xl run -- echo hello" if detach else "Ctrl-C stops it; jobs go on. Elsewhere, try:  xl run -- echo hello")


@click.command()
@home_option
@click.option("--stop-jobs", is_flag=True, help="First stop every job, and wait until all have ended.")
@json_option
@click.pass_obj
def down(session: Session, home: Path | None, stop_jobs: bool) -> None:
    """Stop the cloud on this machine; its jobs go on.

    The next `xl up` takes them over, and accounts for every second between.

    \b
    xl down
    xl down --stop-jobs
    """
    settings = UpSettings(_home(home))
    stopped = _stop_jobs(Client(read_credentials(settings.client_file))) if stop_jobs else 0
    bring_down(settings)
    if session.json:
        print_json({"home": str(settings.home), "stopped_jobs": stopped})
    else:
        click.echo(f"The cloud in {settings.home} is down; its jobs {'were stopped' if stop_jobs else 'go on'}.")


def _stop_jobs(client: Client) -> int:
    """Stop every job that is not over and wait for the last; how many there were."""
    asked: set[str] = set()
    while jobs := list(client.pages("/v1/jobs", active=True)):
        for job in jobs:
            if job["id"] not in asked:
                asked.add(job["id"])
                client.post(f"/v1/jobs/{part(job['id'])}:stop")
        note(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} still to end")
        time.sleep(STOP_LOOK_S)
    return len(asked)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@home_option
@store_option
@json_option
@click.pass_obj
def backup(session: Session, file: Path, home: Path | None, store: str | None) -> None:
    """Write the cloud's state into one file.

    The cloud may be up. The key file that opens secrets is left out: keep it apart.

    \b
    xl backup cloud-2026-01-31.tar.gz
    """
    settings = UpSettings(_home(home), store_url=store)
    written = write_backup(settings, file)
    if session.json:
        print_json({"file": str(written)})
        return
    click.echo(f"{written} written.")
    click.echo(f"Not in it, on purpose: {settings.secret_key_file}. Without that file a restored cloud cannot open its secrets.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@home_option
@store_option
@json_option
@click.pass_obj
def restore(session: Session, file: Path, home: Path | None, store: str | None) -> None:
    """Put a backup's state into an empty home.

    \b
    xl restore cloud-2026-01-31.tar.gz --home ./cloud
    """
    settings = UpSettings(_home(home), store_url=store)
    read_backup(settings, file)
    if session.json:
        print_json({"home": str(settings.home)})
        return
    click.echo(f"Restored into {settings.home}. Put the cloud's key file to {settings.secret_key_file}, then: xl up")
