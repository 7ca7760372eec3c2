"""What a replica finds in its environment: the torchrun contract for one process a replica, and ours beside it."""

from collections.abc import Mapping, Sequence

from xingliu.kernel.units import show_instant
from xingliu.training.gang import Gang


def environment(gang: Gang, rank: int, *, node_ips: Sequence[str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of one rank but for what only its node knows (paths, visible devices).

    RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT as torchrun sets them for one process a node; several processes
    a node use the XL_ names with torchrun inside. MASTER_PORT is new for each attempt. Of a job with roles they are about
    the rank's own role: each is a world of its own, and finds the others by their names.

    Args:
        node_ips: by rank.
    """
    job, attempt, lease = gang.job, gang.attempts[rank], gang.leases[rank]
    name, number = job.spec.role_of(rank)
    own = node_ips[rank - number :][: next(role.nodes for role in job.spec.parts if role.name == name)]
    port = str(attempt.main_port)
    array = job.array
    element = {"XL_ARRAY": array.id, "XL_ARRAY_INDEX": str(array.index), "XL_ARRAY_SIZE": str(array.size)} if array else {}
    due = {"XL_SCHEDULE": job.scheduled.id, "XL_DUE": show_instant(job.scheduled.due_us)} if job.scheduled else {}
    return {
        **job.spec.env,
        **secrets,
        **_roles(gang, rank, node_ips),
        "RANK": str(number),
        "WORLD_SIZE": str(len(own)),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": attempt.main_address,
        "MASTER_PORT": port,
        "XL_NODES": str(len(own)),
        "XL_NODE_RANK": str(number),
        "XL_NODE": lease.node,
        "XL_NODE_IPS": "\n".join(own),
        "XL_GPUS_PER_NODE": str(len(lease.gpus)),
        "XL_MASTER_ADDR": attempt.main_address,
        "XL_MASTER_PORT": port,
        "XL_JOB": job.id,
        "XL_JOB_NAME": job.title,
        **element,
        **due,
        "XL_PROJECT": job.project,
        "XL_ATTEMPT": str(attempt.number),
    }


def _roles(gang: Gang, rank: int, node_ips: Sequence[str]) -> dict[str, str]:
    """Which role it has, and where to find every role: its rank 0's address, a port free there, and all its nodes."""
    spec = gang.job.spec
    if not spec.roles:
        return {}
    name, number = spec.role_of(rank)
    found = {"XL_ROLE": name, "XL_ROLE_RANK": str(number), "XL_JOB_RANK": str(rank), "XL_JOB_NODES": str(spec.all_nodes)}
    first = 0
    for role in spec.roles:
        prefix, ips = f"XL_{role.name.upper().replace('-', '_')}", node_ips[first : first + role.nodes]
        meets = gang.attempts[first]
        found |= {f"{prefix}_ADDR": meets.main_address, f"{prefix}_PORT": str(meets.main_port), f"{prefix}_IPS": "\n".join(ips)}
        first += role.nodes
    return found
