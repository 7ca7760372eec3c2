"""Arrays among the everyday verbs: a name that is an array's is asked of `/v1/arrays` instead of `/v1/jobs`."""

from collections.abc import Callable
from typing import Any

import click

from xingliu.cli.client import Client, part
from xingliu.cli.errors import ApiProblem, CloudUnreachable
from xingliu.cli.following import INTERRUPTED, Patience, exit_code
from xingliu.cli.output import note, print_json, show_time
from xingliu.cli.session import Session

Json = dict[str, Any]
WHOLE = "whole_array"
LIVE = ("PENDING", "STARTING", "RUNNING", "STOPPING")


def job_or_array(client: Client, name: str, ask: Callable[[str], Json]) -> Json:
    """What `ask` gives for the path of a job or, where that is its name, an array. Raises ApiProblem."""
    try:
        return ask(f"/v1/jobs/{part(name)}")
    except ApiProblem as problem:
        if problem.document.get("code") != WHOLE:
            raise
    return ask(f"/v1/arrays/{part(name)}")


def is_array(answer: Json) -> bool:
    return "counts" in answer


def show_counts(array: Json) -> str:
    """`20 RUNNING, 180 PENDING`, what is not over first."""
    counts = array["counts"]
    ordered = [state for state in ("RUNNING", "STARTING", "STOPPING", "PENDING") if state in counts]
    return ", ".join(f"{counts[state]} {state}" for state in [*ordered, *(state for state in counts if state not in ordered)])


def array_row(array: Json) -> tuple[object, ...]:
    """One line of `xl ps` for all of its elements."""
    most = array.get("max_parallel")
    return (
        array["id"],
        f"{array['name']}[{array['indices']}]",
        array["project"],
        show_counts(array),
        "",
        "",
        show_time(array["submitted_us"]),
        "",
        f"at most {most} at once" if most else "",
    )


def follow_array(session: Session, array: str) -> int:
    """Wait for the end of every element, telling each change; the code of the first that ended badly. Ctrl-C leaves them."""
    try:
        ended = _until_end(session, array)
    except KeyboardInterrupt:
        note(f"\n{array} goes on. See it: `xl ps`. End it: `xl stop {array}`.")
        return INTERRUPTED
    if session.json:
        print_json(ended)
    return exit_code(ended["first_bad"]) if ended.get("first_bad") else 0


def _until_end(session: Session, array: str) -> Json:
    patience, seen = Patience(), ""
    while True:
        try:
            now = session.client.get(f"/v1/arrays/{part(array)}")
        except CloudUnreachable as lost:
            patience.unanswered(lost)
        else:
            line = f"{now['name']}: {show_counts(now)}"
            if line != seen:
                patience.news()
                if not session.json:
                    note(line)
            patience.answered()
            seen = line
            if not any(state in now["counts"] for state in LIVE):
                return now
        patience.rest()


def tell_why(answer: Json, tell_job: Callable[[Json], None]) -> None:
    """Why elements wait, and the first of them in full."""
    array = answer["array"]
    click.echo(f"{array['name']} is an array of {array['size']} jobs: {show_counts(array)}.")
    for reason in answer["reasons"]:
        click.echo(f"  {reason['count']} wait: {reason['reason']}")
    if bad := array.get("first_bad"):
        click.echo(f"  first to end badly: {bad['name']} {bad['state']}{': ' + bad['message'] if bad['message'] else ''}")
    if answer.get("first"):
        click.echo(f"The first that waits is {answer['first']['job']}:")
        tell_job(answer["first"])
