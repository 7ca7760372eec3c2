"""The tree of commands. Each is imported when it is used, so that `xl --help` is there at once.

The help texts here are the first lines of the commands' own; a test compares them.
"""

import sys
from importlib import import_module
from typing import Any

import click

from xingliu import __version__
from xingliu.cli.session import Session

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Jobs": {
        "run": ("submit", "Plan a job, show its price and expected start, submit it."),
        "plan": ("submit", "Say what would happen to a job; record nothing."),
        "ps": ("jobs", "List jobs that wait or run."),
        "why": ("why", "Say why a job is where it is, when it starts, and what would start it sooner."),
        "change": ("change", "Ask for something else for a job that waits; it keeps its place."),
        "logs": ("logs", "Print what a job's replicas wrote."),
        "events": ("events", "Tell the story of a job, or of the cloud."),
        "stop": ("jobs", "End jobs for good."),
        "hold": ("jobs", "Keep jobs from starting; stop those that run until released."),
        "release": ("jobs", "Let held jobs go on."),
        "schedule": ("schedules", "Jobs that are submitted again and again."),
        "cp": ("files", "Copy files out of a job's folder."),
        "attach": ("attach", "Open a shell inside a running replica."),
        "top": ("top", "Watch nodes and jobs live."),
        "usage": ("usage", "Add up what was used, and what it costs by list price."),
    },
    "The cloud": {
        "up": ("up", "Start the cloud on this machine, or take over one that runs."),
        "down": ("down", "Stop the cloud on this machine; its jobs go on."),
        "backup": ("backups", "Write the cloud's state into one file."),
        "restore": ("backups", "Put a backup's state into an empty home."),
        "apply": ("cloud", "Bring the cloud to what an operator file says."),
        "cloud": ("cloud", "The operator file that is in force."),
        "node": ("nodes", "Machines: list, show, drain, resume."),
        "queue": ("queues", "Waiting lines and their quotas."),
        "flavor": ("flavors", "Kinds of hardware and their list prices."),
        "snapshot": ("snapshots", "The planner's input as a file, and its decision replayed."),
        "simulate": ("simulate", "Play a trace of jobs on a fleet and draw how it went."),
    },
    "People": {
        "login": ("login", "Log in to a cloud with a key."),
        "logout": ("login", "Forget the key that login stored."),
        "whoami": ("login", "Show who you are, where, and what you may do."),
        "tenant": ("tenants", "Who is invoiced."),
        "project": ("projects", "Who owns and pays inside a tenant."),
        "user": ("users", "Who acts, and in which roles."),
        "key": ("keys", "Credentials of users."),
        "secret": ("secrets", "Values that jobs may ask for by name."),
        "completion": ("completion", "Print the script that lets a shell complete xl."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Lazy(click.Group):
    """A group that knows its commands by name and help, and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"xingliu.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - only on a slip of the fingers

            meant = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean `xl {meant[0]}`?" if meant else "`xl --help` lists them all."
            raise click.UsageError(f"There is no command {args[0]}.\n{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only for shells

        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names or super().shell_complete(ctx, incomplete)


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]}, subcommand_metavar="COMMAND ...")
@click.version_option(__version__, prog_name="xl")
def xl() -> None:
    """Run an AI cloud: submit jobs, see why they wait, follow them, account for every second.

    \b
    xl up --detach               a cloud on this machine
    xl run job.yaml              a job from a file
    xl run -- python train.py    a job from one line
    xl why JOB                   why it waits and when it starts
    xl logs -f JOB               what it prints

    Every command has examples: xl COMMAND --help. Exit codes: 0 done, 1 an error.
    """


def main() -> None:
    """Run `xl`: an error is its message, then its hint on a line of its own, and exit code 1."""
    session = Session()
    try:
        sys.exit(xl.main(prog_name="xl", obj=session, standalone_mode=False) or 0)
    except Exception as error:  # noqa: BLE001 - `failed` raises again what it does not know
        from xingliu.cli.failing import failed  # noqa: PLC0415 - what goes well need not wait for it

        sys.exit(failed(error, json=session.json))
