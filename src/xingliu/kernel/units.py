"""Reading and showing quantities: durations, bytes, instants. Whole numbers inside, words outside."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from xingliu.kernel.errors import BadValue

_DURATION_US = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_LONGEST_US = 100 * 366 * 86_400_000_000
_LARGEST_BYTES = 2**60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 7_258_118_400_000_000  # 2200-01-01
_INSTANT = "Write a day, a time and its zone: 2026-12-24T03:00:00Z, or 2026-12-24T03:00:00+01:00."


def read_duration_us(text: str) -> int:
    """`36h`, `90m`, `1h30m`, `250ms` as microseconds. Raises BadValue; zero, negative and more than a century are refused."""
    total = _sum_of_parts(text, _DURATION_US)
    if total is None or not 0 < total <= _LONGEST_US:
        raise BadValue(text, "a duration", "Write a number with a unit: 90s, 30m, 36h, 7d, or 1h30m.")
    return int(total)


def read_bytes(text: str) -> int:
    """`64GB` (10^9), `64GiB` (2^30), as bytes. Raises BadValue."""
    total = _sum_of_parts(text.upper(), _BYTES)
    if total is None or not 0 < total <= _LARGEST_BYTES:
        raise BadValue(text, "an amount of memory", "Write a number with a unit: 512MB, 64GB, 64GiB.")
    return int(total)


def read_instant_us(text: str) -> int:
    """An ISO 8601 instant with its zone, in microseconds since 1970. Raises BadValue."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadValue(text[:60], "an instant", _INSTANT) from None
    if found.tzinfo is None:
        raise BadValue(text[:60], "an instant with its zone", _INSTANT)
    since_us = (found - _EPOCH) // timedelta(microseconds=1)
    if not 0 <= since_us < _LATEST_US:
        raise BadValue(text[:60], "an instant from 1970 to 2199", _INSTANT)
    return since_us


def write_instant(us: int) -> str:
    """The text, in UTC, that reads back as exactly this."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def _sum_of_parts(text: str, units: dict[str, int]) -> Fraction | None:
    rest, total = text.strip(), Fraction(0)
    if not rest or len(rest) > 40:
        return None
    while rest:
        part = _PART.match(rest)
        if part is None or part.group(2) not in units:
            return None
        total += Fraction(part.group(1)) * units[part.group(2)]
        rest = rest[part.end() :].lstrip()
    return total


def show_duration(us: int) -> str:
    """At most two units: `1h 30m`, `12.3s`, `250ms`."""
    if us < 0:
        return "-" + show_duration(-us)
    if us < 1_000_000:
        return f"{us // 1000}ms"
    if us < 60_000_000:
        return f"{us // 1_000_000}.{us % 1_000_000 // 100_000}s"
    for big, small in (("d", "h"), ("h", "m"), ("m", "s")):
        if us >= _DURATION_US[big]:
            first, rest = divmod(us, _DURATION_US[big])
            second = rest // _DURATION_US[small]
            return f"{first}{big} {second}{small}" if second else f"{first}{big}"
    raise AssertionError(us)


def show_bytes(count: int) -> str:
    """Decimal units, one digit: `1.5 GB`."""
    for unit in ("TB", "GB", "MB", "KB"):
        if abs(count) >= _BYTES[unit]:
            tenths = count * 10 // _BYTES[unit]
            return f"{tenths // 10} {unit}" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{count} B"


def show_milli(amount: int) -> str:
    """Milli-units as units: 1500 -> `1.5`."""
    whole, rest = divmod(amount, 1000)
    return str(whole) if not rest else f"{whole}.{rest:03d}".rstrip("0")


def show_instant(us: int) -> str:
    """RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
