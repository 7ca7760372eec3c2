"""When schedules are due, across changes of the clock; and what comes of an instant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import SCHEDULE

from xingliu.kernel.documents import Document
from xingliu.kernel.problems import InvalidDocument
from xingliu.workloads.schedules import QUEUED_MAX, Schedule, occur, released
from xingliu.workloads.spec import job_document, read_job
from xingliu.workloads.timetables import Overlap, Timetable, due_after, last_due_us, next_due_us

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def shown(instants: list[int]) -> list[str]:
    return [(EPOCH + timedelta(microseconds=instant)).strftime("%m-%dT%H:%M") for instant in instants]


# cron, zone, after, the next due instants in UTC. Berlin leaves out 02:00-03:00 on 2026-03-29, and has it twice on 2026-10-25;
# Lord Howe moves by half an hour on 2026-10-04 (02:00 -> 02:30 at 15:30 UTC the day before); Kathmandu is at +05:45.
DUE = {
    "each night": ("0 3 * * *", "UTC", "2026-01-01T00:00Z", ["01-01T03:00", "01-02T03:00"]),
    "later than the instant itself": ("0 3 * * *", "UTC", "2026-01-01T03:00Z", ["01-02T03:00"]),
    "a zone": ("0 3 * * *", "Asia/Kathmandu", "2026-01-01T00:00Z", ["01-01T21:15", "01-02T21:15"]),
    "winter and summer": ("0 12 * * *", "Europe/Berlin", "2026-03-28T00:00Z", ["03-28T11:00", "03-29T10:00"]),
    "left out in spring: when the hour is over": (
        "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", ["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
    "two that are left out are one": (
        "15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29T01:00", "03-30T00:15", "03-30T00:45"]),
    "twice in autumn: the first time": (
        "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25T00:30", "10-26T01:30"]),
    "made in the hour that comes again: not again": (
        "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10Z", ["10-26T01:30"]),
    "every half hour goes on through spring": (
        "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["03-29T00:30", "03-29T01:00", "03-29T01:30"]),
    "and through the hour that comes twice": (
        "*/30 * * * *", "Europe/Berlin", "2026-10-24T23:50Z",
        ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"]),
    "half an hour left out": ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["10-03T15:30", "10-04T15:15"]),
    "a leap day": ("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", ["02-29T00:00"]),
    "either day, if both are given": ("0 0 1 * mon", "UTC", "2026-06-01T12:00Z", ["06-08T00:00", "06-15T00:00"]),
}  # fmt: skip


@pytest.mark.parametrize("case", DUE)
def test_a_timetable_is_due_when_the_clock_of_its_zone_says_so(case: str) -> None:
    cron, zone, after, expected = DUE[case]
    assert shown(list(islice(due_after(Timetable(cron, zone), us(after)), len(expected)))) == expected


CRONS = st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 3 * * sun", "15,45 2 28-31 3,10 *", "0 */5 * * *"])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Shanghai"])
INSTANTS = st.integers(us("2026-01-01T00:00Z"), us("2027-12-31T00:00Z")) | st.sampled_from(
    [us("2026-03-29T01:00Z"), us("2026-03-29T00:59:59.999999Z"), us("2026-10-25T00:30Z"), us("2026-10-25T01:30Z")]
)


@given(CRONS, ZONES, INSTANTS, st.integers(0, 3))
def test_due_instants_rise_and_none_is_left_out_by_asking_from_one_to_the_next(
    cron: str, zone: str, after_us: int, count: int
) -> None:
    timetable = Timetable(cron, zone)
    first = list(islice(due_after(timetable, after_us), count + 1))
    assert after_us < first[0] and first == sorted(set(first))
    asked, at_us = [], after_us
    for _ in first:
        found = next_due_us(timetable, at_us)
        assert found is not None
        asked, at_us = [*asked, found], found
    assert asked == first
    assert next_due_us(timetable, first[0] - 1) == first[0]


@given(CRONS, ZONES, INSTANTS, st.integers(0, 5), st.integers(0, 59_999_999))
def test_the_latest_due_instant_is_the_last_of_those_that_have_passed(
    cron: str, zone: str, after_us: int, more: int, late_us: int
) -> None:
    timetable = Timetable(cron, zone)
    passed = list(islice(due_after(timetable, after_us), more + 1))
    now_us = passed[-1] + late_us
    while (following := next_due_us(timetable, passed[-1])) is not None and following <= now_us:
        passed.append(following)
    assert last_due_us(timetable, passed[0], now_us) == passed[-1]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("0 3 * *", "schedule: '0 3 * *' is not a cron expression of five fields"),
        ("0 3 * * * *", "is not a cron expression of five fields"),
        ("61 3 * * *", "schedule: '61 3 * * *' is not a cron expression (bad minute)"),
        ("0 0 30 2 *", "is not a cron expression"),
        (True, "schedule: true is not a mapping of keys"),
        ({"time_zone": "UTC"}, "there is no 'cron' in schedule"),
        ({"cron": "0 3 * * *", "time_zone": "Mars/Olympus"}, "schedule.time_zone: 'Mars/Olympus' is not a time zone"),
        ({"cron": "0 3 * * *", "time_zone": "../../etc/passwd"}, "is not a time zone"),
        ({"cron": "0 3 * * *", "overlap": "replace"}, "schedule.overlap: 'replace' is not one of skip, queue"),
        ({"cron": "0 3 * * *", "tz": "UTC"}, "there is no key 'tz' in schedule; it is 'time_zone' here"),
    ],
)
def test_a_file_with_a_wrong_schedule_is_refused_in_words(schedule: object, said: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_job(Document.of({"kind": "job", "name": "nightly", "run": "true", "schedule": schedule}))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "means"),
    [
        (" 0  3 * * MON ", Timetable("0 3 * * MON")),
        ({"cron": "0 3 * * *", "time_zone": "Europe/Berlin", "overlap": "queue"},
         Timetable("0 3 * * *", "Europe/Berlin", Overlap.QUEUE)),
    ],
)  # fmt: skip
def test_a_schedule_is_written_as_it_is_read(schedule: object, means: Timetable) -> None:
    spec = read_job(Document.of({"kind": "job", "name": "nightly", "run": "true", "schedule": schedule}))
    assert spec.schedule == means
    assert read_job(Document.of(job_document(spec))) == spec


# What comes of an instant ---------------------------------------------------------------------------------------------

MINUTE = 60_000_000
HOURLY = replace(SCHEDULE, timetable=Timetable("0 * * * *"), next_us=60 * MINUTE)


def queueing(schedule: Schedule) -> Schedule:
    return replace(schedule, timetable=replace(schedule.timetable, overlap=Overlap.QUEUE))


def test_what_passed_while_nothing_ran_is_one_instant_the_latest() -> None:
    found = occur(HOURLY, 60 * MINUTE * 24 * 3 + 5, ())
    assert found.at_us == 60 * MINUTE * 24 * 3 and not found.why_not
    assert (found.schedule.last_us, found.schedule.next_us) == (found.at_us, found.at_us + 60 * MINUTE)


def test_while_one_is_not_over_an_instant_is_skipped_or_queued_behind_the_last() -> None:
    skipping = occur(HOURLY, 60 * MINUTE, ("j1",))
    assert skipping.why_not == skipping.schedule.message == "j1, which it submitted before, is not over"
    behind = occur(queueing(HOURLY), 60 * MINUTE, ("j1", "j2"))
    assert (behind.why_not, behind.waits_for) == ("", "j2")


def test_no_more_wait_behind_one_than_a_stated_number() -> None:
    full = tuple(f"j{number}" for number in range(QUEUED_MAX + 1))
    assert not occur(queueing(HOURLY), 60 * MINUTE, full[:-1]).why_not
    found = occur(queueing(HOURLY), 60 * MINUTE, full)
    assert found.why_not == f"j0, which it submitted before, is not over, and {QUEUED_MAX} more wait behind it"


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_what_was_due_while_it_was_held_or_the_clock_was_set_back_is_not_dealt_with_again(now_us: int, last_us: int) -> None:
    found = released(replace(HOURLY, held=True, last_us=last_us), now_us)
    assert not found.held and found.next_us is not None and found.next_us > max(now_us, last_us)
