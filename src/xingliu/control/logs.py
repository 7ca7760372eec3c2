"""What replicas leave behind: their output, and the job's folder."""

from collections.abc import Iterator

from xingliu.control.ports import LogChunk, ReplicaFiles, Store, Unit
from xingliu.control.scope import Scope
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import lease_id
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.workloads.model import Attempt, Job

LOG_LARGEST_BYTES = 4 * 1024 * 1024
PATH_LONGEST = 4_096


class Logs:
    def __init__(self, store: Store, files: ReplicaFiles) -> None:
        self._store = store
        self._files = files

    def read(self, actor: Actor, name: str, *, attempt: int | None, rank: int, offset: int, limit_bytes: int) -> LogChunk:
        """One replica's output from `offset` (negative: counted back from the end), at most LOG_LARGEST_BYTES.

        `attempt` None means the newest. Raises Unknown where there is no such job or replica, Forbidden.
        """
        with self._store.read() as unit:
            job = _readable(Scope(unit, actor), name)
            found = replica_attempt(unit, job, attempt, rank)
        return self._files.read_log(lease_id(found.id), offset=offset, limit_bytes=min(limit_bytes, LOG_LARGEST_BYTES))


class Files:
    def __init__(self, store: Store, files: ReplicaFiles) -> None:
        self._store = store
        self._files = files

    def archive(self, actor: Actor, name: str, path: str) -> Iterator[bytes]:
        """The file or folder `path` of the job's folder as a tar stream. Raises Unknown, Forbidden, PathOutside."""
        with self._store.read() as unit:
            job = _readable(Scope(unit, actor), name)
        if len(path) > PATH_LONGEST:
            raise Unknown("file", path[:100])
        return self._files.archive(job.id, path)


def replica_attempt(unit: Unit, job: Job, number: int | None, rank: int) -> Attempt:
    """The attempt of that rank, with that number or the job's current one. Raises Unknown."""
    wanted = job.attempt if number is None else number
    for attempt in unit.attempts.find({"job": job.id, "number": wanted}):
        if attempt.rank == rank:
            return attempt
    raise Unknown("replica", f"of {job.id} with rank {rank} in attempt {wanted}")


def _readable(scope: Scope, name: str) -> Job:
    job = scope.job(name)
    scope.require(Verb.JOB_OUTPUT, project=job.project)
    return job
