"""Which home, and which store: what the commands about the cloud on this machine have in common."""

from pathlib import Path

import click

from xingliu.compose.settings import default_home

home_option = click.option(
    "--home", type=click.Path(path_type=Path), help="Where the cloud's state lives; default: $XL_HOME, else ~/.xingliu."
)
store_option = click.option(
    "--store", metavar="URL", help="postgresql://... instead of SQLite in the home. Also XL_STORE.", envvar="XL_STORE"
)


def home_of(given: Path | None) -> Path:
    """The home that was named, else $XL_HOME, else ~/.xingliu."""
    return given.absolute() if given else default_home()
