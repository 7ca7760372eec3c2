"""`xl queue`."""

from collections.abc import Iterator
from typing import Any

import click

from xingliu.cli.client import part
from xingliu.cli.output import print_fields, print_json, print_table, show_resources
from xingliu.cli.session import Session, json_option
from xingliu.kernel.units import show_duration

Json = dict[str, Any]


@click.group()
def queue() -> None:
    """Waiting lines and their quotas.

    \b
    xl queue ls
    xl queue tree
    xl queue show research
    """


@queue.command()
@json_option
@click.pass_obj
def ls(session: Session) -> None:
    """List queues: quota, what is in use, who runs and waits.

    \b
    xl queue ls
    """
    found = list(session.client.pages("/v1/queues"))
    if session.json:
        print_json(found)
        return
    rows = [
        (one["name"], _quota(one), show_resources(one.get("in_use")) or "nothing", one.get("running"), one.get("pending"))
        for one in found
    ]
    print_table(("QUEUE", "QUOTA", "IN USE", "RUNNING", "WAITING"), rows, empty="No queues.")


@queue.command()
@json_option
@click.pass_obj
def tree(session: Session) -> None:
    """Show all queues as a tree: own share, what is held, borrowed and left to others.

    \b
    xl queue tree
    """
    found = {one["name"]: one for one in session.client.pages("/v1/queues")}
    if session.json:
        print_json(list(found.values()))
        return
    rows = [
        ("  " * depth + one["name"], *_shares(one), one.get("running"), one.get("pending"))
        for name in sorted(found)
        if found[name].get("parent") not in found
        for depth, one in _below(found, name, 0)
    ]
    print_table(("QUEUE", "QUOTA", "IN USE", "BORROWED", "LENT", "RUNNING", "WAITING"), rows, empty="No queues.")


def _below(found: dict[str, Json], name: str, depth: int) -> Iterator[tuple[int, Json]]:
    yield depth, found[name]
    for child in found[name].get("children", ()):
        if child in found:
            yield from _below(found, child, depth + 1)


def _shares(queue: Json) -> tuple[str, str, str, str]:
    """Quota, what is in use, how much of that is borrowed, and how much of the quota others may hold now."""
    quota, in_use, limit = queue.get("quota"), queue.get("in_use") or {}, queue.get("lend_limit")
    idle = {kind: max(0, amount - in_use.get(kind, 0)) for kind, amount in (quota or {}).items()}
    lent = {kind: amount if limit is None else min(amount, limit.get(kind, 0)) for kind, amount in idle.items()}
    return _quota(queue), _said(in_use), _said(queue.get("borrowed")), _said(lent)


def _said(amounts: dict[str, int] | None) -> str:
    return show_resources({kind: amount for kind, amount in (amounts or {}).items() if amount}) or "nothing"


def _quota(queue: Json) -> str:
    return _limit(queue.get("quota"))


def _limit(amounts: dict[str, int] | None) -> str:
    return "none" if amounts is None else show_resources(amounts) or "nothing"


@queue.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show one queue.

    \b
    xl queue show research
    """
    found = session.client.get(f"/v1/queues/{part(name)}")
    if session.json:
        print_json(found)
        return
    limits = ("borrow_limit", "lend_limit", "user_limit", "project_limit")
    print_fields(
        {
            "queue": found["name"],
            "under": found.get("parent") or "",
            "below it": ", ".join(found.get("children") or ()),
            "quota": _quota(found),
            "in use": show_resources(found.get("in_use")) or "nothing",
            "borrowed": show_resources(found.get("borrowed")) or "nothing",
            **{key.replace("_", " "): _limit(found[key]) for key in limits if found.get(key) is not None},
            "weight": found.get("weight"),
            "min runtime": show_duration(found["min_runtime_us"]) if found.get("min_runtime_us") else "",
            "running": found.get("running"),
            "waiting": found.get("pending"),
            "held": "yes" if found.get("held") else "no",
        }
    )
