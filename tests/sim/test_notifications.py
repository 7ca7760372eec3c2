"""Each channel tells at least once, whatever dies in between, and what cannot be told holds up nobody for ever."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.samples import JOB, PROJECT, QUEUE, TENANT, USER

from xingliu.control.notifications import TRIES_MAX, Mails, Notifications
from xingliu.control.ports import Settings
from xingliu.control.world import SETTINGS
from xingliu.fleet.model import CloudSettings, MailServer, MailTls
from xingliu.kernel.clock import SECOND_US, Clock
from xingliu.kernel.events import EventDraft
from xingliu.sim.faults import Died
from xingliu.sim.mailer import SimMailbox, SimMailer
from xingliu.sim.store import MemoryStore, Moment, Record
from xingliu.workloads.model import Notify, PendingReason
from xingliu.workloads.specs import keep_spec

ADA, BOB = "ada@example.org", "bob@example.org"
SERVER = MailServer("mail", "cloud@example.org", MailTls.NONE, 25)
HOUR_US = 3600 * SECOND_US


class Hand(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.us = 10**15

    def now_us(self) -> int:
        return self.us


class Story:
    """A store with one job that mails, and a reader that may be begun anew."""

    def __init__(self, *events: str, email: Sequence[str] = (ADA,)) -> None:
        self.record, self.box, self.clock = Record(), SimMailbox(), Hand()
        self.dies = False
        store = MemoryStore(self.record)
        store.seize("first")
        self.store = store
        spec = replace(JOB.spec, notify=Notify(None, events, tuple(email)))
        with store.write() as unit:
            unit.tenants.put(TENANT)
            unit.queues.put(QUEUE)
            unit.projects.put(PROJECT)
            unit.users.put(USER)
            unit.specs.put(kept := keep_spec(JOB.kept.document, spec))
            unit.jobs.put(replace(JOB, kept=kept))
        self.serve(SERVER)
        self.begin()

    def serve(self, server: MailServer | None) -> None:
        with self.store.write() as unit:
            unit.settings.put(Settings(SETTINGS, CloudSettings(mail=server)))

    def happens(self, *types: str, **facts: object) -> None:
        with self.store.write() as unit:
            drafts = [EventDraft(type_, JOB.id, "xingliu", self.clock.us, "acme", PROJECT.id, facts=facts) for type_ in types]
            unit.events.append(*drafts)

    def waits(self, before: PendingReason | None, now: PendingReason) -> None:
        self.happens("job.waiting", before=before, reason=now)

    def begin(self) -> None:
        """A new process over the same record; `dies`: it does when it next commits."""

        def trouble(moment: Moment) -> None:
            if self.dies and moment is Moment.COMMIT:
                raise Died

        store = MemoryStore(self.record, trouble)
        store.seize("next")
        self.store = store
        self.reader = Notifications(store, Mails(store, SimMailer(self.box)), self.clock)

    def run(self, *, for_us: int = 0) -> list[str]:
        """What arrives within that time: the word of each mail."""
        until, before = self.clock.us + for_us, len(self.box.heard)
        self.reader.run_once()
        while self.clock.us < until:
            self.clock.us += 2 * SECOND_US
            self.reader.run_once()
        return [subject.split(": ")[1].split()[0] for _, _, subject, _ in self.box.heard[before:]]


def test_only_what_was_asked_for_is_told_and_once() -> None:
    story = Story("started", "preempted")
    story.happens("job.started", "job.preempted", "job.started", "job.succeeded")
    assert story.run(for_us=HOUR_US) == ["started", "preempted", "started"]
    story.begin()
    assert story.run(for_us=HOUR_US) == []


def test_a_death_between_delivery_and_cursor_repeats_with_the_same_id_and_loses_nothing() -> None:
    story = Story("started", "finished")
    story.happens("job.started", "job.succeeded")
    story.dies = True
    with pytest.raises(Died):
        story.run()
    story.dies = False
    story.begin()
    assert story.run() == ["started", "succeeded"]
    ids = [message_id for _, message_id, _, _ in story.box.heard]
    assert len(ids) == 4 and ids[:2] == ids[2:] and len(set(ids)) == 2
    story.begin()
    assert story.run(for_us=HOUR_US) == []


def test_one_who_is_put_off_is_told_later_and_keeps_the_cursor_back() -> None:
    story = Story("started", email=(ADA, BOB))
    story.box.busy[ADA] = 3
    story.happens("job.started")
    story.run()
    assert [to for to, *_ in story.box.heard] == [BOB]
    story.begin()
    story.run(for_us=HOUR_US)
    assert sorted(to for to, *_ in story.box.heard) == [ADA, BOB, BOB]


def test_one_who_is_refused_for_good_is_not_tried_again() -> None:
    story = Story("started", email=(ADA, BOB))
    story.box.unknown.add(ADA)
    story.happens("job.started")
    assert story.run() == ["started"]
    story.box.unknown.clear()
    assert story.run(for_us=HOUR_US) == []


def test_one_who_never_takes_it_is_given_up_in_the_end() -> None:
    story = Story("started")
    story.box.busy[ADA] = 1000
    story.happens("job.started")
    story.run(for_us=6 * HOUR_US)
    assert story.box.busy[ADA] == 1000 - TRIES_MAX


def test_while_the_server_is_down_everything_waits_however_long() -> None:
    story = Story("started", "finished", email=(ADA, BOB))
    story.box.down = True
    story.happens("job.started", "job.succeeded")
    assert story.run(for_us=24 * HOUR_US) == []
    story.box.down = False
    assert sorted(story.run(for_us=HOUR_US)) == ["started", "started", "succeeded", "succeeded"]


def test_mail_waits_for_an_operator_who_took_the_server_out() -> None:
    story = Story("started")
    story.serve(None)
    story.happens("job.started")
    assert story.run(for_us=HOUR_US) == []
    story.serve(SERVER)
    assert story.run(for_us=HOUR_US) == ["started"]


def test_a_deferral_is_told_once_in_each_time_that_a_job_waits() -> None:
    story, r = Story("deferred"), PendingReason
    story.waits(None, r.WAITING_FOR_CAPACITY)
    assert story.run() == []
    for _ in range(3):
        story.waits(r.WAITING_FOR_CAPACITY, r.BEHIND_HIGHER_PRIORITY)
        story.waits(r.BEHIND_HIGHER_PRIORITY, r.WAITING_FOR_CAPACITY)
    assert story.run() == ["deferred"]
    story.happens("job.placed")
    story.waits(r.PREEMPTION_IN_PROGRESS, r.WAITING_FOR_CAPACITY)
    assert story.run() == ["deferred"]
