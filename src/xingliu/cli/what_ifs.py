"""`xl plan` with what-ifs: a job as it is and with other values of some keys, side by side."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from xingliu.cli.output import now_us, print_table, show_span, show_time
from xingliu.cli.submit import number
from xingliu.kernel.money import show_money

Json = dict[str, Any]
VARIED = ("nodes", "gpu", "time_limit", "queue")


def split(options: Mapping[str, Any], *, as_file: bool) -> tuple[Json, list[Json]]:
    """The options of the job itself, and each change to plan beside it: of a command, the first of each is its own."""
    own = 0 if as_file else 1
    given = {name: value for name, value in options.items() if name not in VARIED}
    given |= {name: next(iter(options[name][:own]), None) for name in VARIED}
    changes = [{name: number(value) if name == "gpu" else value} for name in VARIED for value in options[name][own:]]
    return given, changes


def called(change: Mapping[str, Any]) -> str:
    """`nodes 8`; the job as it is has no change."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in change.items()) or "as it is"


def show_beside(planned: Json) -> None:
    """A column each, then why those wait that do."""
    columns = [planned, *planned["what_ifs"]]
    print_table(["", *(called(column["change"]) for column in columns)], _rows(columns))
    for column in columns:
        if column["sentence"]:
            click.echo(f"{called(column['change'])}: {column['sentence']}")


def _rows(columns: list[Json]) -> Iterator[list[str]]:
    prices = [column["list_price"] for column in columns]
    yield ["starts", *(column["verdict"] for column in columns)]
    yield ["expected start", *(_start(column) for column in columns)]
    yield ["rests on", *(column["eta"]["basis"] for column in columns)]
    yield ["on", *(_nodes(column) for column in columns)]
    yield ["list price an hour", *(_money(price, "per_hour_minor") for price in prices)]
    yield ["at most in all", *(_money(price, "total_minor") for price in prices)]


def _start(column: Json) -> str:
    eta = column["eta"]
    if eta["start_us"] is None:
        return "never" if column["verdict"] == "never" else "unknown"
    wait_us = eta["start_us"] - now_us()
    return "now" if column["verdict"] == "now" else f"{show_time(eta['start_us'])}, in {show_span(0, max(0, wait_us))}"


def _nodes(column: Json) -> str:
    names = list(dict.fromkeys(seat["node"] for seat in column["seats"]))
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""


def _money(price: Json | None, key: str) -> str:
    return "" if price is None or price[key] is None else show_money(price[key], price["currency"])
