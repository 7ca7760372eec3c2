"""A cycle that was decided, asked again for the sake of one job: what the next one does with it if something is changed.

A job that waits changes nothing for those behind it. So where only one job is altered, it is decided with those alone that
are placed or have room kept for them, and with those by which the order between queues goes: all that come before it are
decided as they were, and those that wait stay away.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from xingliu.forecast.change import Effect
from xingliu.kernel.ids import JobId, QueueName
from xingliu.scheduling.model import Part, PendingJob, Place, Plan, Snapshot, StayPending
from xingliu.scheduling.room import Stock
from xingliu.scheduling.running import Running
from xingliu.workloads.model import GpuRequest, PendingReason, ResourceRequest, Wait

Decide = Callable[[Snapshot], Plan]
ALL_MAX = 1_000
NEVER_FIRST = (PendingReason.INVALID_REQUEST, PendingReason.HELD, PendingReason.EXCEEDS_LIMIT)


NOWHERE = Part(1, ResourceRequest(0, 0, GpuRequest(1, model="")))


class Scene:
    """A snapshot with `plan`, which is what `decide` makes of it."""

    def __init__(self, snapshot: Snapshot, plan: Plan, decide: Decide) -> None:
        nodes, running = Stock.of(snapshot.nodes), Running.of(snapshot.running)
        self.snapshot, self.plan, self._decide = replace(snapshot, nodes=nodes, running=running), plan, decide
        self.jobs = {job.id: job for job in snapshot.pending}
        stays = plan.stays
        self.waits: dict[JobId, Wait] = {stay.job: stay.wait for stay in stays}
        self._acting = {place.job for place in plan.placements} | {evict.preemptor for evict in plan.evictions}
        self._acting |= {stay.job for stay in stays if stay.claim is not None}
        self._acting |= {job.id for job in snapshot.pending if job.claim is not None}
        self._blocking = {JobId(str(ahead[0])) for stay in stays if (ahead := _behind(stay.wait))}
        self._fronts: dict[QueueName, JobId] = {}
        self._alike: dict[object, JobId] = {}
        self._lasts: dict[object, JobId | None] = {}
        for stay in stays:
            job = self.jobs[stay.job]
            self._alike.setdefault(_likeness(job), job.id)
            if stay.wait.reason not in NEVER_FIRST:
                self._fronts.setdefault(job.queue, job.id)
        in_turn = [job for job in snapshot.pending if job.may_start(snapshot.now_us)] if self._acting else []
        borrowing = {stay.job for stay in stays if stay.borrows}
        self._first = _two_first(in_turn)
        self._first_borrowers = _two_first(job for job in in_turn if job.id in borrowing)

    @property
    def is_large(self) -> bool:
        """Whether too many wait to decide all of them again for one answer."""
        return len(self.jobs) > ALL_MAX

    def needs_all(self, altered: PendingJob) -> bool:
        """Whether others may be decided otherwise, before it, when it leaves its place for that of `altered`."""
        job, now_us = self.jobs[altered.id], self.snapshot.now_us
        moves = altered.queue != job.queue or altered.may_start(now_us) != job.may_start(now_us)
        if not moves and altered.preemptible == job.preemptible:
            return bool(self._acting) and altered.preemptible and _leads(altered, self._first_borrowers)
        if job.id in self._acting or job.id in self._blocking:
            return True
        led = any(job in first.get(job.queue, ()) for first in (self._first, self._first_borrowers))
        return bool(self._acting) and (led or _leads(altered, self._first) or _leads(altered, self._first_borrowers))

    def with_job(self, altered: PendingJob) -> Effect | None:
        """What becomes of the waiting job if it is this instead; None where it goes on waiting.

        Asked alone first: what would wait even then waits. Not so where others are stopped now, which may leave quota for it
        too; where too many wait that is not looked at.
        """
        alone = self.is_large or not self.plan.evictions
        if alone and self._effect(replace(self.snapshot, pending=(altered,)), altered.id) is None:
            return None
        others = self.jobs.values() if self.needs_all(altered) else self._who_matters(altered)
        pending = (*(other for other in others if other.id != altered.id), altered)
        return self._effect(replace(self.snapshot, pending=pending), altered.id)

    def with_cloud(self, changed: Snapshot, job: JobId) -> Effect | None:
        """What becomes of it in a cloud that is changed for all; None where it goes on waiting."""
        return self._effect(changed, job)

    def submitted(self, job: PendingJob) -> Place | StayPending:
        """What the next cycle makes of a job that is not here yet. Where it waits, who else waits is not counted."""
        return _decision(self._decide(replace(self.snapshot, pending=(*self._who_matters(job), job))), job.id)

    def last_like(self, job: PendingJob) -> JobId | None:
        """Of those of its queue and priority that wait and ask for the same, the one that was submitted last."""
        asked = _same_in_queue(job)
        if asked not in self._lasts:
            found = [other for other in self.jobs.values() if _same_in_queue(other) == asked and other.id in self.waits]
            self._lasts[asked] = max(found, key=_submitted).id if found else None
        return self._lasts[asked]

    def _who_matters(self, altered: PendingJob) -> Iterator[PendingJob]:
        """For others a queue's first matter by their place alone: they wait, and ask for nothing here."""
        alike, front = self._alike.get(_likeness(altered)), self._fronts.get(altered.queue)
        whole = {*self._acting, *self._blocking, *(of for of in (alike, front) if of is not None)}
        if any(self.jobs[job].preemptible for job in self._acting):
            whole |= {job.id for jobs in self._first_borrowers.values() for job in jobs}
        yield from (self.jobs[job] for job in whole)
        for first in (job for jobs in self._first.values() for job in jobs if job.id not in whole):
            yield replace(first, parts=(NOWHERE,))

    def _effect(self, snapshot: Snapshot, job: JobId) -> Effect | None:
        plan = self._decide(snapshot)
        if isinstance(_decision(plan, job), Place):
            return Effect.STARTS
        return Effect.PREEMPTS if any(evict.preemptor == job for evict in plan.evictions) else None


def _decision(plan: Plan, job: JobId) -> Place | StayPending:
    return next(each for each in plan.decisions if each.job == job)


def _two_first(jobs: Iterable[PendingJob]) -> dict[QueueName, list[PendingJob]]:
    """Of each queue the job that was submitted first, and the one after it: where one leaves, the other leads."""
    found: dict[QueueName, list[PendingJob]] = {}
    for job in sorted(jobs, key=_submitted):
        found.setdefault(job.queue, []).append(job)
    return {queue: of_queue[:2] for queue, of_queue in found.items()}


def _leads(job: PendingJob, first: Mapping[QueueName, Sequence[PendingJob]]) -> bool:
    """Whether its queue's turn among the others comes by it."""
    return all(_submitted(job) < _submitted(other) for other in first.get(job.queue, ()) if other.id != job.id)


def _submitted(job: PendingJob) -> tuple[int, JobId]:
    return job.submitted_us, job.id


def _behind(wait: Wait) -> list[object]:
    """Those it may not pass."""
    ahead = wait.numbers.get("ahead") if wait.reason is PendingReason.RESERVED_FOR_OTHERS else None
    return list(ahead) if isinstance(ahead, list | tuple) else []


def _same_in_queue(job: PendingJob) -> object:
    return job.queue, job.priority, job.preemptible, job.parts


def _likeness(job: PendingJob) -> object:
    """Jobs that are alike in this have others stopped alike."""
    return job.queue, job.priority, job.preemptible, job.parts, job.user, job.project
