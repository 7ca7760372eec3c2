"""How long jobs like one ran, by hand, and that a guess never goes back as the job runs on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.forecast.history import KEPT_MAX, LIKE_MIN, Guess, History, Kind
from xingliu.kernel.ids import ProjectId, UserId

MINE, HERS = Kind(ProjectId("t/p"), UserId("ada"), 8), Kind(ProjectId("t/p"), UserId("mia"), 8)
SMALL, ELSEWHERE = Kind(ProjectId("t/p"), UserId("mia"), 1), Kind(ProjectId("t/q"), UserId("ada"), 8)

# case: jobs that are over, oldest first; how long mine ran already; what is guessed
CASES: dict[str, tuple[list[tuple[Kind, int]], int, Guess | None]] = {
    "the middle of those like it": ([(MINE, 30), (MINE, 10), (MINE, 50)], 0, Guess(30, 3)),
    "of those that ran longer": ([(MINE, 30), (MINE, 10), (MINE, 50)], 30, Guess(50, 1)),
    "none ran that long": ([(MINE, 30), (MINE, 10), (MINE, 50)], 50, None),
    "of two in the middle the later": ([(MINE, 10), (MINE, 20), (MINE, 30), (MINE, 40)], 0, Guess(30, 4)),
    "too few of the user: those of as many GPUs": ([(MINE, 10), (MINE, 10), (HERS, 70), (SMALL, 5)], 0, Guess(10, 3)),
    "too few of as many GPUs: those of the project": ([(MINE, 10), (HERS, 70), (SMALL, 90)], 0, Guess(70, 3)),
    "too few in all": ([(MINE, 10), (HERS, 70)], 0, None),
    "another project's tell nothing": ([(ELSEWHERE, 10)] * 9, 0, None),
    "the last ones count": ([(MINE, 1)] * KEPT_MAX + [(MINE, 2)] * KEPT_MAX, 0, Guess(2, KEPT_MAX)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_run_time_of_a_job_without_a_time_limit(case: str) -> None:
    past, ran_us, guess = CASES[case]
    assert History(past).guess(MINE, ran_us) == guess


@given(st.lists(st.integers(1, 100), min_size=LIKE_MIN), st.integers(0, 100), st.integers(0, 100))
def test_as_it_runs_on_its_end_is_only_guessed_later(past: list[int], one: int, other: int) -> None:
    history = History((MINE, run_us) for run_us in past)
    earlier, later = history.guess(MINE, min(one, other)), history.guess(MINE, max(one, other))
    assert later is None or (earlier is not None and earlier.run_us <= later.run_us)
    assert later is None or later.run_us > max(one, other)
