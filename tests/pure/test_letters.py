"""When a job counts as deferred, and what a mail says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import JOB

from xingliu.control.letters import deferred_before, defers, letter, word_of
from xingliu.kernel.addresses import is_address
from xingliu.kernel.events import Event
from xingliu.workloads.model import PendingReason as R


def event(type_: str, seq: int = 7, cause: str = "", **facts: object) -> Event:
    return Event(type_, JOB.id, "xingliu", 10**15, "acme", "acme/vision", cause, facts, seq)


def waiting(before: R | None, now: R) -> Event:
    return event("job.waiting", before=before, reason=now)


CASES = {
    "it began to wait": (None, R.BEHIND_HIGHER_PRIORITY, False),
    "for room, then behind others": (R.WAITING_FOR_CAPACITY, R.BEHIND_HIGHER_PRIORITY, True),
    "for room, then for quota": (R.WAITING_FOR_CAPACITY, R.WAITING_FOR_QUOTA, True),
    "for room, then nodes broke": (R.WAITING_FOR_CAPACITY, R.NODES_UNHEALTHY, True),
    "room was made, then kept for others": (R.PREEMPTION_IN_PROGRESS, R.RESERVED_FOR_OTHERS, True),
    "room was made, and no longer is": (R.PREEMPTION_IN_PROGRESS, R.WAITING_FOR_CAPACITY, True),
    "room is being made": (R.WAITING_FOR_CAPACITY, R.PREEMPTION_IN_PROGRESS, False),
    "it had not been next": (R.WAITING_FOR_QUOTA, R.BEHIND_HIGHER_PRIORITY, False),
    "somebody holds it": (R.WAITING_FOR_CAPACITY, R.HELD, False),
}


@pytest.mark.parametrize(("before", "now", "is_deferral"), CASES.values(), ids=CASES)
def test_who_had_been_next_and_waits_for_something_worse_is_deferred(before: R | None, now: R, is_deferral: bool) -> None:
    assert defers(waiting(before, now)) is is_deferral


def test_it_is_told_once_in_each_time_that_it_waits() -> None:
    deferral, placed = waiting(R.WAITING_FOR_CAPACITY, R.WAITING_FOR_QUOTA), event("job.placed")
    better = waiting(R.WAITING_FOR_QUOTA, R.WAITING_FOR_CAPACITY)
    assert not deferred_before([])
    assert deferred_before([better, deferral])
    assert not deferred_before([better, placed, deferral])


def test_a_mail_says_what_happened_and_where_to_look() -> None:
    told = letter(JOB, event("job.failed", cause="rank 0 exited with 9", exit_code=9, number=2), domain="example.org")
    assert (told.subject, told.message_id) == ("train: failed (acme/vision)", "<7.j1@example.org>")
    assert told.text == (
        "Job train (j1) of project acme/vision: failed.\nRank 0 exited with 9.\nExit code: 9\nAttempt: 2\n\n"
        "More: xl events j1; xl logs j1\n"
    )
    deferred = letter(JOB, waiting(R.WAITING_FOR_CAPACITY, R.NODES_UNHEALTHY), domain="a")
    assert deferred.subject.startswith("train: deferred") and deferred.text.endswith("xl why j1\n")


def test_an_event_has_the_same_message_id_each_time_and_another_event_another() -> None:
    one = event("job.started", 1)
    assert letter(JOB, one, domain="a") == letter(JOB, one, domain="a")
    assert letter(JOB, replace(one, seq=2), domain="a").message_id != letter(JOB, one, domain="a").message_id
    assert word_of(one) == "started"


@pytest.mark.parametrize("text", ["a@b", "ada.l+x@mail.example.org", "o'neil@x-y.z"])
def test_plain_addresses_are_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["", "a", "@b", "a@", "a@b@c", "a b@c", "a.@b", "a@-b", "é@b", "a@b\n", "a\r\nTo: x@b", "<a@b>", "a@b,c@d"]
)
def test_what_could_mean_anything_else_is_no_address(text: str) -> None:
    assert not is_address(text)


@given(st.text(max_size=20), st.sampled_from('\r\n\0 <>,;:"()[]\\'), st.text(max_size=20))
def test_no_address_holds_what_ends_a_line_or_begins_another(one: str, sign: str, other: str) -> None:
    assert not is_address(one + sign + other)
