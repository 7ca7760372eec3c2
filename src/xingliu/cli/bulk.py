"""Many jobs at once: shown first, asked about, then done a part at a time with progress."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xingliu.cli.errors import MustSayYes
from xingliu.cli.output import note, print_json, table_lines
from xingliu.cli.session import Session, may_ask, yes_option

if TYPE_CHECKING:
    from xingliu.cli.client import Client

Json = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])
LIVE_STATES = ["PENDING", "STARTING", "RUNNING", "STOPPING"]
SELECTORS = ("project", "queue", "user", "state", "name")


@dataclass(frozen=True, slots=True)
class Saying:
    """How a verb is said: of what would be, of what was, and in a question."""

    verb: str
    would: str
    done: str
    question: str


STOP = Saying("stop", "would be stopped", "stopped", "Stop them?")
HOLD = Saying("hold", "would be held", "held", "Hold them?")
RELEASE = Saying("release", "would be released", "released", "Release them?")


def selection_options(command: F) -> F:
    """The options that select jobs by what they have in common."""
    for option in (
        yes_option,
        click.option("--preview", is_flag=True, help="Show which jobs it would be and change nothing."),
        click.option("--all", "everything", is_flag=True, help="Every job that you see and that is not over."),
        click.option("--name", metavar="PATTERN", help="Those with such a name: 'sweep-*'; ? stands for one letter."),
        click.option(
            "--state",
            type=click.Choice(LIVE_STATES, case_sensitive=False),
            metavar="STATE",
            help="Those in this state, such as PENDING.",
        ),
        click.option("--user", help="This user's."),
        click.option("--queue", help="Those of this queue and the ones below it."),
        click.option("--project", help="This project's."),
    ):
        command = option(command)
    return command


def selected(jobs: Sequence[str], options: Mapping[str, Any]) -> Json | None:
    """What the request says of which jobs; None where they are only named and nothing is to be previewed."""
    given = {key: options[key] for key in SELECTORS if options[key] is not None}
    if options["everything"]:
        given["all"] = True
    if jobs and given:
        raise click.UsageError("Name jobs or select them, not both.")
    if not jobs and not given:
        raise click.UsageError("Name a JOB, or select some: --project, --queue, --user, --state, --name; --all is every one.")
    if "state" in given:
        given["state"] = given["state"].upper()
    if jobs:
        return {"jobs": list(jobs)} if options["preview"] else None
    return given


def in_bulk(session: Session, saying: Saying, selector: Json, *, yes: bool, preview: bool) -> None:
    """Show, ask, do. Raises MustSayYes."""
    if not (yes or preview or may_ask()):
        raise MustSayYes(f"to {saying.verb} a selection of jobs")
    path = f"/v1/jobs:{saying.verb}"
    found = session.client.post(path, {**selector, "preview": True})
    if preview and session.json:
        print_json(found)
        return
    if not session.json and not (yes and not preview):
        for line in preview_lines(found, saying):
            click.echo(line)
    if preview:
        return
    if found["count"] and not yes:
        click.confirm(saying.question, abort=True, err=session.json)
    total = _carry_out(session.client, path, selector, saying, found["count"])
    if session.json:
        print_json(total)
    else:
        click.echo(summary(total, saying))


def preview_lines(found: Json, saying: Saying) -> list[str]:
    """How many, by project and state, the first of them, and what is left alone."""
    lines = [f"{_jobs(found['count'])} {saying.would}{'.' if not found['count'] else ':'}"]
    if found["count"]:
        lines += table_lines(
            ("PROJECT", "STATE", "JOBS"), [(one["project"], one["state"], one["count"]) for one in found["groups"]]
        )
        rows = [(one["job"], one["name"], one["project"], one["queue"], one["user"], one["state"]) for one in found["jobs"]]
        lines += ["", *table_lines(("JOB", "NAME", "PROJECT", "QUEUE", "USER", "STATE"), rows)]
        more = found["count"] - len(rows)
        lines += [f"... and {more} more"] if more else []
    return [*lines, *_left_alone(found)]


def summary(total: Json, saying: Saying) -> str:
    """`12 jobs stopped; 3 of acme/vision are not yours to change`."""
    return "; ".join([f"{_jobs(total['count'])} {saying.done}", *_left_alone(total)])


def _left_alone(found: Json) -> list[str]:
    return [f"{_jobs(one['count'])} of {one['project']} left alone: you may not change them" for one in found["refused"]]


def _jobs(count: int) -> str:
    return f"{count or 'no'} {'job' if count == 1 else 'jobs'}"


def _carry_out(client: "Client", path: str, selector: Json, saying: Saying, expected: int) -> Json:
    """Part after part, the newest jobs first; Ctrl-C says how far it came."""
    total: Json = {"preview": False, "count": 0, "same": 0, "jobs": [], "refused": []}
    refused: Counter[str] = Counter()
    after: str | None = None
    try:
        with _progress(expected) as advance:
            while True:
                part = client.post(path, {**selector, **({"after": after} if after else {})})
                total["count"], total["same"] = total["count"] + part["count"], total["same"] + part["same"]
                total["jobs"] += [one["job"] for one in part["jobs"]]
                refused.update({one["project"]: one["count"] for one in part["refused"]})
                advance(part["count"])
                after = part["next"]
                if after is None:
                    break
    except KeyboardInterrupt:
        note(f"\nInterrupted: {total['count']} of {_jobs(expected)} {saying.done}. The same command goes on with the rest.")
        raise click.Abort from None
    total["refused"] = [{"project": project, "count": count} for project, count in sorted(refused.items())]
    return total


@contextmanager
def _progress(expected: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, where it is many."""
    if expected <= 500 or not may_ask():
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms, only where it takes long
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415 - as above

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("jobs", total=expected)
        yield lambda count: progress.advance(task, count)
