"""Whether a job that waits can still end by its deadline: examples in words."""

import pytest
from tests.pure.clouds import MINUTE, NOW_US, job

from xingliu.scheduling.deadlines import due
from xingliu.scheduling.model import PendingJob

CASES: dict[str, tuple[PendingJob, int, bool, str]] = {
    "time to spare": (
        job("j", due=90, minutes=60),
        30,
        False,
        "Its deadline is met if it starts within 30m, even if it runs to its time limit.",
    ),
    "the last instant": (
        job("j", due=60, minutes=60),
        0,
        False,
        "Its deadline is met if it starts within 0ms, even if it runs to its time limit.",
    ),
    "too late to run to the time limit": (
        job("j", due=30, minutes=60),
        -30,
        True,
        "Its deadline is in 30m: it can no longer be met if it runs for all of the 1h that its time limit leaves it.",
    ),
    "past": (job("j", due=-5, minutes=60), -65, True, "Its deadline passed 5m ago."),
    "without a time limit": (
        job("j", due=30),
        30,
        False,
        "Its deadline is in 30m; it has no time limit, so it may take any time.",
    ),
    "past, without a time limit": (job("j", due=-5), -5, True, "Its deadline passed 5m ago."),
}


@pytest.mark.parametrize("case", CASES)
def test_a_deadline_says_by_when_to_start_and_whether_that_has_passed(case: str) -> None:
    of, start_in, missed, sentence = CASES[case]
    found = due(of, NOW_US)
    assert found is not None and of.deadline_us == found.at_us
    assert (found.start_by_us - NOW_US) / MINUTE == start_in
    assert (found.missed, found.sentence) == (missed, sentence)


def test_who_has_no_deadline_is_never_late() -> None:
    assert due(job("j", minutes=60), NOW_US) is None
