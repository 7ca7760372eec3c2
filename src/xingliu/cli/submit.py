"""`xl run` and `xl plan`: from a job file to what would happen, and to a job."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from xingliu.cli.creating import new_request_key
from xingliu.cli.errors import MustSayYes
from xingliu.cli.output import print_json, show_start
from xingliu.cli.session import Session, json_option, may_ask, yes_option
from xingliu.kernel.documents import Document, parse
from xingliu.kernel.errors import BadValue
from xingliu.kernel.money import show_money
from xingliu.workloads.arrays import read_spans
from xingliu.workloads.spec import one_liner, read_job, with_keys

Json = dict[str, Any]
PLAN_EXIT = {"now": 0, "later": 3, "never": 4}


class Dashed(click.Command):
    """A command that remembers which of its words came after two dashes, which click drops."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[__name__] = tuple(args[args.index("--") + 1 :]) if "--" in args else None
        return super().parse_args(ctx, args)


def job_options(command: Any, *, varied: bool = False) -> Any:
    """What both commands take: a file, or a command after two dashes and what it needs. `varied`: VARIED again and again."""
    options = [
        click.argument("file_or_command", nargs=-1, required=True, metavar="FILE | -- COMMAND..."),
        click.option("--name", help="What the job is called; default: after its command."),
        click.option("--project", help="Who owns and pays; default: your own."),
        click.option("--queue", multiple=varied, help="Where it waits; default: the project's."),
        click.option("--nodes", type=int, multiple=varied, help="A gang of this many replicas, each on a node of its own."),
        click.option("--gpu", multiple=varied, help="GPUs a node, such as 1 or H100:8."),
        click.option("--cpu", help="Cores a node."),
        click.option("--memory", help="Memory a node, such as 64GB."),
        click.option("--time-limit", multiple=varied, help="Longest running time, such as 36h."),
        click.option("--python", help="Interpreter, such as 3.11; the node has to have it."),
        click.option("--workdir", help="Folder to send along; default: this one, if the command names a file in it."),
        click.option("--env", multiple=True, metavar="NAME=VALUE", help="Environment; may be given again and again."),
        click.option("--priority", type=click.Choice(["low", "normal", "high", "urgent"]), help="Default: normal."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=Dashed, epilog="Exit codes: 0 submitted; with --wait the job's own, 128+signal when one ended it; 1 an error.")
@job_options
@yes_option
@click.option("--wait", is_flag=True, help="Wait until it ends and exit with its code; Ctrl-C leaves it running.")
@click.option("-f", "--follow", "with_logs", is_flag=True, help="Wait, and print its logs meanwhile.")
@json_option
@click.pass_obj
def run(session: Session, /, file_or_command: tuple[str, ...], yes: bool, wait: bool, with_logs: bool, **options: Any) -> int:
    """Plan a job, show its price and expected start, submit it.

    The job comes from a YAML file, or from a command after two dashes.

    \b
    xl run hello.yaml
    xl run -- python train.py
    xl run --nodes 2 --gpu H100:8 --time-limit 36h -- torchrun train.py
    xl run -y --wait hello.yaml && echo it succeeded
    """
    document, folder = read(file_or_command, options)
    _check_following(document, wait=wait, with_logs=with_logs)
    if not yes and not may_ask():
        raise MustSayYes("submitting a job")
    project = options.get("project")
    if not (session.json and yes):
        planned = session.client.post("/v1/jobs:plan", {"document": document, "project": project})
        show_plan(planned, err=session.json)
        if not yes:
            click.confirm("Submit it?", default=planned["verdict"] != "never", abort=True, err=session.json)
    blob = _upload(session, folder, document.get("project") or project) if folder else None
    request = {"document": document, "project": project, "blob": blob}
    return _keep(session, request) if "schedule" in document else _submit(session, request, wait=wait, with_logs=with_logs)


def _check_following(document: Json, *, wait: bool, with_logs: bool) -> None:
    """Raises BadValue where there is not one job to follow."""
    if with_logs and "array" in document:
        raise BadValue("--follow", "for an array", "Wait for all of it with --wait; read one element: xl logs -f 'NAME[0]'.")
    if "schedule" in document and (wait or with_logs):
        raise BadValue("--follow" if with_logs else "--wait", "for a schedule", "See what it submits: `xl schedule show NAME`.")


def _submit(session: Session, request: Json, *, wait: bool, with_logs: bool) -> int:
    job = session.client.post("/v1/jobs", request, once=new_request_key())
    array = job.get("array")
    if not session.json:
        click.echo(f"array {array['id']} submitted: {array['size']} jobs" if array else f"job {job['id']} submitted")
    elif not (wait or with_logs):
        print_json(job)
    if array:
        return _follow_array(session, array["id"]) if wait else 0
    return _follow(session, job["id"], with_logs=with_logs) if wait or with_logs else 0


def _keep(session: Session, request: Json) -> int:
    """The file as a schedule."""
    from xingliu.cli.schedules import next_time  # noqa: PLC0415 - for those who keep one

    made = session.client.post("/v1/schedules", request, once=new_request_key())
    if session.json:
        print_json(made)
    else:
        click.echo(f"schedule {made['name']} of {made['project']} kept; due next: {next_time(made)}")
    return 0


def _upload(session: Session, folder: Path, project: str | None) -> str:
    from xingliu.cli.upload import upload  # noqa: PLC0415 - 20 ms, for jobs that bring a folder

    return upload(session.client, folder, session.client.project(project))


def _follow(session: Session, job: str, *, with_logs: bool) -> int:
    from xingliu.cli.following import follow  # noqa: PLC0415 - 10 ms, for those who wait

    return follow(session, job, with_logs=with_logs)


def _follow_array(session: Session, array: str) -> int:
    from xingliu.cli.arrays import follow_array  # noqa: PLC0415 - with the other

    return follow_array(session, array)


@click.command(
    cls=Dashed, epilog="Exit codes: 0 it would start now; 3 it would wait; 4 it can never start as things are; 1 an error."
)
@partial(job_options, varied=True)
@json_option
@click.pass_obj
def plan(session: Session, /, file_or_command: tuple[str, ...], **options: Any) -> int:
    """Say what would happen to a job; record nothing.

    Of a file, each --nodes, --gpu, --time-limit and --queue is a what-if beside it as it is; of a command, each after the first.

    \b
    xl plan hello.yaml
    xl plan train.yaml --nodes 8 --nodes 16 --gpu L40S:4 --queue night
    xl plan --gpu H100:8 -- python train.py
    xl plan hello.yaml && xl run -y hello.yaml     only if it starts at once
    """
    from xingliu.cli.what_ifs import called, show_beside, split  # noqa: PLC0415 - for this one command

    given, changes = split(options, as_file=file_or_command != click.get_current_context().meta[__name__])
    document, _ = read(file_or_command, given)
    for change in changes:
        read_job(Document.of(with_keys(document, change), "the job with " + called(change)))
    asked = {"document": document, "project": given.get("project"), "changes": changes}
    planned = session.client.post("/v1/jobs:plan", asked)
    if session.json:
        print_json(planned)
    elif changes:
        show_beside(planned)
    else:
        show_plan(planned)
    return PLAN_EXIT[planned["verdict"]]


def read(words: Sequence[str], options: dict[str, Any]) -> tuple[Json, Path | None]:
    """The checked document, and the folder that goes along. Raises InvalidDocument, BadValue."""
    if words == click.get_current_context().meta[__name__]:
        document = _of_command(words, options)
        read_job(Document.of(document, "the command line"))
        return document, _folder(document, Path.cwd())
    if len(words) > 1:
        raise BadValue(" ".join(words), "one file", "To run a command, put two dashes before it: xl run -- python train.py")
    for name, value in options.items():
        if value and name != "project":
            way_out = f"Write it into {words[0]}; options are for commands: xl run --{name} ... -- python train.py"
            raise BadValue(f"--{name.replace('_', '-')}", "an option for a job file", way_out)
    path = Path(words[0])
    found = parse(path.read_text(errors="replace"), words[0])
    read_job(found)
    document = dict(found.value) if isinstance(found.value, dict) else {}
    return document, _folder(document, path.parent)


def _of_command(words: Sequence[str], options: dict[str, Any]) -> Json:
    keys = {name: value for name, value in options.items() if value not in (None, ()) and name not in ("env", "project")}
    keys = {name: number(value) if name in ("cpu", "gpu") else value for name, value in keys.items()}
    if "workdir" not in keys and any(Path(word).is_file() and not Path(word).is_absolute() for word in words):
        keys["workdir"] = "."
    env = dict(_pair(text) for text in options.get("env") or ())
    return one_liner(words, **keys, **({"env": env} if env else {}))


def number(value: Any) -> Any:
    """`8` as a number; anything else as it is."""
    return int(value) if str(value).isdecimal() else value


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise BadValue(text, "NAME=VALUE", "Write --env NAME=VALUE, once for each variable.")
    return name, value


def _folder(document: Json, home: Path) -> Path | None:
    """The working folder, seen from where the file lies."""
    return home / str(document["workdir"]) if document.get("workdir") else None


def show_plan(planned: Json, *, err: bool = False) -> None:
    spec = planned.get("spec") or {}
    roles = spec.get("roles") or {}
    nodes = sum(role.get("nodes", 1) for role in roles.values()) or spec.get("nodes", 1)
    parts = f" for {' and '.join(roles)}" if roles else ""
    many = f"an array of {sum(map(len, read_spans(spec['array'])))} jobs, each on " if spec.get("array") else ""
    click.echo(f"{spec.get('name', 'job')}: {many}{nodes} {'node' if nodes == 1 else 'nodes'}{parts}{_places(planned)}", err=err)
    if spec.get("schedule"):
        click.echo(_schedule(spec["schedule"]), err=err)
    if planned["verdict"] == "now":
        click.echo("starts now", err=err)
    else:
        click.echo(
            f"{'waits' if planned['verdict'] == 'later' else 'can never start as things are'}: {planned['sentence']}", err=err
        )
    if planned["verdict"] == "later":
        click.echo(show_start(planned["eta"]), err=err)
    if due := planned.get("due"):
        click.echo(due["sentence"], err=err)
    if price := planned.get("list_price"):
        click.echo(_price(price), err=err)


def _schedule(written: str | Json) -> str:
    from xingliu.cli.schedules import coming  # noqa: PLC0415 - as above

    return f"kept as a schedule, due next {coming(written)}; due now, it would be so:"


def _places(planned: Json) -> str:
    seats = planned.get("seats") or []
    names = list(dict.fromkeys(seat["node"] for seat in seats))
    return f", on {', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}" if names else ""


def _price(price: Json) -> str:
    hourly = f"list price {show_money(price['per_hour_minor'], price['currency'])} an hour"
    total = price.get("total_minor")
    return f"{hourly}, at most {show_money(total, price['currency'])} in its time limit" if total is not None else hourly
