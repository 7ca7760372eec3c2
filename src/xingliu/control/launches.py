"""What should run, from what is recorded: desired replicas with all that their launch needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from xingliu.control.errors import CannotUnseal, SecretGone
from xingliu.control.ports import DesiredReplica, Launch, Launcher, Sealer, Stop, Store
from xingliu.control.world import World
from xingliu.kernel.ids import LeaseId, ProjectId, SecretId
from xingliu.training.environment import environment
from xingliu.training.gang import Gang
from xingliu.workloads.model import Job, JobState, StopWhy
from xingliu.workloads.records import Phase, ReplicaRecord


class Launches:
    """Builds each launch once. What cannot be built is never started: it is asked to stop, and its record says why.

    So its lease, too, is released by the launcher's word that nothing of it is left. What runs already needs no launch.
    """

    def __init__(self, store: Store, world: World, launcher: Launcher, sealer: Sealer) -> None:
        self._store, self._world, self._launcher, self._sealer = store, world, launcher, sealer
        self._launches: dict[LeaseId, Launch] = {}
        self._unbuilt: dict[LeaseId, str] = {}
        self._uids: dict[ProjectId, int] = {}

    def desired(self, gangs: Sequence[Gang]) -> list[DesiredReplica]:
        """Every replica whose lease is open, in the state its job wants it in."""
        wanted: list[DesiredReplica] = []
        for gang in gangs:
            stop = _stop(gang.job)
            self._build(gang)
            for lease in gang.leases:
                launch = self._launches.get(lease.id)
                if launch is not None and lease.released_us is None:
                    never = Stop("SIGKILL", lease.opened_us) if lease.id in self._unbuilt else None
                    wanted.append(DesiredReplica(lease.id, launch, never or stop))
        named = {replica.lease for replica in wanted}
        self._launches = {lease: launch for lease, launch in self._launches.items() if lease in named}
        self._unbuilt = {lease: why for lease, why in self._unbuilt.items() if lease in named}
        return wanted

    def explained(self, records: Iterable[ReplicaRecord]) -> list[ReplicaRecord]:
        """The records, those of launches that could not be built as what they are."""
        return [_failed(record, self._unbuilt[record.lease]) if record.lease in self._unbuilt else record for record in records]

    def _build(self, gang: Gang) -> None:
        missing = [lease for lease in gang.leases if lease.released_us is None and lease.id not in self._launches]
        if not missing:
            return
        uid, python, declared = self._uid(gang.job.project), *self._interpreter(gang.job.spec.python)
        try:
            secrets = self._secrets(gang.job)
        except (CannotUnseal, SecretGone) as error:
            secrets = {}
            self._unbuilt |= {lease.id: f"{error} {error.advice()}" for lease in missing if lease.started_us is None}
        ips = [self._launcher.address(lease.node)[0] for lease in gang.leases]
        for rank, lease in enumerate(gang.leases):
            if lease in missing:
                launch = _launch(gang, rank, uid=uid, secrets=secrets, python=python, node_ips=ips)
                emulated = any(device.emulated for device in self._world.nodes[lease.node].devices)
                self._launches[lease.id] = replace(launch, python_declared=declared, gpus_emulated=emulated)

    def _uid(self, project_id: ProjectId) -> int:
        """Read once: a project keeps its uid, and is never deleted."""
        if project_id not in self._uids:
            with self._store.read() as unit:
                project = unit.projects.get(project_id)
                assert project is not None, "projects are never deleted"
                self._uids[project_id] = project.uid
        return self._uids[project_id]

    def _secrets(self, job: Job) -> dict[str, str]:
        """The values of the secrets the job names. Raises CannotUnseal, SecretGone."""
        if not job.spec.secrets:
            return {}
        with self._store.read() as unit:
            found = {name: unit.secrets.get(SecretId(f"{job.project}/{name}")) for name in job.spec.secrets}
        values = {}
        for name, secret in found.items():
            if secret is None:
                raise SecretGone(name)
            values[name] = self._sealer.unseal(secret.id, secret.sealed)
        return values

    def _interpreter(self, python: str | None) -> tuple[str | None, bool]:
        """(the path behind a name that the operator file gives, True); any other word is for the node to find, False."""
        declared = self._world.settings.document.get("interpreters")
        if isinstance(declared, Mapping) and python in declared:
            return str(declared[python]), True
        return python, False


def _stop(job: Job) -> Stop | None:
    if job.state is not JobState.STOPPING or job.kill_at_us is None:
        return None
    signal = "SIGKILL" if job.stop_why is StopWhy.RANK_ENDED else job.spec.checkpoint.signal
    return Stop(signal, job.kill_at_us)


def _launch(gang: Gang, rank: int, *, uid: int, secrets: dict[str, str], python: str | None, node_ips: Sequence[str]) -> Launch:
    job, lease = gang.job, gang.leases[rank]
    name, _ = job.spec.role_of(rank)
    role = next(role for role in job.spec.parts if role.name == name)
    request = role.resources
    return Launch(
        lease=lease.id,
        job=job.id,
        project=job.project,
        node=lease.node,
        rank=rank,
        uid=uid,
        script=role.run,
        setup=job.spec.setup,
        environment=environment(gang, rank, node_ips=node_ips, secrets=secrets),
        secrets=tuple(secrets.values()),
        python=python,
        cpu_milli=request.cpu_milli,
        memory_bytes=request.memory_bytes,
        shm_bytes=request.shm_bytes,
        gpus=lease.gpus,
        blob=job.blob,
        checkpoint_path=job.spec.checkpoint.path,
    )


def _failed(record: ReplicaRecord, why: str) -> ReplicaRecord:
    return replace(record, phase=Phase.LAUNCH_FAILED, exit_code=None, signal=None, message=why) if record.over else record
