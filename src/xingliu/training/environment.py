"""What a replica finds in its environment: the torchrun contract for one process a replica, and ours beside it."""

from collections.abc import Mapping, Sequence

from xingliu.training.gang import Gang


def environment(gang: Gang, rank: int, *, node_ips: Sequence[str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of one rank but for what only its node knows (paths, visible devices).

    RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT as torchrun sets them for one process a node; several processes
    a node use the XL_ names with torchrun inside. MASTER_PORT is new for each attempt.
    """
    job, attempt, lease = gang.job, gang.attempts[rank], gang.leases[rank]
    port = str(attempt.main_port)
    array = job.array
    element = {"XL_ARRAY": array.id, "XL_ARRAY_INDEX": str(array.index), "XL_ARRAY_SIZE": str(array.size)} if array else {}
    return {
        **job.spec.env,
        **secrets,
        "RANK": str(rank),
        "WORLD_SIZE": str(len(gang.attempts)),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": attempt.main_address,
        "MASTER_PORT": port,
        "XL_NODES": str(len(gang.attempts)),
        "XL_NODE_RANK": str(rank),
        "XL_NODE": lease.node,
        "XL_NODE_IPS": "\n".join(node_ips),
        "XL_GPUS_PER_NODE": str(len(lease.gpus)),
        "XL_MASTER_ADDR": attempt.main_address,
        "XL_MASTER_PORT": port,
        "XL_JOB": job.id,
        "XL_JOB_NAME": job.title,
        **element,
        "XL_PROJECT": job.project,
        "XL_ATTEMPT": str(attempt.number),
    }
