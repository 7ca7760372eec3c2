"""One type a kind of name, and the port that makes new ones.

Names that people choose are ids themselves where they are unique by scope: a project is `tenant/project`, a secret
`tenant/project/NAME`. What the cloud names, it names so that ids sort by creation (`Ids`), or derives: a lease's id
says whose it is (`JOB.ROLE.RANK.ATTEMPT`), so no chance is needed to make it and none can collide.
"""

from typing import NewType, Protocol

TenantId = NewType("TenantId", str)
ProjectId = NewType("ProjectId", str)
UserId = NewType("UserId", str)
KeyId = NewType("KeyId", str)
SecretId = NewType("SecretId", str)
FlavorName = NewType("FlavorName", str)
PoolName = NewType("PoolName", str)
NodeName = NewType("NodeName", str)
QueueName = NewType("QueueName", str)
JobId = NewType("JobId", str)
ArrayId = NewType("ArrayId", str)
ScheduleId = NewType("ScheduleId", str)
SpecId = NewType("SpecId", str)
RoleId = NewType("RoleId", str)
ReplicaId = NewType("ReplicaId", str)
AttemptId = NewType("AttemptId", str)
LeaseId = NewType("LeaseId", str)
BlobId = NewType("BlobId", str)


class Ids(Protocol):
    """Where chance comes from."""

    def job(self, now_us: int) -> JobId:
        """A new job id; later instants sort after earlier ones."""
        ...

    def secret(self) -> str:
        """256 bits of chance as text, for a key that is shown once."""
        ...

    def short(self) -> str:
        """A short name for what is only ever listed, such as a key."""
        ...


def role_id(job: JobId, role: str) -> RoleId:
    return RoleId(f"{job}.{role}")


def replica_id(role: RoleId, rank: int) -> ReplicaId:
    return ReplicaId(f"{role}.{rank}")


def attempt_id(replica: ReplicaId, number: int) -> AttemptId:
    return AttemptId(f"{replica}.{number}")


def lease_id(attempt: AttemptId) -> LeaseId:
    """An attempt holds one lease: it is bound once, and a new binding is a new attempt."""
    return LeaseId(attempt)


def element_id(array: ArrayId, index: int, *, digits: int) -> JobId:
    """The job that is one element of an array; with as many `digits` as its largest index has, ids sort by index."""
    return JobId(f"{array}-{index:0{digits}d}")
