"""The shapes of what a job file waits for: ends of other jobs, instants, and times that come again and again."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from xingliu.kernel.errors import BadValue
from xingliu.kernel.keytables import Bad, Entry, Key, Shape, Table, read_table, table_schema, write_table
from xingliu.kernel.problems import shorten
from xingliu.kernel.quantities import DAY_US, exact_duration
from xingliu.kernel.shapes import choice
from xingliu.kernel.units import read_duration_us
from xingliu.workloads.dependencies import AFTER_MAX, AfterKind, AfterWord, NotBefore
from xingliu.workloads.timetables import CRON_LONGEST, Overlap, Timetable, check_cron, check_zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 7_258_118_400_000_000  # 2200-01-01
_DELAY_MAX_US = 3650 * DAY_US
_JOB = re.compile(r"[A-Za-z0-9-]{1,80}(?:\[\d{1,7}\])?\Z")
_AFTER_HINT = "Write after: [prep-data], or after: {ok: [a], any: [b], failed: [c]}."
_WHEN_HINT = "Write a span such as 2h, or an instant with its zone such as 2026-12-24T03:00:00+01:00."


def _read_after(entry: Entry) -> tuple[AfterWord, ...]:
    """In the order ok, any, failed."""
    found = _by_kind(entry, entry.value) if isinstance(entry.value, Mapping) else _names(entry, AfterKind.OK)
    if not 0 < len(found) <= AFTER_MAX:
        raise entry.wrong(f"it names {len(found)} jobs, and 1 to {AFTER_MAX} can be waited for", _AFTER_HINT)
    if len(set(found)) < len(found):
        raise entry.wrong("something is named twice", "Name each once.")
    return tuple(found)


def _by_kind(entry: Entry, value: Mapping[str, object]) -> list[AfterWord]:
    kinds = [kind.value for kind in AfterKind]
    for step in value:
        if step not in kinds:
            entry.note(f"there is no end '{shorten(step)}' to wait for", f"These are: {', '.join(kinds)}.", step=step)
    if not value.keys() <= set(kinds):
        raise Bad
    return [word for kind in AfterKind if kind.value in value for word in _names(entry.at(kind.value, value[kind.value]), kind)]


def _names(entry: Entry, kind: AfterKind) -> list[AfterWord]:
    if not isinstance(entry.value, list):
        raise entry.not_a("a list of jobs", _AFTER_HINT)
    return [AfterWord(kind, _name(entry.at(place, name))) for place, name in enumerate(entry.value)]


def _name(entry: Entry) -> str:
    if not isinstance(entry.value, str) or not _JOB.match(entry.value):
        raise entry.not_a("a job's name or id", _AFTER_HINT)
    return entry.value


def _write_after(words: Any) -> object:
    by_kind = {kind: [word.name for word in words if word.kind is kind] for kind in AfterKind}
    if not by_kind[AfterKind.ANY] and not by_kind[AfterKind.FAILED]:
        return by_kind[AfterKind.OK]
    return {kind.value: names for kind, names in by_kind.items() if names}


def _names_schema() -> dict[str, object]:
    return {
        "type": "array",
        "items": {"type": "string", "pattern": r"^[A-Za-z0-9-]{1,80}(\[[0-9]{1,7}\])?$"},
        "maxItems": AFTER_MAX,
    }


AFTER = Shape(
    _read_after,
    {
        "oneOf": [
            _names_schema(),
            {
                "type": "object",
                "properties": {kind.value: _names_schema() for kind in AfterKind},
                "additionalProperties": False,
                "minProperties": 1,
            },
        ]
    },
    _write_after,
)


def read_instant_us(text: str) -> int:
    """An ISO 8601 instant with its zone. Raises BadValue."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadValue(text[:60], "an instant", _WHEN_HINT) from None
    if found.tzinfo is None:
        raise BadValue(
            text[:60], "an instant with its zone", "Add the zone: 2026-12-24T03:00:00Z, or +01:00 for Berlin in winter."
        )
    since_us = (found - _EPOCH) // timedelta(microseconds=1)
    if not 0 <= since_us <= _LATEST_US:
        raise BadValue(text[:60], "an instant from 1970 to 2200", _WHEN_HINT)
    return since_us


def write_instant(us: int) -> str:
    """The text, in UTC, that reads back as exactly this."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def _read_not_before(entry: Entry) -> NotBefore:
    value = entry.value
    if not isinstance(value, str):
        raise entry.not_a("a span or an instant", _WHEN_HINT)
    try:
        if re.match(r"\d{4}-", value):
            return NotBefore(at_us=read_instant_us(value))
        span_us = read_duration_us(value)
    except BadValue as error:
        raise entry.not_a(error.expected, error.advice()) from None
    if not 1_000 <= span_us <= _DELAY_MAX_US:
        raise entry.not_a(f"a span from 1ms to {exact_duration(_DELAY_MAX_US)}")
    return NotBefore(in_us=span_us)


def _write_not_before(found: Any) -> object:
    return exact_duration(found.in_us) if found.at_us is None else write_instant(found.at_us)


NOT_BEFORE = Shape(_read_not_before, {"type": "string", "examples": ["2h", "2026-12-24T03:00:00+01:00"]}, _write_not_before)


def _checked(check: Callable[[str], str], what: str, schema: Mapping[str, object]) -> Shape:
    """A text that `check` takes, or refuses with BadValue."""

    def read(entry: Entry) -> str:
        if not isinstance(entry.value, str):
            raise entry.not_a(what)
        try:
            return check(entry.value)
        except BadValue as error:
            raise entry.not_a(error.expected, error.advice()) from None

    return Shape(read, schema)


_CRON = _checked(check_cron, "a cron expression", {"type": "string", "maxLength": CRON_LONGEST, "examples": ["0 3 * * *"]})
_ZONE = _checked(check_zone, "a time zone", {"type": "string", "maxLength": 100, "examples": ["Europe/Berlin"]})
TIMETABLE = Table(
    keys=(
        Key("cron", _CRON, "When it is due: minute, hour, day of month, month, day of week.", required=True),
        Key("time_zone", _ZONE, "Whose clock that is, such as Europe/Berlin; default UTC."),
        Key("overlap", choice(Overlap), "While one submitted before is not over: skip (default) or queue the next behind it."),
    ),
    make=Timetable,
    elsewhere={"timezone": "time_zone", "tz": "time_zone", "concurrency_policy": "overlap", "expression": "cron"},
)


def _read_schedule(entry: Entry) -> Timetable:
    if isinstance(entry.value, str):
        return Timetable(cast(str, _CRON.read(entry)))
    return cast(Timetable, read_table(TIMETABLE, entry))


def _write_schedule(found: Any) -> object:
    written = write_table(TIMETABLE, found)
    return written["cron"] if len(written) == 1 else written


SCHEDULE = Shape(_read_schedule, {"anyOf": [_CRON.schema, table_schema(TIMETABLE)]}, _write_schedule, TIMETABLE)
