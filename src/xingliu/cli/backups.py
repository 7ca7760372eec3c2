"""`xl backup` and `xl restore`: the cloud's state as one file."""

from pathlib import Path

import click

from xingliu.cli.homes import home_of, home_option, store_option
from xingliu.cli.output import print_json
from xingliu.cli.session import Session, json_option
from xingliu.compose.backup import backup as write_backup
from xingliu.compose.backup import restore as read_backup
from xingliu.compose.settings import UpSettings


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
    settings = UpSettings(home_of(home), store_url=store)
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
    settings = UpSettings(home_of(home), store_url=store)
    read_backup(settings, file)
    if session.json:
        print_json({"home": str(settings.home)})
        return
    click.echo(f"Restored into {settings.home}. Put the cloud's key file to {settings.secret_key_file}, then: xl up")
