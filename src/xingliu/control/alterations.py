"""Another request for a job that waits: what it asks for changes, its place in line does not."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from xingliu.control.errors import NotChangeable, RoomBeingMade
from xingliu.control.ports import Store
from xingliu.control.scope import Scope
from xingliu.control.submissions import queue_of
from xingliu.control.world import World
from xingliu.kernel.clock import Clock
from xingliu.kernel.documents import Document
from xingliu.kernel.errors import BadValue, Unknown
from xingliu.kernel.ids import ProjectId, replica_id, role_id
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.training.gang import event
from xingliu.workloads.model import MAIN_ROLE, Job, JobState, Replica, Role
from xingliu.workloads.spec import read_job
from xingliu.workloads.specs import keep_spec

KEYS = ("queue", "nodes", "time_limit", "priority", "preemptible", "resources")


class Alterations:
    """`wake` asks for a cycle soon."""

    def __init__(self, store: Store, world: World, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._store, self._world, self._clock, self._wake = store, world, clock, wake

    def change(self, actor: Actor, name: str, keys: Mapping[str, object]) -> Job:
        """The waiting job with those keys of its file: KEYS; of `resources`, those that are given.

        Raises Unknown, Forbidden, NotChangeable, RoomBeingMade, BadValue, InvalidDocument, NotALeaf.
        """
        for key in keys:
            if key not in KEYS:
                way_out = f"Change {', '.join(KEYS)}; or stop it and run another."
                raise BadValue(key, "a key that can be changed of a job that waits", way_out)
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            job = scope.job(name)
            scope.require(Verb.JOB_SUBMIT, project=job.project)
            if job.state is not JobState.PENDING:
                raise NotChangeable(job.name, job.state)
            if job.claim is not None and job.claim.by_eviction:
                raise RoomBeingMade(job.name)
            project = unit.projects.get(ProjectId(job.project))
            if project is None:
                raise Unknown("project", job.project)
            document = _merged(job.kept.document, keys)
            spec = read_job(Document.of(document))
            queue = queue_of(self._world, spec, project) if "queue" in keys else job.queue
            kept = keep_spec(document, spec)
            changed = replace(job, kept=kept, queue=queue, wait=None, generation=job.generation + 1)
            unit.specs.put(kept)
            unit.jobs.put(changed)
            if spec.nodes != job.spec.nodes:
                role = Role(role_id(job.id, MAIN_ROLE), job.id, MAIN_ROLE, spec.nodes, gang=True)
                unit.roles.put(role)
                unit.replicas.put(*(Replica(replica_id(role.id, rank), role.id, job.id, rank) for rank in range(spec.nodes)))
            unit.events.append(event("job.changed", changed, now_us, actor=actor.user, facts=dict(keys)))
        self._wake()
        return changed


def _merged(document: Mapping[str, object], keys: Mapping[str, object]) -> dict[str, object]:
    merged = {**document, **keys}
    before, after = document.get("resources"), keys.get("resources")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        merged["resources"] = {**before, **after}
    return merged
