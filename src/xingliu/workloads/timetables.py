"""When a schedule is due: cron expressions, read as Debian's cron reads them, in a time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from xingliu.kernel.errors import BadValue

FIELDS = 5
CRON_LONGEST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_CRON_HINT = "Write minute, hour, day of month, month and day of week: '30 3 * * mon-fri'."
_ZONE_HINT = "Write a name such as Europe/Berlin or Asia/Shanghai, or leave it out for UTC."


class Overlap(StrEnum):
    """What becomes of a due instant while jobs submitted before it are not over."""

    SKIP = "skip"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Timetable:
    """Due whenever the clock of `time_zone` shows what `cron` says.

    What would fall into an hour that a change to summer time leaves out is due when that hour is over; a fixed time in an hour
    that comes twice is due the first time, and what is due every so many minutes goes on through both.
    """

    cron: str
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP


def check_cron(text: str) -> str:
    """The expression, one blank between its fields. Raises BadValue."""
    fields = text.split() if len(text) <= CRON_LONGEST else []
    written = " ".join(fields)
    if len(fields) != FIELDS:
        raise BadValue(text[:60], "a cron expression of five fields", _CRON_HINT)
    try:
        due = next(CronSim(written, _EPOCH), None)
    except CronSimError as error:
        raise BadValue(text[:60], f"a cron expression ({str(error).lower()})", _CRON_HINT) from None
    if due is None:
        raise BadValue(text[:60], "a cron expression that is ever due", _CRON_HINT)
    return written


def check_zone(text: str) -> str:
    """The name of a time zone. Raises BadValue."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadValue(text[:60], "a time zone", _ZONE_HINT) from None
    return text


def due_after(timetable: Timetable, after_us: int) -> Iterator[int]:
    """The due instants later than `after_us`, in order; microseconds."""
    start = (_EPOCH + timedelta(microseconds=after_us)).astimezone(ZoneInfo(timetable.time_zone))
    last_us = after_us
    for due in CronSim(timetable.cron, start):
        due_us = (due - _EPOCH) // _US
        if due_us > last_us:
            last_us = due_us
            yield due_us


def next_due_us(timetable: Timetable, after_us: int) -> int | None:
    """The first due instant later than `after_us`; None where there is none any more."""
    return next(due_after(timetable, after_us), None)


def last_due_us(timetable: Timetable, first_us: int, now_us: int) -> int:
    """The latest due instant up to `now_us`, where `first_us` is due and not later than that."""
    at = (_EPOCH + timedelta(microseconds=now_us + 1)).astimezone(ZoneInfo(timetable.time_zone))
    for due in CronSim(timetable.cron, at, reverse=True):
        due_us = (due - _EPOCH) // _US
        if due_us <= now_us:
            return max(first_us, due_us)
    return first_us
