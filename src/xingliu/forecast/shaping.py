"""Jobs of a trace as jobs of a fleet: how many nodes, how much of each, in which queue."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from xingliu.forecast.estate import Estate
from xingliu.forecast.trace import TraceJob
from xingliu.kernel.ids import ProjectId, QueueName
from xingliu.scheduling.model import Part, PendingJob
from xingliu.scheduling.room import suits
from xingliu.workloads.model import GpuRequest, Priority, ResourceRequest


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job that will be submitted, and how long it runs once it has its nodes."""

    job: PendingJob
    tenant: str
    run_us: int

    @property
    def gpus(self) -> int:
        """Over all its nodes."""
        return sum(part.replicas * (part.request.gpu.count if part.request.gpu else 0) for part in self.job.parts)

    @property
    def cpu_milli(self) -> int:
        """Over all its nodes."""
        return sum(part.replicas * part.request.cpu_milli for part in self.job.parts)


def arrivals_of(jobs: Iterable[TraceJob], estate: Estate, preemptible: Container[str] = ()) -> tuple[Arrival, ...]:
    """What each job asks of this fleet.

    A tenant's jobs go to the queue of its name, in lower case and with dashes, or to the default. Where a trace tells
    only the GPUs of a job, it takes as few nodes as can hold them, the same number on each. A job's time limit is what
    the trace says, else what it ran for: as if everybody knew. Jobs of tenants that are `preemptible` may borrow.
    """
    queues = {queue.name for queue in estate.queues}
    found = []
    for job in jobs:
        named = QueueName(re.sub(r"[^a-z0-9]+", "-", job.tenant.lower()).strip("-"))
        nodes, gpus = _split(job, estate)
        gpu = GpuRequest(gpus, job.gpu if _has(estate, job.gpu) else None) if gpus else None
        pending = PendingJob(
            id=job.id,
            name=job.id,
            project=ProjectId(f"{named or 'none'}/trace"),
            queue=named if named in queues else estate.default_queue,
            priority=Priority.NORMAL.rank,
            submitted_us=job.submitted_us,
            parts=(Part(nodes, ResourceRequest(job.cpu_milli, job.memory_bytes, gpu)),),
            time_left_us=job.run_us if job.limit_us is None else max(job.limit_us, job.run_us),
            preemptible=job.tenant in preemptible,
        )
        found.append(Arrival(pending, job.tenant, job.run_us))
    return tuple(found)


def models_missing(jobs: Iterable[TraceJob], estate: Estate) -> list[str]:
    """Models of GPU that jobs insist on and the fleet does not have; such jobs take any."""
    return sorted({job.gpu for job in jobs if job.gpu is not None and not _has(estate, job.gpu)})


def _has(estate: Estate, model: str | None) -> bool:
    return model is not None and any(suits(GpuRequest(1, model), kind.gpu) for kind in estate.kinds)


def _split(job: TraceJob, estate: Estate) -> tuple[int, int]:
    """How many nodes, and GPUs of each."""
    if not job.gpus:
        return job.nodes or 1, 0
    if job.nodes is not None:
        return job.nodes, -(-job.gpus // job.nodes)
    wanted = GpuRequest(1, job.gpu if _has(estate, job.gpu) else None)
    most = max((kind.gpus for kind in estate.kinds if suits(wanted, kind.gpu)), default=job.gpus)
    fewest = -(-job.gpus // most)
    nodes = next((count for count in range(fewest, 2 * fewest + 1) if job.gpus % count == 0), fewest)
    return nodes, -(-job.gpus // nodes)
