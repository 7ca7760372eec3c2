"""Round places on a scale, and what is written there."""

from collections.abc import Sequence
from datetime import UTC, datetime

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
_TIMES_S = (
    *(MINUTE_S * each for each in (1, 2, 5, 10, 15, 30)),
    *(HOUR_S * each for each in (1, 2, 3, 6, 12)),
    *(DAY_S * each for each in (1, 2, 7, 14, 28, 56, 112, 224, 448)),
)
Tick = tuple[float, str]


def round_ticks(most: float, count: int = 4) -> list[Tick]:
    """From 0 to the first round number at or above `most`, in steps of 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return [(0.0, "0"), (1.0, "1")]
    step = _step(most / count)
    ticks = [0.0]
    while ticks[-1] < most * (1 - 1e-9):
        ticks.append(ticks[-1] + step)
    return [(tick, show_number(tick)) for tick in ticks]


def power_ticks(most: float) -> list[Tick]:
    """1, 10, 100, up to the first power of ten at or above `most`."""
    ticks = [1.0]
    while ticks[-1] < most:
        ticks.append(ticks[-1] * 10)
    return [(tick, show_number(tick)) for tick in ticks]


def _step(least: float) -> float:
    power = 1.0
    while power > least:
        power /= 10
    while power * 10 <= least:
        power *= 10
    return next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= least * (1 - 1e-9))


def time_ticks(start_s: int, end_s: int, *, dated: bool, count: int = 8) -> list[Tick]:
    """Round instants between two: dates where the instants are real, else days and hours since `start_s`."""
    length_s = max(1, end_s - start_s)
    step_s = next((each for each in _TIMES_S if length_s // each <= count), _TIMES_S[-1])
    if not dated:
        return [(float(start_s + at_s), _since(at_s, step_s)) for at_s in range(0, length_s + 1, step_s)]
    first = -(-start_s // step_s) * step_s
    return [(float(at_s), _dated(at_s, step_s)) for at_s in range(first, end_s + 1, step_s)]


def _since(at_s: int, step_s: int) -> str:
    if step_s >= DAY_S:
        return f"day {at_s // DAY_S}"
    days, rest = divmod(at_s, DAY_S)
    said = f"{rest // HOUR_S}:{rest % HOUR_S // MINUTE_S:02d}"
    return f"{days}d {said}" if days else said


def _dated(at_s: int, step_s: int) -> str:
    at = datetime.fromtimestamp(at_s, UTC)
    if step_s >= DAY_S:
        return f"{at.day} {at:%b}"
    return f"{at.day} {at:%b}" if at_s % DAY_S == 0 else f"{at:%H:%M}"


def span_ticks(most_s: float) -> list[Tick]:
    """Places on a logarithmic scale of durations that begins at one second and reaches `most_s`."""
    all_ticks: Sequence[Tick] = (
        (1, "≤ 1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (36_000, "10 h"),
        (4 * DAY_S, "4 d"), (40 * DAY_S, "40 d"), (400 * DAY_S, "400 d"),
    )  # fmt: skip
    above = next((place for place, (at_s, _) in enumerate(all_ticks) if at_s >= most_s), len(all_ticks) - 1)
    return [(float(at_s), said) for at_s, said in all_ticks[: max(2, above + 1)]]


def show_number(value: float) -> str:
    """`1,500`, `0.25`."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}".rstrip("0").rstrip(".")


def show_span(seconds: float) -> str:
    """A duration as people say it: `0 s`, `45 s`, `3.2 h`, `5.1 d`."""
    for unit, of_s in (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= (2 * of_s if unit == "d" else of_s):
            return f"{seconds / of_s:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
