"""Time and chance as this machine gives them."""

import secrets
import time
from collections.abc import Callable
from threading import Lock

from xingliu.kernel.ids import JobId

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 5
_STAMP_CHARS, _CHANCE_CHARS = 8, 4
_CHANCES = 1 << (_BITS * _CHANCE_CHARS)
_STAMPS = 1 << (_BITS * _STAMP_CHARS)
FIRST_DAY_US = 1_735_689_600_000_000
"""2025-01-01: eight characters count milliseconds from here until 2059."""


class SystemClock:
    """The system's time, except that it never goes back: while the system's is behind, it goes on by the monotonic clock."""

    def __init__(
        self,
        not_before_us: int = 0,
        *,
        read_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`not_before_us`: the last instant on record, so that a clock set back between two starts spoils no order."""
        self._read_ns, self._monotonic_ns = read_ns, monotonic_ns
        self._lock = Lock()
        self._last_us, self._at_us = not_before_us, monotonic_ns() // 1000

    def now_us(self) -> int:
        with self._lock:
            system_us = self._read_ns() // 1000
            at_us = self._monotonic_ns() // 1000  # read second: a pause between the two must not put this clock ahead
            self._last_us = max(self._last_us + at_us - self._at_us, system_us)
            self._at_us = at_us
            return self._last_us


class SystemIds:
    """Ids that are short to type: digits and small letters, without those that are easily confused.

    A job's id is the millisecond, then chance. Ids made in one process always grow: in a millisecond that was used
    before, or has gone back, the last id is counted on from.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = -1

    def job(self, now_us: int) -> JobId:
        stamp = min(max(0, (now_us - FIRST_DAY_US) // 1000), _STAMPS - 1)
        with self._lock:
            self._last = max(self._last + 1, stamp * _CHANCES + secrets.randbelow(_CHANCES))
            return JobId(_written(self._last, _STAMP_CHARS + _CHANCE_CHARS))

    def secret(self) -> str:
        return secrets.token_urlsafe(32)

    def short(self) -> str:
        return _written(secrets.randbits(_BITS * 8), 8)


def _written(number: int, chars: int) -> str:
    return "".join(_ALPHABET[number >> (_BITS * place) & 31] for place in reversed(range(chars)))
