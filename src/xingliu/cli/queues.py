"""`xl queue`."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from xingliu.cli.client import PAGE, Client, part
from xingliu.cli.output import print_fields, print_json, print_table, show_resources, show_span, show_time, table_lines
from xingliu.cli.session import Session, json_option
from xingliu.cli.shares import HEADERS as SHARE_HEADERS
from xingliu.cli.shares import share_cells, share_fields, user_lines
from xingliu.kernel.units import show_duration

Json = dict[str, Any]
LINE_SHOWN = 20
HEADERS = ("QUEUE", "ORDER", "QUOTA", "IN USE", "BORROWED", "LENT", *SHARE_HEADERS, "RUNNING", "WAITING")
LINE_HEADERS = ("POSITION", "JOB", "NAME", "PROJECT", "USER", "PRIORITY", "NODES", "SUBMITTED", "DEADLINE", "WHY")


@click.group()
def queue() -> None:
    """Waiting lines and their quotas.

    \b
    xl queue ls
    xl queue tree
    xl queue show research
    xl queue hold research --reason "quotas change tonight"
    xl queue release research
    """


@queue.command()
@json_option
@click.pass_obj
def ls(session: Session) -> None:
    """List queues: their order, quota, what is in use, borrowed and lent, how many jobs run and wait.

    USED is a queue's part of what all used lately; what was used long ago
    counts less. It deserves its weight's part of what its parent deserves,
    against those beside it in which somebody waits or used anything. OWED is
    deserved less used: who is owed most by its weight goes first.

    \b
    xl queue ls
    """
    found = list(session.client.pages("/v1/queues"))
    if session.json:
        print_json(found)
        return
    print_table(HEADERS, [(_called(one), *_shares(one)) for one in found], empty="No queues.")


@queue.command()
@json_option
@click.pass_obj
def tree(session: Session) -> None:
    """Show all queues as a tree: order, own share, what is held, borrowed, and lent to others.

    \b
    xl queue tree
    """
    found = {one["name"]: one for one in session.client.pages("/v1/queues")}
    if session.json:
        print_json(list(found.values()))
        return
    rows = [
        ("  " * depth + _called(one), *_shares(one))
        for name in sorted(found)
        if found[name].get("parent") not in found
        for depth, one in _below(found, name, 0)
    ]
    print_table(HEADERS, rows, empty="No queues.")


def _below(found: dict[str, Json], name: str, depth: int) -> Iterator[tuple[int, Json]]:
    yield depth, found[name]
    for child in found[name].get("children", ()):
        if child in found:
            yield from _below(found, child, depth + 1)


def _called(queue: Json) -> str:
    return f"{queue['name']}{' (held)' if queue.get('held') else ''}"


def _shares(queue: Json) -> Sequence[object]:
    """The columns after its name."""
    held = (_said(queue.get(key)) for key in ("in_use", "borrowed", "lent"))
    return queue.get("order"), _quota(queue), *held, *share_cells(queue), queue.get("running"), queue.get("pending")


def _said(amounts: dict[str, int] | None) -> str:
    return show_resources({kind: amount for kind, amount in (amounts or {}).items() if amount}) or "nothing"


def _quota(queue: Json) -> str:
    return _limit(queue.get("quota"))


def _limit(amounts: dict[str, int] | None) -> str:
    return "none" if amounts is None else show_resources(amounts) or "nothing"


@queue.command()
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=LINE_SHOWN, show_default=True, help="At most so many of its line."
)
@json_option
@click.pass_obj
def show(session: Session, name: str, limit: int) -> None:
    """Show one queue, what its users used of it lately, and who waits in it and below it, in line.

    Its users deserve equal parts of what it used; who is owed most goes first.

    \b
    xl queue show research
    xl queue show research --limit 200
    """
    found = session.client.get(f"/v1/queues/{part(name)}")
    users = session.client.get(f"/v1/queues/{part(name)}/users")
    line = _line(session.client, name, limit)
    if session.json:
        print_json({**found, "users": users, "line": line})
        return
    _print_queue(found)
    for text in ("", *user_lines(users)) if users["of"] else ():
        click.echo(text)
    if line["items"] or line["others"]:
        click.echo("")
        for text in line_lines(line):
            click.echo(text)


def _line(client: Client, name: str, limit: int) -> Json:
    """The first of its line, and how many there are."""
    path = f"/v1/queues/{part(name)}/line"
    line = client.get(path, limit=max(1, min(limit, PAGE)))
    while line["next"] is not None and len(line["items"]) < limit:
        more = client.get(path, limit=min(limit - len(line["items"]), PAGE), after=line["next"])
        line = {**more, "items": [*line["items"], *more["items"]]}
    return {**line, "items": line["items"][:limit]}


def line_lines(line: Json) -> list[str]:
    """A table of those in line; where others stand between them, or behind, their number."""
    items, of = line["items"], line["of"]
    table = table_lines(LINE_HEADERS, [_in_line(one) for one in items])
    lines, last = [f"in line: {of}" + (f", {line['others']} of projects you do not see" if line["others"] else "")], 0
    if not items:
        return lines
    lines.append(table[0])
    for one, text in zip(items, table[1:], strict=True):
        if one["position"] > last + 1:
            lines.append(f"... {one['position'] - last - 1} of others")
        lines.append(text)
        last = one["position"]
    return [*lines, f"... {of - last} more"] if of > last else lines


def _in_line(one: Json) -> Sequence[object]:
    named = [one[key] for key in ("position", "job", "name", "project", "user", "priority", "nodes")]
    return *named, show_time(one["submitted_us"]), show_time(one.get("deadline_us")), one.get("reason")


def _print_queue(found: Json) -> None:
    limits = ("borrow_limit", "lend_limit", "user_limit", "project_limit")
    print_fields(
        {
            "queue": found["name"],
            "held": show_hold(found["hold"]) if found.get("hold") else "yes" if found.get("held") else "no",
            "under": found.get("parent") or "",
            "below it": ", ".join(found.get("children") or ()),
            "quota": _quota(found),
            "in use": _said(found.get("in_use")),
            "borrowed": _said(found.get("borrowed")),
            "lent": _said(found.get("lent")),
            **{key.replace("_", " "): _limit(found[key]) for key in limits if found.get(key) is not None},
            "weight": found.get("weight"),
            **share_fields(found),
            "order": found.get("order"),
            "min runtime": show_duration(found["min_runtime_us"]) if found.get("min_runtime_us") else "",
            "running": found.get("running"),
            "waiting": found.get("pending"),
        }
    )


def show_hold(hold: Json) -> str:
    """`by ops/ann for 3m: quotas change tonight`."""
    return f"by {hold['actor']} for {show_span(hold['since_us'], None)}: {hold['reason']}"


@queue.command()
@click.argument("name")
@click.option("--reason", required=True, help="Shown to everyone whose job waits there.")
@json_option
@click.pass_obj
def hold(session: Session, name: str, reason: str) -> None:
    """Let nothing of a queue and those below it start; what runs goes on.

    \b
    xl queue hold research --reason "quotas change tonight"
    """
    found = session.client.post(f"/v1/queues/{part(name)}:hold", {"reason": reason})
    if session.json:
        print_json(found)
    else:
        click.echo(f"{found['name']} is held: {reason}")


@queue.command()
@click.argument("name")
@json_option
@click.pass_obj
def release(session: Session, name: str) -> None:
    """Let the jobs of a held queue start again.

    \b
    xl queue release research
    """
    found = session.client.post(f"/v1/queues/{part(name)}:release")
    if session.json:
        print_json(found)
    else:
        click.echo(f"{found['name']} is released")
