"""`xl simulate`: a trace of jobs on a fleet that need not exist. It asks compose, and no cloud."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from xingliu.cli.output import note, print_json, print_table
from xingliu.cli.session import Session, json_option
from xingliu.compose.simulate import FORMAT_NAMES, ORDER_NAMES, read_jobs, write_report
from xingliu.compose.simulate import simulate as run_simulation
from xingliu.kernel.units import show_duration

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Tell = Callable[[str, int, int], None]
HELP = """Play a trace of jobs on a fleet and draw how it went.

The scheduler is the real one, in virtual time: months pass in minutes.
No cloud is needed, and none is touched. Traces, plain or gzipped:

\b
philly  job_id,submit_s,duration_s,num_gpus,vc; or Microsoft's JSON log
itp     cluster,job_id,submit_s,duration_s,num_gpus
openb   Alibaba's GPU pods: name,cpu_milli,memory_mib,num_gpu,...
sacct   Slurm's accounting, of the cluster you have:
        sacct -aXP -S 2026-01-01 -o \\
        JobID,Account,Submit,Start,End,Timelimit,NNodes,AllocTRES > jobs.csv

A fleet is an operator file (`xl cloud show` prints one). What its
nodes have is what it says: gpus_per_node of the flavor, share of the
pool. Jobs wait in the queue named like their tenant, else the default.

\b
kind: cloud
flavors:
  - {name: h100, gpu: H100, gpus_per_node: 8, price: 2.40/gpu-hour}
pools:
  - {name: train, flavor: h100, nodes: "g[001-128]"}

\b
xl simulate --jobs jobs.csv --fleet cloud.yaml --report out.html
xl simulate --jobs jobs.csv --fleet now.yaml \\
    --compare more-nodes.yaml new-quotas.yaml --report out.html
xl simulate --jobs jobs.csv --fleet cloud.yaml \\
    --order first-come --order shortest-first --report out.html
xl simulate --jobs philly.csv.gz --fleet cloud.yaml --json
"""


def _in_a_folder(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refused before a minute is spent on what could not be written."""
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(f"There is no folder {path.parent} for the report.")
    return path


@click.command(help=HELP)
@click.option("--jobs", required=True, type=FILE, help="The trace: what was submitted when, and how long it ran.")
@click.option("--fleet", required=True, type=FILE, help="Operator file of the fleet to play it on.")
@click.option("--compare", multiple=True, type=FILE, help="More fleets to play it on, side by side with the first.")
@click.argument("more", nargs=-1, type=FILE, metavar="[FLEET]...")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_folder,
    help="Write the pictures into this HTML file.",
)
@click.option("--format", "as_format", type=click.Choice(FORMAT_NAMES), help="Of the trace; found by its columns if left out.")
@click.option("--tenant", "tenants", multiple=True, help="Only jobs of this tenant; may be given several times.")
@click.option("--preemptible", multiple=True, help="This tenant's jobs may borrow, and be stopped for others; several times.")
@click.option(
    "--order",
    "orders",
    multiple=True,
    type=click.Choice(ORDER_NAMES),
    help="Of the line; several are compared. Default: the first.",
)
@click.option("--first", type=click.IntRange(1), help="Only so many jobs, the first ones.")
@json_option
@click.pass_obj
def simulate(
    session: Session,
    /,
    jobs: Path,
    fleet: Path,
    compare: tuple[Path, ...],
    more: tuple[Path, ...],
    report: Path | None,
    as_format: str | None,
    tenants: tuple[str, ...],
    preemptible: tuple[str, ...],
    orders: tuple[str, ...],
    first: int | None,
) -> None:
    if more and not compare:
        raise click.UsageError(f"It is not clear what {more[0]} is for: put --compare before it.")
    trace = read_jobs(jobs, as_format=as_format, tenants=tenants, first=first)
    if not session.json:
        note(f"{len(trace.jobs):,} jobs, read as {trace.format}")
        for remark in trace.notes:
            note(f"  {remark}")
    with _progress() as tell:
        simulated = run_simulation(trace, [fleet, *compare, *more], tell, preemptible, orders)
    if report is not None:
        write_report(simulated, report)
    if session.json:
        print_json(simulated.facts())
        return
    for remark in simulated.notes:
        note(remark)
    _show(simulated.facts()["fleets"])
    if report is not None:
        click.echo(f"The pictures are in {report}")


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal, else a line for every tenth; both on standard error."""
    if not sys.stderr.isatty():
        yield _Tenths().tell
        return
    from rich.console import Console  # noqa: PLC0415 - 100 ms, for people who watch
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, of: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=of)
            progress.update(tasks[name], completed=done)

        yield tell


class _Tenths:
    def __init__(self) -> None:
        self._said: tuple[str, int] = ("", 0)

    def tell(self, name: str, done: int, of: int) -> None:
        tenth = 10 * done // of
        if tenth and (name, tenth) != self._said:
            self._said = (name, tenth)
            note(f"{name}: {10 * tenth}%")


def _show(fleets: list[dict[str, Any]]) -> None:
    rows = [
        ("jobs that ran", *(f"{each['waits']['jobs']:,}" for each in fleets)),
        ("jobs that never could", *(f"{each['waits']['never']:,}" for each in fleets)),
        ("stopped for another", *(f"{each['stops']:,} times" for each in fleets)),
        ("in use, mean", *(f"{each['busy_mean']:.1%} of {each['capacity']:,} {each['unit']}s" for each in fleets)),
        ("wait, mean", *(_span(each["waits"]["mean_s"]) for each in fleets)),
        ("wait, half at most", *(_span(each["waits"]["p50_s"]) for each in fleets)),
        ("wait, 99 in 100 at most", *(_span(each["waits"]["p99_s"]) for each in fleets)),
        ("slowdown, mean", *(f"{each['slowdown']:.2f}" for each in fleets)),
        ("slowdown, worst tenant", *(f"{_worst(each):.2f} ({each['worst_tenant']})" for each in fleets)),
        ("fairness among tenants", *(f"{each['fairness']:.3f}" for each in fleets)),
    ]
    print_table(("", *(each["name"] for each in fleets)), rows)


def _worst(fleet: dict[str, Any]) -> float:
    return max(float(tenant["slowdown"]) for tenant in fleet["tenants"])


def _span(seconds: float) -> str:
    return show_duration(int(seconds) * 1_000_000) if seconds >= 1 else "0s"
