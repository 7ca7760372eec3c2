"""Notifications: a reader of the event log that posts what jobs asked to be told, each at least once."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread

from xingliu.control.errors import DeliveryFailed
from xingliu.control.ports import Cursor, Postman, Store
from xingliu.kernel.clock import SECOND_US, Clock
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.events import Event
from xingliu.kernel.ids import JobId
from xingliu.workloads.model import Job

log = logging.getLogger(__name__)
CURSOR = "notifications"
TOLD_BY = {
    "job.started": ("started",),
    "job.succeeded": ("finished",),
    "job.cancelled": ("finished",),
    "job.failed": ("failed", "finished"),
    "job.timed-out": ("failed", "finished"),
}
OPEN_MAX = 10_000
TRIES_MAX = 12
FIRST_PAUSE_US = 2 * SECOND_US
EVERY_S = 0.5


@dataclass(slots=True)
class Delivery:
    """One message under way: tried `tries` times, next at `due_us`."""

    seq: int
    url: str
    body: Mapping[str, object]
    tries: int = 0
    due_us: int = 0


class Notifications:
    """The cursor stays before the oldest message that is not delivered, so a crash repeats messages and loses none."""

    def __init__(self, store: Store, postman: Postman, clock: Clock) -> None:
        self._store, self._postman, self._clock = store, postman, clock
        with store.read() as unit:
            cursor = unit.cursors.get(CURSOR)
        self._read = self._saved = cursor.seq if cursor is not None else 0
        self._open: dict[int, Delivery] = {}
        self._ended = Flag()
        self._thread = Thread(target=self._run, name="notifications", daemon=True)

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
                log.warning("notifications: %s", error)

    def run_once(self) -> None:
        """Read what is new, try what is due, and save how far everything is delivered."""
        if len(self._open) < OPEN_MAX:
            self._read_new()
        for delivery in list(self._open.values()):
            if delivery.due_us <= self._clock.now_us():
                self._try(delivery)
        done = min(self._open, default=self._read + 1) - 1
        if done > self._saved:
            with self._store.write() as unit:
                unit.cursors.put(Cursor(CURSOR, done))
            self._saved = done

    def _read_new(self) -> None:
        with self._store.read() as unit:
            last = unit.events.last_seq()
            events = unit.events.find({"type": frozenset(TOLD_BY)}, after=self._read)
            for event in events:
                job = unit.jobs.get(JobId(event.subject))
                if job is not None and job.spec.notify is not None and set(job.spec.notify.events) & set(TOLD_BY[event.type]):
                    self._open[event.seq] = Delivery(event.seq, job.spec.notify.url, message(job, event))
        full_page = len(events) == 1000
        self._read = events[-1].seq if full_page else last

    def _try(self, delivery: Delivery) -> None:
        try:
            self._postman.post(delivery.url, delivery.body)
        except DeliveryFailed as error:
            delivery.tries += 1
            delivery.due_us = self._clock.now_us() + FIRST_PAUSE_US * 2**delivery.tries
            if delivery.tries < TRIES_MAX:
                return
            log.warning("given up after %d tries: %s", TRIES_MAX, error)
        del self._open[delivery.seq]


def message(job: Job, event: Event) -> dict[str, object]:
    """What is posted. `id` is the event's number: the same for every repetition."""
    return {
        "id": event.seq,
        "event": event.type.removeprefix("job."),
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
