"""Expectations with their sentences."""

from collections.abc import Mapping, Sequence

from xingliu.forecast.history import Guess
from xingliu.forecast.model import Basis, Expectation
from xingliu.kernel.ids import JobId
from xingliu.kernel.units import show_duration
from xingliu.scheduling.model import PendingJob, Place, RunningJob
from xingliu.workloads.dependencies import AfterKind
from xingliu.workloads.model import NEVER_STARTS, Wait

BLOCKERS_MAX = 20


def started(
    job: PendingJob,
    place: Place,
    at_us: int,
    made_room: Sequence[RunningJob],
    guesses: Mapping[JobId, Guess],
    basis: Basis,
    within_us: int,
) -> Expectation:
    """It starts at `at_us`, when those have ended that made room for it, the last of them first; `job` as it waits at first."""
    own = "not_before" if job.not_before_us == at_us else "time"
    when = f"when {_ends(made_room[0], guesses)}" if made_room else f"when its {own} has come"
    if basis is Basis.HISTORY:
        unless = "if what has no time limit runs as long as jobs like it did and nothing new goes before it"
    else:
        unless = "if nothing ends earlier and nothing new goes before it"
    blockers = tuple(job.id for job in made_room[:BLOCKERS_MAX])
    return Expectation(at_us, f"{when}, {unless}{_if_well(job)}", basis, blockers, place.seats, within_us)


def _ends(job: RunningJob, guesses: Mapping[JobId, Guess]) -> str:
    if job.leaves_us is not None:
        return f"{job.id} has made room"
    if job.ends_us is not None:
        return f"{job.id} reaches its time limit"
    return f"{job.id} ends like the middle of {guesses[job.id].of} like it"


def _if_well(job: PendingJob) -> str:
    """What is taken for granted of those it waits for."""
    names = [f"{one.name} ({one.id})" for one in job.after if one.kind is AfterKind.OK]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f", and if {names[0]}{more} succeed{'' if more else 's'}" if names else ""


def hopeless(wait: Wait) -> Expectation:
    """No end of another job starts it."""
    word = "never" if wait.reason in NEVER_STARTS else "unknown"
    return Expectation(None, f"{word}: {wait.sentence}")


def endless(in_the_way: Sequence[JobId], wait: Wait) -> Expectation:
    """It waits for those of which nobody knows how long they run; where there are none, for what it says itself."""
    if not in_the_way:
        return hopeless(wait)
    others = f" (and so {len(in_the_way) - 1} more in its way)" if len(in_the_way) > 1 else ""
    sentence = f"unknown: {in_the_way[0]} has no time limit{others}, and too few like it are over to guess by"
    return Expectation(None, sentence, blockers=tuple(in_the_way[:BLOCKERS_MAX]))


def waits_for_endless(awaited: Sequence[JobId], wait: Wait) -> Expectation:
    """One that it waits for has no time limit, or never starts itself."""
    if not awaited:
        return hopeless(wait)
    sentence = f"unknown: {awaited[0]}, which it waits for, has no time limit, and too few like it are over to guess by"
    return Expectation(None, sentence, blockers=tuple(awaited[:BLOCKERS_MAX]))


def like(other: JobId, expectation: Expectation) -> Expectation:
    """Of a job that is not submitted yet: as it is for `other`, which it would wait behind."""
    if expectation.start_us is None:
        sentence = f"{expectation.sentence} (said of {other}, the last of its queue that asks for the same)"
        return Expectation(None, sentence, blockers=(other, *expectation.blockers), after_us=expectation.after_us)
    sentence = f"about when {other} does, the last of its queue that asks for the same"
    return Expectation(expectation.start_us, sentence, expectation.basis, (other,), within_us=expectation.within_us)


def far(now_us: int, after_us: int) -> Expectation:
    """It does not start until `after_us`."""
    sentence = f"unknown: it does not start within {show_duration(after_us - now_us)}, and no further was looked"
    return Expectation(None, sentence, after_us=after_us)
