"""What a placement becomes in the record: attempts, leases, and the event that witnesses them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import attempt_id, lease_id, replica_id, role_id
from xingliu.scheduling.model import Place, Seat
from xingliu.training.gang import event
from xingliu.workloads.model import Attempt, Job, JobState, Lease

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Placing:
    """New values to record, whole."""

    job: Job
    attempts: tuple[Attempt, ...]
    leases: tuple[Lease, ...]
    event: EventDraft


def place_job(job: Job, place: Place, *, addresses: Mapping[str, Address], cycle: int, now_us: int) -> Placing:
    """The job with its next attempt, one lease a seat; the ranks of each role meet at its address and port."""
    job = replace(job, state=JobState.STARTING, attempt=job.attempt + 1, wait=None, claim=None, generation=job.generation + 1)
    attempts = tuple(_attempt(job, seat, addresses[seat.role]) for seat in place.seats)
    leases = tuple(_lease(job, attempt, seat, now_us) for attempt, seat in zip(attempts, place.seats, strict=True))
    facts = {"number": job.attempt, "cycle": cycle, "leases": [_witnessed(lease) for lease in leases]}
    return Placing(job, attempts, leases, event("job.placed", job, now_us, facts=facts))


def _attempt(job: Job, seat: Seat, address: Address) -> Attempt:
    replica = replica_id(role_id(job.id, seat.role), seat.role_rank)
    return Attempt(attempt_id(replica, job.attempt), replica, job.id, seat.rank, job.attempt, *address)


def _lease(job: Job, attempt: Attempt, seat: Seat, now_us: int) -> Lease:
    return Lease(
        id=lease_id(attempt.id),
        attempt=attempt.id,
        job=job.id,
        tenant=job.tenant,
        project=job.project,
        queue=job.queue,
        pool=seat.pool,
        flavor=seat.flavor,
        node=seat.node,
        resources=seat.resources,
        opened_us=now_us,
        gpus=seat.gpus,
    )


def _witnessed(lease: Lease) -> Mapping[str, object]:
    """What the log tells of a lease, for those who check the leases against the log."""
    return {
        "lease": lease.id,
        "node": lease.node,
        "pool": lease.pool,
        "flavor": lease.flavor,
        "resources": dict(lease.resources),
        "gpus": list(lease.gpus),
        "opened_us": lease.opened_us,
    }
