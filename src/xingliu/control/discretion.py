"""What an explanation may tell: another project's jobs are counted, never named."""

from collections.abc import Callable
from dataclasses import replace

from xingliu.control.forecasts import Forecast
from xingliu.forecast.change import Advice, ChangeKind
from xingliu.kernel.ids import JobId
from xingliu.workloads.model import Wait

NAMED = "ahead"
NAMES = frozenset({NAMED, "leaving"})
SOMEONE = "a job of another project"

Sees = Callable[[JobId], bool]


def jobs_ahead(wait: Wait | None) -> list[JobId]:
    """The jobs that go before this one, as the last cycle named them."""
    named = wait.numbers.get(NAMED) if wait is not None else None
    return [JobId(str(job)) for job in named] if isinstance(named, list | tuple) else []


def unnamed(wait: Wait) -> Wait:
    """The wait without the names of other jobs; how many they are stays."""
    return replace(wait, numbers={key: value for key, value in wait.numbers.items() if key not in NAMES})


def discreet(forecast: Forecast, sees: Sees) -> Forecast:
    """The forecast without the names of jobs that this reader does not see."""
    expectation = forecast.expectation
    sentence = expectation.sentence
    for job in expectation.blockers:
        if not sees(job):
            sentence = sentence.replace(job, SOMEONE)
    blockers = tuple(job for job in expectation.blockers if sees(job))
    return replace(forecast, expectation=replace(expectation, sentence=sentence, blockers=blockers))


def discreet_advice(advice: Advice | None, sees: Sees) -> Advice | None:
    """The advice without the name of a job to stop that this reader does not see."""
    change = advice.change if advice is not None else None
    if advice is None or change is None or change.kind is not ChangeKind.STOP_OTHER or sees(JobId(change.subject)):
        return advice
    return replace(advice, change=replace(change, subject=""))
