"""`xl flavor`."""

import click

from xingliu.cli.output import print_json, print_table
from xingliu.cli.session import Session, json_option


@click.group()
def flavor() -> None:
    """Kinds of hardware and their list prices.

    \b
    xl flavor ls
    """


@flavor.command()
@json_option
@click.pass_obj
def ls(session: Session) -> None:
    """List flavors with the list price of an hour.

    \b
    xl flavor ls
    """
    found = list(session.client.pages("/v1/flavors"))
    if session.json:
        print_json(found)
        return
    rows = [
        (
            one["name"] + (" (emulated)" if one.get("emulated") else ""),
            one.get("gpu"),
            one.get("gpu_price"),
            one.get("core_price"),
        )
        for one in found
    ]
    print_table(("FLAVOR", "GPU", "A GPU-HOUR", "A CORE-HOUR"), rows, empty="No flavors.")
