"""The shapes of quantities: durations, instants, amounts of memory, and numbers counted in thousandths. Written back exactly."""

from typing import Any

from xingliu.kernel.documents import plain_number
from xingliu.kernel.errors import BadValue
from xingliu.kernel.keytables import Bad, Entry, Shape
from xingliu.kernel.units import read_bytes, read_duration_us, read_instant_us, show_milli, write_instant

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
_DURATIONS_US = {"d": DAY_US, "h": HOUR_US, "m": MINUTE_US, "s": 1_000_000, "ms": 1_000}
_SIZES = (
    ("TB", 10**12),
    ("TiB", 2**40),
    ("GB", 10**9),
    ("GiB", 2**30),
    ("MB", 10**6),
    ("MiB", 2**20),
    ("KB", 10**3),
    ("KiB", 2**10),
    ("B", 1),
)


def duration(*, most_us: int, least_us: int = 1_000) -> Shape:
    """`36h`, read as microseconds."""

    def read(entry: Entry) -> int:
        try:
            found = read_duration_us(_text(entry.value))
        except BadValue as error:
            raise entry.not_a("a duration", error.advice()) from None
        if not least_us <= found <= most_us:
            raise entry.not_a(f"a duration from {exact_duration(least_us)} to {exact_duration(most_us)}")
        return found

    def write(found_us: Any) -> str:
        return exact_duration(found_us)

    return Shape(read, {"type": "string", "examples": ["90s", "30m", "36h", "1h30m"]}, write)


def _read_instant(entry: Entry) -> int:
    try:
        return read_instant_us(_text(entry.value))
    except BadValue as error:
        raise entry.not_a(error.expected, error.advice()) from None


def _write_instant(us: Any) -> str:
    return write_instant(us)


INSTANT = Shape(
    _read_instant, {"type": "string", "examples": ["2026-12-24T03:00:00Z", "2026-12-24T03:00:00+01:00"]}, _write_instant
)


def memory(*, least_bytes: int = 10**6, most_bytes: int = 2**60, or_more: bool = False) -> Shape:
    """`64GB`, read as bytes; with `or_more` also `64GB..`, of which the lower bound is what is asked for."""

    def read(entry: Entry) -> int:
        try:
            found = read_bytes(_text(_lower_bound(entry) if or_more else entry.value))
        except BadValue as error:
            raise entry.not_a("an amount of memory", error.advice()) from None
        if not least_bytes <= found <= most_bytes:
            raise entry.not_a(f"an amount of memory from {exact_bytes(least_bytes)} to {exact_bytes(most_bytes)}")
        return found

    def write(found_bytes: Any) -> str:
        return exact_bytes(found_bytes)

    examples = ["512MB", "64GB", "64GiB", *(["64GB.."] if or_more else [])]
    return Shape(read, {"type": "string", "examples": examples}, write)


def milli(*, least: int, most: int, what: str, or_more: bool = False) -> Shape:
    """A number with at most three decimals, read as thousandths from `least` to `most`; with `or_more` also `96..`."""

    def read(entry: Entry) -> int:
        number = plain_number(_lower_bound(entry) if or_more else entry.value)
        found = None if number is None else number * 1000
        if found is None or found != found.to_integral_value() or not least <= found <= most:
            raise entry.not_a(
                f"a number of {what} from {show_milli(least)} to {show_milli(most)}",
                "Write 2 or 0.5, with at most three decimals.",
            )
        return int(found)

    def write(found_milli: Any) -> object:
        return found_milli // 1000 if found_milli % 1000 == 0 else show_milli(found_milli)

    return Shape(read, {"type": ["number", "string"], "examples": [2, "0.5", *(["96.."] if or_more else [])]}, write)


def exact_duration(us: int) -> str:
    """The shortest single-unit text that reads back as exactly this."""
    for unit, unit_us in _DURATIONS_US.items():
        if us % unit_us == 0:
            return f"{us // unit_us}{unit}"
    return f"{us // 1000}.{us % 1000:03d}ms"


def exact_bytes(count: int) -> str:
    """The text with the largest unit that reads back as exactly this."""
    return next(f"{count // size}{unit}" for unit, size in _SIZES if count % size == 0)


def _text(value: object) -> str:
    """What the readers of quantities can take: they want a unit, so a bare number is refused by them with their hint."""
    return value if isinstance(value, str) else "" if value is None or isinstance(value, dict | list) else str(value)


def _lower_bound(entry: Entry) -> object:
    """`96` of `96..`. Raises Bad for an upper bound."""
    value = entry.value
    if not isinstance(value, str) or ".." not in value:
        return value
    low, _, high = value.partition("..")
    if high or not low:
        raise _upper_bound(entry)
    return low


def _upper_bound(entry: Entry) -> Bad:
    return entry.wrong("an upper bound is not yet available", "Write only the lower bound, as in `96..` or `64GB..`.")
