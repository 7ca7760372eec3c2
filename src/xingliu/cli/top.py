"""`xl top`: nodes and jobs, live."""

import sys
import time
from typing import Any

import click

from xingliu.cli.client import Client
from xingliu.cli.errors import CloudUnreachable
from xingliu.cli.jobs import ran, why_short
from xingliu.cli.nodes import in_use
from xingliu.cli.output import print_json, show_resources, show_time, table_lines
from xingliu.cli.roles import show_each
from xingliu.cli.session import Session, json_option

Json = dict[str, Any]
EVERY_S = 1.0
JOBS_MAX = 100
NODES_MAX = 500


@click.command()
@json_option
@click.pass_obj
def top(session: Session) -> None:
    """Watch nodes and jobs live.

    Ctrl-C ends it. Where the output is no terminal: one frame.

    \b
    xl top
    xl top | head -20
    """
    if session.json:
        nodes, jobs = _load(session.client)
        print_json({"nodes": nodes, "jobs": jobs})
    elif not sys.stdout.isatty():
        click.echo("\n".join(_frame(session.client)))
    else:
        _live(session.client)


def _load(client: Client) -> tuple[list[Json], list[Json]]:
    nodes = list(client.pages("/v1/nodes", most=NODES_MAX))
    return nodes, list(client.pages("/v1/jobs", most=JOBS_MAX, active=True))


def _frame(client: Client) -> list[str]:
    nodes, jobs = _load(client)
    node_rows = [
        (node["name"], node["state"], in_use(node), show_resources(node["capacity"]), node.get("reason")) for node in nodes
    ]
    order = {"RUNNING": 0, "STARTING": 1, "STOPPING": 2, "PENDING": 3}
    jobs.sort(key=lambda job: (order.get(job["state"], 4), job["submitted_us"]))
    job_rows = [
        (
            job["id"],
            job["name"],
            job["project"],
            job["state"],
            job["nodes"],
            show_each(job),
            ran(job),
            why_short(job),
        )
        for job in jobs
    ]
    counts = ", ".join(f"{sum(job['state'] == state for job in jobs)} {state.lower()}" for state in order)
    return [
        f"{client.url}  {show_time(int(time.time() * 1_000_000))}  nodes: {len(nodes)}; jobs: {counts}",
        "",
        *table_lines(("NODE", "STATE", "IN USE", "OF", "WHY"), node_rows),
        "",
        *table_lines(("JOB", "NAME", "PROJECT", "STATE", "NODES", "EACH", "RAN", "WHY"), job_rows),
    ]


def _live(client: Client) -> None:
    from rich.live import Live  # noqa: PLC0415 - 60 ms that only a live view needs
    from rich.text import Text  # noqa: PLC0415 - with it

    with Live(Text("..."), screen=True, auto_refresh=False) as screen:
        while True:
            try:
                lines = _frame(client)
            except CloudUnreachable as lost:
                lines = [f"{lost} Trying again."]
            screen.update(Text.from_ansi("\n".join(lines)[: 1 << 16], no_wrap=True, overflow="ellipsis"), refresh=True)
            time.sleep(EVERY_S)
