"""This machine's clock and chance."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from xingliu.adapters.host import FIRST_DAY_US, SystemClock, SystemIds

SECOND_US = 1_000_000


def test_time_goes_on_by_the_monotonic_clock_while_the_system_clock_is_set_back() -> None:
    system: Iterator[int] = iter([5_000_000_000, 5_000_002_000, 4_000_000_000, 4_000_001_000, 5_000_009_000])
    monotonic: Iterator[int] = iter([0, 0, 2_000, 5_000, 6_000, 7_000])
    clock = SystemClock(read_ns=lambda: next(system), monotonic_ns=lambda: next(monotonic))
    assert [clock.now_us() for _ in range(5)] == [5_000_000, 5_000_002, 5_000_005, 5_000_006, 5_000_009]


def test_time_begins_no_earlier_than_the_last_instant_on_record() -> None:
    clock = SystemClock(9_000_000, read_ns=lambda: 4_000_000_000, monotonic_ns=lambda: 0)
    assert clock.now_us() == 9_000_000


def test_job_ids_are_short_and_sort_by_creation() -> None:
    ids = SystemIds()
    instants = [FIRST_DAY_US, FIRST_DAY_US + 1000, FIRST_DAY_US + 10**14, FIRST_DAY_US + 10**15]
    made = [ids.job(instant) for instant in instants]
    assert made == sorted(set(made))
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{12}", job) for job in made)
    assert [SystemIds().job(instant)[:8] for instant in instants] == [job[:8] for job in made]


def test_job_ids_grow_within_a_millisecond_and_when_time_goes_back() -> None:
    ids = SystemIds()
    made = [ids.job(FIRST_DAY_US + 5 * SECOND_US - step) for step in range(5000)]
    assert made == sorted(set(made))


def test_job_ids_never_collide_between_threads() -> None:
    ids = SystemIds()
    with ThreadPoolExecutor(4) as threads:
        made = [job for part in threads.map(lambda _: [ids.job(FIRST_DAY_US) for _ in range(2000)], range(4)) for job in part]
    assert len(set(made)) == 8000


def test_chance_is_new_each_time() -> None:
    ids = SystemIds()
    assert len({ids.short() for _ in range(100)}) == 100
    secrets = {ids.secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", secret) for secret in secrets)
    assert SystemIds().job(FIRST_DAY_US) != SystemIds().job(FIRST_DAY_US)
