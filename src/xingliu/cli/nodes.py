"""`xl node`."""

from typing import Any

import click

from xingliu.cli.client import part
from xingliu.cli.output import print_fields, print_json, print_table, show_resources, show_span, show_time
from xingliu.cli.session import Session, json_option
from xingliu.kernel.units import show_bytes

Json = dict[str, Any]


@click.group()
def node() -> None:
    """Machines: list, show, drain, resume.

    \b
    xl node ls
    xl node show node-a
    xl node drain node-a --reason "replace fan 3"
    xl node resume node-a --reason "fan replaced"
    """


@node.command()
@click.option("--pool", help="Only this pool's.")
@click.option("--state", help="Only those in this state, such as ready.")
@json_option
@click.pass_obj
def ls(session: Session, pool: str | None, state: str | None) -> None:
    """List nodes with their state and what is in use.

    \b
    xl node ls --state draining
    """
    nodes = list(session.client.pages("/v1/nodes", pool=pool, state=state))
    if session.json:
        print_json(nodes)
        return
    rows = [
        (
            one["name"] + (" (emulated)" if one.get("emulated") else ""),
            one["pool"],
            one["flavor"],
            one["state"],
            show_span(one["since_us"], None),
            in_use(one),
            show_resources(one["capacity"]),
            one.get("reason"),
        )
        for one in nodes
    ]
    print_table(("NODE", "POOL", "FLAVOR", "STATE", "SINCE", "IN USE", "OF", "WHY"), rows, empty="No nodes.")


def in_use(node: Json) -> str:
    """What open leases hold of it."""
    return show_resources(node.get("in_use")) or "nothing"


@node.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show one node: what it has, what runs there, what it cannot give.

    \b
    xl node show node-a
    """
    found = session.client.get(f"/v1/nodes/{part(name)}")
    if session.json:
        print_json(found)
        return
    _print_node(found)


def _print_node(found: Json) -> None:
    facts = dict(found.get("facts") or {})
    isolation = facts.get("isolation") or {}
    cannot = isolation.pop("missing", [])
    print_fields(
        {
            "node": found["name"] + (" (emulated)" if found.get("emulated") else ""),
            "state": found["state"],
            "since": f"{show_time(found['since_us'])}, by {found.get('actor') or 'xingliu'}: {found.get('reason') or '-'}",
            "pool": found["pool"],
            "flavor": found["flavor"],
            "capacity": show_resources(found["capacity"]),
            "in use": in_use(found),
            "topology": ", ".join(f"{level} {label}" for level, label in (found.get("topology") or {}).items()),
            "jobs": ", ".join(found.get("jobs") or []),
            **{name.removesuffix("_bytes").replace("_", " "): _fact(name, value) for name, value in facts.items()},
        }
    )
    for device in found.get("devices") or []:
        emulated = " (emulated)" if device.get("emulated") else ""
        click.echo(f"GPU {device['index']}  {device['model']}{emulated}  {device['uuid']}")
    for line in cannot:
        click.echo(f"cannot give: {line}")


def _fact(name: str, value: Any) -> str:
    """What was discovered, in words."""
    if name.endswith("_bytes"):
        return show_bytes(value)
    if isinstance(value, list):
        return ", ".join(dict.fromkeys(_fact("", one) for one in value))
    if isinstance(value, dict) and "path" in value:
        return f"{value.get('name', '')} {value.get('version', '')} ({value['path']})"
    if isinstance(value, dict):
        return "; ".join(f"{inner.replace('_', ' ')}: {_fact(inner, one)}" for inner, one in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _step(session: Session, name: str, verb: str, reason: str) -> None:
    found = session.client.post(f"/v1/nodes/{part(name)}:{verb}", {"reason": reason})
    if session.json:
        print_json(found)
    else:
        click.echo(f"{found['name']} is {found['state']}: {found.get('reason') or reason}")


@node.command()
@click.argument("name")
@click.option("--reason", required=True, help="Shown to everyone whose job waits for it.")
@json_option
@click.pass_obj
def drain(session: Session, name: str, reason: str) -> None:
    """Let a node finish what it runs and give it nothing new.

    \b
    xl node drain node-a --reason "replace fan 3"
    """
    _step(session, name, "drain", reason)


@node.command()
@click.argument("name")
@click.option("--reason", required=True, help="Kept in the node's story.")
@json_option
@click.pass_obj
def resume(session: Session, name: str, reason: str) -> None:
    """Let a drained node take jobs again.

    \b
    xl node resume node-a --reason "fan replaced"
    """
    _step(session, name, "resume", reason)
