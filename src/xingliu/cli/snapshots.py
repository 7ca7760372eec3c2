"""`xl snapshot`: the planner's input as a file, and its decision replayed. Replaying asks compose, and no cloud."""

import gzip
import json
from pathlib import Path
from typing import Any

import click

from xingliu.cli.errors import DestinationExists
from xingliu.cli.output import note, print_fields, print_json, print_table, show_time
from xingliu.cli.session import Session, json_option
from xingliu.compose.snapshots import decision_of
from xingliu.compose.snapshots import replay as decide_again

SHOWN_MAX = 20


@click.group()
def snapshot() -> None:
    """The planner's input as a file, and its decision replayed.

    For a bug report: the file says all that one decision knew, so that
    anybody can make the same decision again, without your cloud.

    \b
    xl snapshot export --anonymize why.json.gz
    xl snapshot replay why.json.gz
    """


@snapshot.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--anonymize", is_flag=True, help="Replace the names of jobs, tenants, projects, users and queues.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
@click.pass_obj
def export(session: Session, file: Path, anonymize: bool, force: bool) -> None:
    """Write what the scheduler knows now into FILE; operators only.

    It holds names, sizes and states; no scripts, secrets or environments.
    With --anonymize made-up names sort as the real ones do, so that the
    same is decided; ids of jobs and names of nodes and pools stay.
    A name that ends in .gz is packed.

    \b
    xl snapshot export why.json
    xl snapshot export --anonymize why.json.gz
    """
    if file.exists() and not force:
        raise DestinationExists(str(file))
    document = session.client.get("/v1/snapshot", anonymous="true" if anonymize else "false")
    text = json.dumps(document, indent=None if file.suffix == ".gz" else 1).encode()
    file.write_bytes(gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)
    written = {"file": str(file), "bytes": file.stat().st_size, "anonymous": document["anonymous"]}
    if session.json:
        print_json(written)
        return
    of = document["snapshot"]
    click.echo(f"{file} written: {len(of['nodes'])} nodes, {len(of['pending'])} waiting jobs, {len(of['running'])} that run.")
    if not anonymize:
        note("It names jobs, projects and users; --anonymize replaces those names.")


@snapshot.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--job", metavar="ID", help="Show what is decided for this job, with its numbers.")
@json_option
@click.pass_obj
def replay(session: Session, file: Path, job: str | None) -> int:
    """Decide what FILE holds again, and say whether it comes out the same.

    No cloud is needed, and none is touched. Exit codes: 0 the same plan,
    3 another one.

    \b
    xl snapshot replay why.json.gz
    xl snapshot replay why.json --job 06f2k3
    """
    found = decide_again(file)
    code = 0 if found["same"] else 3
    if job is not None:
        found = decision_of(found, job, file)
    if session.json:
        print_json(found)
    elif job is not None:
        _show_decision(job, found)
    else:
        _show(found)
    return code


def _show_decision(job: str, found: dict[str, Any]) -> None:
    print_fields({"job": job, "decision": found["decision"], "why": found.get("sentence")})
    for name, value in found.get("numbers", {}).items():
        click.echo(f"  {name}: {json.dumps(value)}")


def _show(found: dict[str, Any]) -> None:
    waiting = ", ".join(f"{count} {reason}" for reason, count in found["waiting"].items())
    print_fields(
        {
            "cycle": f"{found['cycle']}, {show_time(found['at_us'])}",
            "made by": found["made_by"] if found["made_by"] == found["replayed_by"] else _versions(found),
            "held": f"{found['nodes']} nodes, {found['pending']} waiting jobs, {found['running']} that run",
            "decided": f"{found['starting']} start" + (f"; waiting: {waiting}" if waiting else ""),
        }
    )
    rows = [(job, one["decision"], one.get("sentence")) for job, one in found["decisions"].items()]
    if rows:
        click.echo()
        print_table(("JOB", "DECISION", "WHY"), rows[:SHOWN_MAX])
    if len(rows) > SHOWN_MAX:
        note(f"... and {len(rows) - SHOWN_MAX} more; --json shows all")
    click.echo()
    if found["same"]:
        click.echo("The same plan as in the file.")
        return
    click.echo("Another plan than in the file:")
    for difference in found["differences"][:SHOWN_MAX]:
        click.echo(f"  {difference}")


def _versions(found: dict[str, Any]) -> str:
    return f"{found['made_by']}, replayed by {found['replayed_by']}"
