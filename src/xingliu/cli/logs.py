"""`xl logs`."""

import click

from xingliu.cli.client import part
from xingliu.cli.errors import CloudUnreachable
from xingliu.cli.following import FINAL, Patience
from xingliu.cli.jobs import job_argument
from xingliu.cli.reading import LogReader
from xingliu.cli.roles import check_role
from xingliu.cli.session import Session


@click.command()
@job_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, across attempts and restarts of the cloud.")
@click.option("--attempt", type=int, help="Only this attempt; default: all.")
@click.option("--role", help="Only the replicas of this role.")
@click.option("--rank", type=int, help="Only this replica, with --role by its rank in that role; default: all.")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last lines of each replica's newest log.")
@click.pass_obj
def logs(
    session: Session, /, job: str, follow: bool, attempt: int | None, role: str | None, rank: int | None, tail: int | None
) -> None:
    """Print what a job's replicas wrote.

    Lines begin with `[rank]` where there are several replicas; of a job with roles, with `[role rank]`.

    \b
    xl logs hello
    xl logs -f hello
    xl logs --rank 1 --attempt 2 train
    xl logs --role learner rl-run
    xl logs --tail 20 -f train
    """
    found = session.client.get(f"/v1/jobs/{part(job)}")
    check_role(found, role)
    job = found["id"]
    reader = LogReader(session.client, job, attempt=attempt, rank=rank, role=role)
    if tail is not None:
        reader.tail(tail)
    if follow:
        _follow(session, job, reader)
    else:
        reader.read_on()
    reader.finish()


def _follow(session: Session, job: str, reader: LogReader) -> None:
    patience, over = Patience(), False
    while not over:
        try:
            over = session.client.get(f"/v1/jobs/{part(job)}")["state"] in FINAL
            if reader.read_on():
                patience.news()
            patience.answered()
        except CloudUnreachable as lost:
            over = False
            patience.unanswered(lost)
        if not over:
            patience.rest()
