"""`xl usage`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from xingliu.cli.output import now_us, print_json, print_table, show_time
from xingliu.cli.session import Session, json_option
from xingliu.kernel.errors import BadValue
from xingliu.kernel.money import show_money
from xingliu.kernel.units import read_duration_us

Json = dict[str, Any]
BY = ("tenant", "project", "job")


@click.command()
@click.option("--by", default="project", show_default=True, help="What to add up for: tenant, project, job; several with commas.")
@click.option("--since", help="From when: 7d ago, as `7d`, or a day, as 2026-01-31; default: all there is.")
@click.option("--until", help="Until when, in the same words; default: now.")
@click.option("--conservation", is_flag=True, help="For operators: where every device's time went, and that it adds up.")
@json_option
@click.pass_obj
def usage(session: Session, by: str, since: str | None, until: str | None, conservation: bool) -> None:
    """Add up what was used, and what it costs by list price.

    \b
    xl usage
    xl usage --by tenant,project,job --since 7d
    xl usage --conservation
    """
    window = {"since_us": _instant(since), "until_us": _instant(until)}
    if conservation:
        _conservation(session, window)
        return
    nouns = [word.strip() for word in by.split(",")]
    for noun in nouns:
        if noun not in BY:
            raise BadValue(noun, "something usage is added up for", f"One or more of {', '.join(BY)}, with commas between.")
    found = {noun: session.client.get("/v1/usage", by=noun, **window) for noun in nouns}
    if session.json:
        print_json(found if len(found) > 1 else found[nouns[0]])
        return
    for number, noun in enumerate(nouns):
        if number:
            click.echo("")
        _print_usage(noun, found[noun])


def _instant(text: str | None) -> int | None:
    """`7d` is so long ago; a day is its first moment here."""
    if text is None:
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 1_000_000
    except ValueError:
        return now_us() - read_duration_us(text)


def _print_usage(noun: str, found: Json) -> None:
    currency = found["currency"]
    rows = [
        (
            one["key"],
            hours(one["gpu_milli_us"]),
            hours(one["core_milli_us"]),
            hours(one.get("goodput_milli_us")),
            hours(one.get("lost_milli_us")),
            show_money(one["list_price_minor"], currency),
        )
        for one in found["items"]
    ]
    headers = (noun.upper(), "GPU-HOURS", "CORE-HOURS", "GOODPUT", "LOST", "LIST PRICE")
    print_table(
        headers, rows, empty=f"Nothing was used between {show_time(found['since_us'])} and {show_time(found['until_us'])}."
    )


def hours(milli_us: int | None) -> str:
    """Unit-milliseconds x 1000 as hours of one whole unit, four digits."""
    if milli_us is None:
        return ""
    ten_thousandths = milli_us * 10 // 3_600_000_000
    return f"{ten_thousandths // 10_000}.{ten_thousandths % 10_000:04d}"


def _balance(pool: Json) -> Iterator[tuple[str, int]]:
    """The classes, under `leased` its parts, and what they have to add up to."""
    for name, amount in pool["classes"].items():
        yield name, amount
        if name == "leased":
            yield from ((f"  {part}", held) for part, held in pool["leased_as"].items())
    yield "capacity", pool["capacity"]


def _conservation(session: Session, window: dict[str, int | None]) -> None:
    found = session.client.get("/v1/usage/conservation", **window)
    if session.json:
        print_json(found)
        return
    for pool in found["pools"]:
        unit = "GPU-HOURS" if pool["kind"].startswith("gpu.") else "CORE-HOURS"
        print_table((f"POOL {pool['pool']}", unit), [(name, hours(amount)) for name, amount in _balance(pool)])
        if pool["difference"]:
            click.echo(f"difference: {pool['difference']} milli-units x microseconds")
        click.echo("")
    click.echo("It adds up to the microsecond." if found["holds"] else "It does NOT add up: this is a defect; please report it.")
