"""Which events jobs may be told of, and the mail that tells one.

A job is deferred when it had been next - it waited for room, or room was being made for it - and now waits for something
worse: its queue's quota, nodes out of service, room that is kept for others, or jobs of higher priority; or when room was
being made for it and no longer is. It is told once in each time that it waits, however often that happens.
"""

from collections.abc import Iterable

from xingliu.control.ports import Letter
from xingliu.kernel.events import Event
from xingliu.workloads.model import Job, PendingReason

DEFERRED = "job.waiting"
TOLD_BY = {
    "job.started": ("started",),
    "job.succeeded": ("finished",),
    "job.cancelled": ("finished",),
    "job.failed": ("failed", "finished"),
    "job.timed-out": ("failed", "finished"),
    "job.preempted": ("preempted",),
    DEFERRED: ("deferred",),
}
R = PendingReason
_NEXT = frozenset({R.WAITING_FOR_CAPACITY, R.PREEMPTION_IN_PROGRESS})
_WORSE = frozenset({R.WAITING_FOR_QUOTA, R.NODES_UNHEALTHY, R.RESERVED_FOR_OTHERS, R.BEHIND_HIGHER_PRIORITY})


def defers(event: Event) -> bool:
    """Whether with this event its job waits for something worse than it did, having been next."""
    if event.type != DEFERRED:
        return False
    before, now = event.facts.get("before"), event.facts.get("reason")
    lost = before == R.PREEMPTION_IN_PROGRESS and now == R.WAITING_FOR_CAPACITY
    return lost or (before in _NEXT and now in _WORSE)


def deferred_before(earlier: Iterable[Event]) -> bool:
    """Whether the job was deferred already in this time that it waits; `earlier` are its events, newest first."""
    for event in earlier:
        if event.type == "job.placed":
            return False
        if defers(event):
            return True
    return False


def word_of(event: Event) -> str:
    """What people call it: `succeeded`, `deferred`."""
    return "deferred" if event.type == DEFERRED else event.type.removeprefix("job.")


def letter(job: Job, event: Event, *, domain: str) -> Letter:
    """What is mailed. The Message-ID is made of the event's number and the job's id: the same for every repetition."""
    lines = [
        f"Job {job.title} ({job.id}) of project {job.project}: {word_of(event)}.",
        *([_sentence(event.cause)] if event.cause else []),
        *(f"{word}: {event.facts[key]}" for key, word in _FACTS if event.facts.get(key) is not None),
        "",
        f"More: xl events {job.id}; xl {'why' if event.type == DEFERRED else 'logs'} {job.id}",
    ]
    return Letter(
        subject=f"{job.title}: {word_of(event)} ({job.project})",
        text="\n".join(lines) + "\n",
        message_id=f"<{event.seq}.{job.id}@{domain}>",
        at_us=event.at_us,
    )


_FACTS = (("exit_code", "Exit code"), ("signal", "Signal"), ("number", "Attempt"))


def _sentence(cause: str) -> str:
    told = cause[:1].upper() + cause[1:]
    return told if told.endswith(".") else f"{told}."
