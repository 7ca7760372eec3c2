"""Notifications: readers of the event log that tell what jobs asked to be told, each at least once.

One reader a channel, each with a cursor and a thread of its own, so that a mail server that hangs delays no post.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event as Flag
from threading import Thread
from typing import Protocol

from xingliu.control.cloud import settings_of
from xingliu.control.errors import DeliveryFailed, DeliveryRefused, MailServerDown
from xingliu.control.letters import DEFERRED, TOLD_BY, deferred_before, defers, letter, word_of
from xingliu.control.ports import Cursor, Mailer, Postman, Store, Unit
from xingliu.kernel.clock import SECOND_US, Clock
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.events import Event
from xingliu.kernel.ids import JobId
from xingliu.workloads.model import Job, Notify

log = logging.getLogger(__name__)
OPEN_MAX = 10_000
TRIES_MAX = 12
FIRST_PAUSE_US = 2 * SECOND_US
LONGEST_PAUSE_US = 300 * SECOND_US
EVERY_S = 0.5

Deliver = Callable[[], None]


class Channel(Protocol):
    """One way to tell. `cursor` is the name of what the store keeps of how far it got."""

    cursor: str

    def deliveries(self, notify: Notify, job: Job, event: Event) -> Iterator[tuple[str, Deliver]]:
        """Whom to tell of it, and how. Telling raises DeliveryFailed."""
        ...


class Posts:
    """JSON to the job's URL."""

    cursor = "notifications"

    def __init__(self, postman: Postman) -> None:
        self._postman = postman

    def deliveries(self, notify: Notify, job: Job, event: Event) -> Iterator[tuple[str, Deliver]]:
        if notify.url is not None:
            yield notify.url, partial(self._postman.post, notify.url, message(job, event))


class Mails:
    """A mail to each of the job's addresses, through the server that the operator file names at that time."""

    cursor = "mail"

    def __init__(self, store: Store, mailer: Mailer) -> None:
        self._store, self._mailer = store, mailer

    def deliveries(self, notify: Notify, job: Job, event: Event) -> Iterator[tuple[str, Deliver]]:
        for address in notify.email:
            yield address, partial(self._send, address, job, event)

    def _send(self, address: str, job: Job, event: Event) -> None:
        with self._store.read() as unit:
            server = settings_of(unit).mail
        if server is None:
            raise MailServerDown("of this cloud", "its operator file no longer names one")
        self._mailer.send(server, address, letter(job, event, domain=server.sender.rpartition("@")[2]))


@dataclass(slots=True)
class Delivery:
    """One message under way: tried `tries` times, next at `due_us`."""

    deliver: Deliver
    tries: int = 0
    due_us: int = 0


class Notifications:
    """The cursor stays before the oldest event of which somebody is still to be told: a crash repeats and loses nothing."""

    def __init__(self, store: Store, channel: Channel, clock: Clock) -> None:
        self._store, self._channel, self._clock = store, channel, clock
        with store.read() as unit:
            cursor = unit.cursors.get(channel.cursor)
        self._read = self._saved = cursor.seq if cursor is not None else 0
        self._open: dict[tuple[int, str], Delivery] = {}
        self._pauses = self._paused_until_us = 0
        self._ended = Flag()
        self._thread = Thread(target=self._run, name=channel.cursor, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self.run_once()
            except XingliuError as error:
                log.warning("%s: %s", self._channel.cursor, error)

    def run_once(self) -> None:
        """Read what is new, try what is due, and save how far everything is delivered."""
        if len(self._open) < OPEN_MAX:
            self._read_new()
        for key, delivery in list(self._open.items()):
            now_us = self._clock.now_us()
            if delivery.due_us <= now_us and self._paused_until_us <= now_us and not self._ended.is_set():
                self._try(key, delivery)
        done = min((seq for seq, _ in self._open), default=self._read + 1) - 1
        if done > self._saved:
            with self._store.write() as unit:
                unit.cursors.put(Cursor(self._channel.cursor, done))
            self._saved = done

    def _read_new(self) -> None:
        with self._store.read() as unit:
            last = unit.events.last_seq()
            events = unit.events.find({"type": frozenset(TOLD_BY)}, after=self._read)
            for event in events:
                if event.type != DEFERRED or defers(event):
                    self._take_up(unit, event)
        full_page = len(events) == 1000
        self._read = events[-1].seq if full_page else last

    def _take_up(self, unit: Unit, event: Event) -> None:
        job = unit.jobs.get(JobId(event.subject))
        notify = job.spec.notify if job is not None else None
        if job is None or notify is None or not set(notify.events) & set(TOLD_BY[event.type]):
            return
        if event.type == DEFERRED and deferred_before(_earlier(unit, event)):
            return
        for target, deliver in self._channel.deliveries(notify, job, event):
            self._open[event.seq, target] = Delivery(deliver)

    def _try(self, key: tuple[int, str], delivery: Delivery) -> None:
        now_us = self._clock.now_us()
        try:
            delivery.deliver()
        except MailServerDown as error:
            self._pauses += 1
            self._paused_until_us = now_us + min(LONGEST_PAUSE_US, FIRST_PAUSE_US * 2 ** min(self._pauses, 20))
            log.warning("%s", error)
            return
        except DeliveryRefused as error:
            log.warning("%s", error)
        except DeliveryFailed as error:
            delivery.tries += 1
            delivery.due_us = now_us + FIRST_PAUSE_US * 2**delivery.tries
            if delivery.tries < TRIES_MAX:
                return
            log.warning("given up after %d tries: %s", TRIES_MAX, error)
        self._pauses = 0
        del self._open[key]


def _earlier(unit: Unit, event: Event) -> Iterator[Event]:
    """The job's placings and waits before this one, newest first, as far as the last hundred."""
    types = frozenset({"job.placed", DEFERRED})
    yield from unit.events.find({"subject": event.subject, "type": types}, before=event.seq, newest_first=True, limit=100)


def message(job: Job, event: Event) -> dict[str, object]:
    """What is posted. `id` is the event's number: the same for every repetition."""
    return {
        "id": event.seq,
        "event": word_of(event),
        "job": job.id,
        "name": job.title,
        "project": job.project,
        "state": job.state,
        "at_us": event.at_us,
        "cause": event.cause,
        "exit_code": event.facts.get("exit_code"),
        "signal": event.facts.get("signal"),
        "attempt": event.facts.get("number"),
    }
