"""`xl down`."""

import time
from pathlib import Path

import click

from xingliu.cli.client import Client, part
from xingliu.cli.credentials import read_credentials
from xingliu.cli.homes import home_of, home_option
from xingliu.cli.output import note, print_json
from xingliu.cli.session import Session, json_option
from xingliu.compose.settings import UpSettings
from xingliu.compose.supervise import down as bring_down

STOP_LOOK_S = 0.2


@click.command()
@home_option
@click.option("--stop-jobs", is_flag=True, help="First stop every job, and wait until all have ended.")
@json_option
@click.pass_obj
def down(session: Session, home: Path | None, stop_jobs: bool) -> None:
    """Stop the cloud on this machine; its jobs go on.

    The next `xl up` takes them over, and accounts for every second between.

    \b
    xl down
    xl down --stop-jobs
    """
    settings = UpSettings(home_of(home))
    stopped = _stop_jobs(Client(read_credentials(settings.client_file))) if stop_jobs else 0
    bring_down(settings)
    if session.json:
        print_json({"home": str(settings.home), "stopped_jobs": stopped})
    else:
        click.echo(f"The cloud in {settings.home} is down; its jobs {'were stopped' if stop_jobs else 'go on'}.")


def _stop_jobs(client: Client) -> int:
    """Stop every job that is not over and wait for the last; how many there were."""
    asked: set[str] = set()
    while jobs := list(client.pages("/v1/jobs", active=True)):
        for job in jobs:
            if job["id"] not in asked:
                asked.add(job["id"])
                client.post(f"/v1/jobs/{part(job['id'])}:stop")
        note(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} still to end")
        time.sleep(STOP_LOOK_S)
    return len(asked)
