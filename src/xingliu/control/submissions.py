"""Submitting: what would happen to a job file, and making it happen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from xingliu.control.actors import actor_of
from xingliu.control.advising import Advising
from xingliu.control.dependencies import ended
from xingliu.control.discretion import Sees, discreet, unnamed
from xingliu.control.errors import Forbidden, HasSchedule, NoMailServer, NothingToWaitFor, TooMany
from xingliu.control.forecasts import Forecast
from xingliu.control.ports import Store, Unit
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.control.world import World, pending_job
from xingliu.fleet.errors import NotALeaf
from xingliu.fleet.model import NodeState
from xingliu.fleet.quote import Quote, quote, together
from xingliu.forecast.model import Verdict, WhatIf
from xingliu.kernel.clock import Clock
from xingliu.kernel.documents import Document
from xingliu.kernel.errors import Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import ArrayId, BlobId, FlavorName, Ids, QueueName, SecretId, element_id, replica_id, role_id
from xingliu.kernel.problems import InvalidDocument
from xingliu.kernel.units import show_duration
from xingliu.scheduling.deadlines import Due, due
from xingliu.scheduling.model import Seat
from xingliu.tenancy.model import Actor, Project
from xingliu.tenancy.roles import Verb
from xingliu.training.gang import event
from xingliu.workloads.arrays import Array, ArrayPart, indices_of, write_spans
from xingliu.workloads.dependencies import After, AfterKind, judge
from xingliu.workloads.model import Job, JobSpec, JobState, Replica, Role, RoleSpec, Scheduled, Wait
from xingliu.workloads.schedules import Occurrence
from xingliu.workloads.spec import read_job, with_keys
from xingliu.workloads.specs import keep_spec

LIVE_JOBS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What would happen to a job file if it were submitted now."""

    spec: JobSpec
    verdict: Verdict
    wait: Wait | None
    forecast: Forecast
    quote: Quote | None
    due: Due | None


class Submissions:
    """`check_space` raises DiskFull where the cloud could not even keep a job's record."""

    def __init__(
        self,
        store: Store,
        world: World,
        advising: Advising,
        clock: Clock,
        ids: Ids,
        *,
        wake: Callable[[], None],
        check_space: Callable[[], None],
    ) -> None:
        self._store, self._world, self._advising, self._clock, self._ids = store, world, advising, clock, ids
        self._wake, self._check_space = wake, check_space

    def plan(
        self,
        actor: Actor,
        document: Mapping[str, object],
        *,
        project: str | None = None,
        changes: Sequence[Mapping[str, object]] = (),
    ) -> list[JobPlan]:
        """What would happen to the job as it is, then with each of these changes of its keys; nothing is recorded.

        Raises InvalidDocument, Unknown, Forbidden, NotALeaf.
        """
        now_us = self._clock.now_us()
        documents = [(document, "the job file"), *((with_keys(document, change), _called(change)) for change in changes)]
        with self._store.read() as unit:
            jobs = [self._planned(unit, actor, Document.of(*asked), project, now_us) for asked in documents]
            sees = partial(self._world.shows, Scope(unit, actor).visible_projects())
        answers = self._advising.what_if([pending_job(job) for job in jobs])
        return [self._plan_of(job, *answer, sees, now_us) for job, answer in zip(jobs, answers, strict=True)]

    def _planned(self, unit: Unit, actor: Actor, document: Document, project: str | None, now_us: int) -> Job:
        spec = read_job(document)
        assert isinstance(document.value, Mapping), "else it could not be read"
        _check_deadline(spec, document.value, now_us)
        return self.new_job(unit, actor, spec, document.value, project, None, now_us)

    def _plan_of(self, job: Job, answer: WhatIf, forecast: Forecast, sees: Sees, now_us: int) -> JobPlan:
        wait = unnamed(answer.wait) if answer.wait is not None else None
        priced = self._quote(job.spec, answer.seats)
        return JobPlan(job.spec, answer.verdict, wait, discreet(forecast, sees), priced, due(pending_job(job), now_us))

    def submit(
        self,
        actor: Actor,
        document: Mapping[str, object],
        *,
        project: str | None = None,
        blob: BlobId | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Record a job, PENDING, or all elements of an array, of which the first is given. The same key gives the same.

        Raises InvalidDocument, HasSchedule, Unknown, NothingToWaitFor, Forbidden, NotALeaf, NoMailServer, DiskFull, TooMany,
        IdempotencyConflict.
        """
        spec = read_job(Document.of(document))
        if spec.schedule is not None:
            raise HasSchedule(spec.name)
        self._check_room(max(1, sum(map(len, spec.array))))
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            job = self.new_job(unit, actor, spec, document, project, blob, now_us)
            request = {"document": document, "project": job.project, "blob": blob}
            if (earlier := made_before(unit, actor, idempotency_key, request)) is not None:
                return Scope(unit, actor).job(earlier)
            _check_deadline(spec, document, now_us)
            jobs = [job] if not spec.array else _elements(unit, job)
            _record(unit, jobs)
            keep_receipt(unit, actor, idempotency_key, request, jobs[0].id, now_us)
        self._wake()
        return jobs[0]

    def submit_together(
        self, actor: Actor, documents: Sequence[Mapping[str, object]], *, project: str | None = None
    ) -> list[Job]:
        """Record a job for each of them, all or none, in one transaction; none is an array. Raises what `submit` raises."""
        specs = [read_job(Document.of(document)) for document in documents]
        self._check_room(len(specs))
        now_us = self._clock.now_us()
        with self._store.write() as unit:
            each = zip(specs, documents, strict=True)
            jobs = [self.new_job(unit, actor, spec, document, project, None, now_us) for spec, document in each]
            _record(unit, jobs)
        self._wake()
        return jobs

    def submit_due(self, unit: Unit, of: Occurrence, now_us: int) -> Job:
        """Record what a schedule submits, in the transaction that records its instant. Raises as `submit`, before any write."""
        schedule = of.schedule
        self._check_room(max(1, sum(map(len, schedule.kept.spec.array))))
        user = unit.users.get(schedule.user)
        if user is None or user.revoked_us is not None:
            raise Forbidden(schedule.user, Verb.JOB_SUBMIT, schedule.project)
        file = schedule.kept
        _check_deadline(file.spec, file.document, now_us)
        job = self.new_job(unit, actor_of(user), file.spec, file.document, schedule.project, schedule.blob, now_us)
        before = () if of.waits_for is None else (After(AfterKind.ANY, of.waits_for, schedule.name),)
        job = replace(job, after=(*before, *job.after), scheduled=Scheduled(schedule.id, of.at_us))
        jobs = [job] if not job.spec.array else _elements(unit, job)
        _record(unit, jobs)
        return jobs[0]

    def _check_room(self, count: int) -> None:
        """Raises DiskFull, TooMany."""
        self._check_space()
        if len(self._world.jobs) + count > LIVE_JOBS_MAX:
            raise TooMany("unfinished jobs", LIVE_JOBS_MAX, "Wait until some have ended, or stop some: `xl stop`.")

    def new_job(
        self,
        unit: Unit,
        actor: Actor,
        spec: JobSpec,
        document: Mapping[str, object],
        project_name: str | None,
        blob: BlobId | None,
        now_us: int,
    ) -> Job:
        """The job this file means for this actor; nothing is written. Raises Unknown, NothingToWaitFor, Forbidden, NotALeaf."""
        scope = Scope(unit, actor)
        project = scope.project(spec.project or project_name)
        scope.require(Verb.JOB_SUBMIT, project=project.id)
        self._check_references(unit, spec, project, blob)
        return Job(
            id=self._ids.job(now_us),
            tenant=project.tenant,
            project=project.id,
            user=actor.user,
            queue=queue_of(self._world, spec, project),
            kept=keep_spec(document, spec),
            state=JobState.PENDING,
            submitted_us=now_us,
            blob=blob,
            after=_resolved(unit, scope, spec, project),
            not_before_us=None if spec.not_before is None else spec.not_before.instant_us(now_us),
        )

    def _check_references(self, unit: Unit, spec: JobSpec, project: Project, blob: BlobId | None) -> None:
        if spec.notify is not None and spec.notify.email and self._world.settings.mail is None:
            raise NoMailServer
        for name in spec.secrets:
            if unit.secrets.get(SecretId(f"{project.id}/{name}")) is None:
                raise Unknown("secret", name)
        if blob is not None and unit.blobs.get(f"{project.id}:{blob}") is None:
            raise Unknown("blob", blob)

    def _quote(self, spec: JobSpec, seats: Sequence[Seat]) -> Quote | None:
        """At the flavor that each of its parts would get; before it has one, at the dearest it could."""
        flavors = {seat.role: seat.flavor for seat in seats}
        quotes = [self._quote_part(spec, role, flavors.get(role.name)) for role in spec.parts]
        priced = [each for each in quotes if each is not None]
        return together(priced, nodes=spec.all_nodes) if len(priced) == len(quotes) else None

    def _quote_part(self, spec: JobSpec, role: RoleSpec, flavor: FlavorName | None) -> Quote | None:
        gpus = role.resources.gpu.count if role.resources.gpu else 0
        present = {node.flavor for node in list(self._world.nodes.values()) if node.state is not NodeState.RETIRED}
        candidates = [f for f in self._world.flavors.values() if f.name in present and (not gpus or f.gpu)]
        if flavor is not None:
            candidates = [self._world.flavors[flavor]]
        quotes = [
            quote(
                candidate,
                cpu_milli=role.resources.cpu_milli,
                gpus=gpus,
                replicas=role.nodes,
                time_limit_us=spec.time_limit_us,
                currency=self._world.settings.currency,
            )
            for candidate in candidates
        ]
        return max(quotes, key=lambda found: found.per_hour_minor, default=None)


def _called(change: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in change.items()) or "no change"


def _check_deadline(spec: JobSpec, document: Mapping[str, object], now_us: int) -> None:
    """Raises InvalidDocument where it is past."""
    if spec.deadline_us is not None and spec.deadline_us <= now_us:
        late = show_duration(now_us - spec.deadline_us)
        of = Document.of(document)
        problem = of.problem(("deadline",), f"deadline: it passed {late} ago", "Write a later one, or leave it out.")
        raise InvalidDocument(of.source, (problem,))


def _resolved(unit: Unit, scope: Scope, spec: JobSpec, project: Project) -> tuple[After, ...]:
    """The ends of jobs and arrays of its project that are meant now, and what is known of them.

    Raises NothingToWaitFor, AmbiguousName.

    They were all submitted before, so jobs never wait for each other in a circle.
    """
    found = [_meant(scope, word.name, project) for word in spec.after]
    names = (one.name if isinstance(one, Array) else one.title for one in found)
    after = [After(word.kind, one.id, name) for word, one, name in zip(spec.after, found, names, strict=True)]
    return judge(after, ended(unit, (one.id for one in after)))


def _meant(scope: Scope, name: str, project: Project) -> Job | Array:
    try:
        return scope.job_or_array(name, project=project.id)
    except Unknown:
        raise NothingToWaitFor(name, project.id) from None


def _record(unit: Unit, jobs: Sequence[Job]) -> None:
    """Write them with their files, roles and replicas."""
    unit.specs.put(*{job.spec_id: job.kept for job in jobs}.values())
    roles = [
        Role(role_id(one.id, part.name), one.id, part.name, part.nodes, gang=True) for one in jobs for part in one.spec.parts
    ]
    unit.jobs.put(*jobs)
    unit.roles.put(*roles)
    unit.replicas.put(
        *(Replica(replica_id(role.id, rank), role.id, role.job, rank) for role in roles for rank in range(role.replicas))
    )
    unit.events.append(*(_submitted(one) for one in jobs))


def _elements(unit: Unit, job: Job) -> list[Job]:
    """The array that a job's file asks for, named by the job's id, and a job for each of its indices."""
    spans, array_id = job.spec.array, ArrayId(job.id)
    indices = sorted(indices_of(spans))
    array = Array(
        id=array_id,
        tenant=job.tenant,
        project=job.project,
        user=job.user,
        queue=job.queue,
        name=job.name,
        indices=write_spans(spans),
        size=len(indices),
        submitted_us=job.submitted_us,
        max_parallel=job.spec.max_parallel,
    )
    unit.arrays.put(array)
    facts = {"name": array.name, "indices": array.indices, "size": array.size, "max_parallel": array.max_parallel}
    told = event("array.submitted", job, job.submitted_us, actor=job.user, facts=facts)
    unit.events.append(told)
    digits = len(str(indices[-1]))
    parts = (ArrayPart(array_id, index, array.size, array.max_parallel) for index in indices)
    return [replace(job, id=element_id(array_id, part.index, digits=digits), array=part) for part in parts]


def _submitted(job: Job) -> EventDraft:
    facts = {"name": job.title, **({} if job.array is None else {"array": job.array.id, "index": job.array.index})}
    return event("job.submitted", job, job.submitted_us, actor=job.user, facts=facts)


def queue_of(world: World, spec: JobSpec, project: Project) -> QueueName:
    """The leaf in which a job waits. Raises Unknown, NotALeaf."""
    name = QueueName(spec.queue) if spec.queue else project.queue or world.settings.default_queue
    if name not in world.queues:
        raise Unknown("queue", name)
    if below := sorted(queue.name for queue in world.queues.values() if queue.parent == name):
        raise NotALeaf(name, ", ".join(below[:10]))
    return name
