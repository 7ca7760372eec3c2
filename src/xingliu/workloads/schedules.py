"""Schedules: jobs of one file, submitted again and again."""

from dataclasses import dataclass, replace

from xingliu.kernel.ids import BlobId, ProjectId, ScheduleId, SpecId, TenantId, UserId
from xingliu.workloads.model import KeptSpec
from xingliu.workloads.timetables import Overlap, Timetable, last_due_us, next_due_us

QUEUED_MAX = 10


@dataclass(frozen=True, slots=True)
class Schedule:
    """Submits its file whenever its timetable is due, as its user.

    Attributes:
        kept: the file without its schedule.
        next_us: when it is due next; None where it never is any more.
        last_us: the due instant that was dealt with last, whatever became of it; `message` says why nothing was submitted then.
        submitted: how many jobs and arrays it submitted; `unfinished` are those not known to be over, the oldest first.
        held: nothing is submitted; what was due meanwhile is not made up for.
    """

    id: ScheduleId
    tenant: TenantId
    project: ProjectId
    user: UserId
    name: str
    timetable: Timetable
    kept: KeptSpec
    created_us: int
    next_us: int | None
    blob: BlobId | None = None
    held: bool = False
    last_us: int | None = None
    message: str = ""
    submitted: int = 0
    unfinished: tuple[str, ...] = ()

    @property
    def spec_id(self) -> SpecId:
        return self.kept.id

    def is_due(self, now_us: int) -> bool:
        return not self.held and self.next_us is not None and self.next_us <= now_us


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due instant, and what to do about it.

    Attributes:
        schedule: as it is afterwards, but for what is submitted.
        at_us: the instant; those that passed before it since the last one are not made up for.
        why_not: why nothing is submitted; empty where something is.
        waits_for: the job or array that has to be over before.
    """

    schedule: Schedule
    at_us: int
    why_not: str = ""
    waits_for: str | None = None


def occur(schedule: Schedule, now_us: int, unfinished: tuple[str, ...]) -> Occurrence:
    """What comes of a schedule that is due at `now_us`; `unfinished` are the jobs and arrays of it that are not over yet."""
    assert schedule.next_us is not None, "only what is due has an instant"
    at_us = last_due_us(schedule.timetable, schedule.next_us, now_us)
    next_us = next_due_us(schedule.timetable, now_us)
    later = replace(schedule, next_us=next_us, last_us=at_us, message="", unfinished=unfinished)
    if not unfinished:
        return Occurrence(later, at_us)
    if schedule.timetable.overlap is Overlap.QUEUE and len(unfinished) <= QUEUED_MAX:
        return Occurrence(later, at_us, waits_for=unfinished[-1])
    more = f", and {QUEUED_MAX} more wait behind it" if schedule.timetable.overlap is Overlap.QUEUE else ""
    return skipped(Occurrence(later, at_us), f"{unfinished[0]}, which it submitted before, is not over{more}")


def skipped(of: Occurrence, why: str) -> Occurrence:
    """Nothing is submitted at that instant."""
    return replace(of, schedule=replace(of.schedule, message=why), why_not=why, waits_for=None)


def released(schedule: Schedule, now_us: int) -> Schedule:
    """Free to go on, from the next instant that was not dealt with yet."""
    return replace(schedule, held=False, next_us=next_due_us(schedule.timetable, max(now_us, schedule.last_us or 0)))
