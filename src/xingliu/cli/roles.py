"""The roles of a job: which of its ranks is whose."""

from collections.abc import Iterator
from typing import Any

from xingliu.cli.client import Client, part
from xingliu.cli.output import show_request
from xingliu.kernel.errors import BadValue

Json = dict[str, Any]
RANKS_MAX = 100


def show_each(job: Json) -> str:
    """What each of its nodes has to give; with roles, how many nodes each has."""
    roles = job.get("roles") or []
    return ", ".join(f"{role['nodes']} {role['name']}" for role in roles) if roles else show_request(job.get("resources"))


def check_role(job: Json, role: str | None) -> None:
    """Raises BadValue where the job has no such role."""
    known = [each["name"] for each in job.get("roles") or []]
    if role is not None and role not in known:
        hint = f"Its roles are {', '.join(known)}." if known else "It has none; leave --role out."
        raise BadValue(role, f"a role of job {job['name']}", hint)


def rank_in_job(job: Json, role: str | None, rank: int) -> int:
    """A rank, of a role or of the whole job, counted over the whole job. Raises BadValue."""
    check_role(job, role)
    first = 0
    for each in job.get("roles") or [] if role is not None else []:
        if each["name"] == role:
            if rank >= each["nodes"]:
                raise BadValue(str(rank), f"a rank of role {role}", f"They go from 0 to {each['nodes'] - 1}.")
            return int(first + rank)
        first += each["nodes"]
    return rank


def rank_lines(client: Client, job: Json) -> Iterator[str]:
    """Where each rank of a job with roles is, by role."""
    if not job.get("roles"):
        return
    tries = client.pages(f"/v1/jobs/{part(job['id'])}/attempts", most=RANKS_MAX * max(1, job["attempt"]))
    for found in [one for one in tries if one["number"] == job["attempt"]][:RANKS_MAX]:
        how = found.get("outcome") or ("runs" if found.get("started_us") else "starts")
        yield f"{found['role']} {found['role_rank']} on {found['node']}: {how}"
