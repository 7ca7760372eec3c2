"""`xl why`: one sentence, the numbers behind it, who is ahead, when it starts, and what would start it sooner."""

from typing import Any

import click

from xingliu.cli.arrays import job_or_array, tell_why
from xingliu.cli.client import part
from xingliu.cli.following import FINAL, ending
from xingliu.cli.jobs import job_argument
from xingliu.cli.output import now_us, print_json, show_amount, show_cores, show_span, show_start, show_time
from xingliu.cli.roles import rank_lines
from xingliu.cli.session import Session, json_option
from xingliu.kernel.units import show_bytes

Json = dict[str, Any]
AHEAD_SHOWN_MAX = 10
THEN = {"starts": "starts it", "preempts": "has others stopped for it"}


@click.command()
@job_argument
@json_option
@click.pass_obj
def why(session: Session, job: str) -> None:
    """Say why a job is where it is, when it starts, and what would start it sooner.

    One sentence and the numbers it rests on; the jobs ahead, those you may see by name; the expected start; and the
    cheapest single change after which the next cycle starts it, with the command that makes it.

    \b
    xl why train
    xl why 'sweep[3]'
    xl why train --json
    """
    answer = job_or_array(session.client, job, lambda path: session.client.get(f"{path}/why"))
    if session.json:
        print_json(answer)
    elif "array" in answer:
        tell_why(answer, lambda first: _tell(session, first))
    else:
        _tell(session, answer)


def _tell(session: Session, answer: Json) -> None:
    if answer["state"] == "PENDING":
        _tell_wait(answer)
    else:
        _tell_state(session, answer)


def _tell_wait(answer: Json) -> None:
    click.echo(answer.get("sentence") or f"{answer['job']} was not looked at yet; the next cycle decides.")
    if answer.get("reason"):
        numbers = evidence(answer.get("numbers") or {})
        click.echo(f"  {answer['reason']}, by cycle {answer['cycle']}{f': {numbers}' if numbers else ''}")
    if place := answer.get("position"):
        click.echo(f"  position {place['number']} of {place['of']} in queue {place['queue']}")
    if held := answer.get("hold"):
        click.echo(f"  queue {held['queue']} is held by {held['actor']} since {show_time(held['since_us'])}: {held['reason']}")
    if due := answer.get("due"):
        click.echo(f"  deadline {show_time(due['at_us'])}: {due['sentence']}")
    _tell_ahead(answer.get("ahead") or [], (answer.get("numbers") or {}).get("ahead_count") or 0)
    if standing := answer.get("standing"):
        click.echo(f"  {_span(standing)}")
    click.echo(show_start(answer["eta"]))
    if advice := answer.get("advice"):
        _tell_change(advice)


def _tell_ahead(ahead: list[Json], count: int) -> None:
    for other in ahead[:AHEAD_SHOWN_MAX]:
        click.echo(f"  ahead: {other.get('name') or ''} {other['job']}, priority {other['priority']}")
    if (more := max(count, len(ahead)) - min(len(ahead), AHEAD_SHOWN_MAX)) > 0:
        click.echo(f"  ahead: {more} {'more' if ahead else 'of others'}")


def _tell_change(advice: Json) -> None:
    change = advice.get("change")
    if change is None:
        looked = f"; looked at: {', '.join(advice['tried'])}" if advice["tried"] else ": it waits as its file says"
        click.echo(f"no single change would start it now{looked}")
        return
    whose = "an operator's" if change["by"] == "operator" else "yours"
    click.echo(f"cheapest change, {whose}: {change['sentence']}; the next cycle then {THEN[change['effect']]}")
    if change.get("command"):
        click.echo(f"  {change['command']}")


def _tell_state(session: Session, answer: Json) -> None:
    job = session.client.get(f"/v1/jobs/{part(answer['job'])}")
    if job["state"] in FINAL:
        click.echo(f"{job['name']} ended {show_span(job['finished_us'], now_us())} ago: {job['state']}{ending(job)}")
        click.echo(f"Its story: `xl events {job['id']}`.")
        return
    because = f" ({job['stop_why']})" if job.get("stop_why") else ""
    click.echo(f"{job['name']} does not wait: it is {job['state']}{because}.")
    if standing := answer.get("standing"):
        click.echo(f"  {standing['sentence']}")
        click.echo(f"  {_span(standing)}")
    for line in rank_lines(session.client, job):
        click.echo(f"  {line}")


def _span(standing: Json) -> str:
    """`since 14:03:10, until 14:13:10 at the latest; then it waits in its old place`."""
    parts = [f"since {show_time(standing['since_us'])}"] if standing.get("since_us") is not None else []
    if standing.get("latest_us") is not None:
        parts.append(f"until {show_time(standing['latest_us'])} at the latest")
    then = f"then {standing['then']}" if standing.get("then") else ""
    return "; ".join(part for part in (", ".join(parts), then) if part)


def evidence(numbers: Json) -> str:
    """The numbers a reason rests on, without those that say nothing: `nodes that fit 0; largest free: 2 cores, 4 GB`."""
    return "; ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in numbers.items() if _tells(name, value))


def _tells(name: str, value: object) -> bool:
    silent = name.endswith("_count") or name == "gpus"
    return value not in (None, "", [], {}) and not (silent and value == 0)


def _number(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_number, value))
    if isinstance(value, dict):
        return "(" + ", ".join(_measured(name, inner) for name, inner in value.items() if _tells(name, inner)) + ")"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _measured(name: str, value: object) -> str:
    if isinstance(value, int) and name in ("cpu_milli", "memory_bytes"):
        return show_cores(value) if name == "cpu_milli" else show_bytes(value)
    if isinstance(value, int) and name.partition(".")[0] in ("cpu", "gpu"):
        return show_amount(name, value)
    return f"{name.replace('_', ' ')} {_number(value)}"
