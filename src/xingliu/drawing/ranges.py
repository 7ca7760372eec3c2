"""How durations spread, group by group: median, nine in ten and 99 in 100 on a logarithmic scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from xingliu.drawing.svg import SERIES_MAX, WIDTH, chart, dot, element, legend, rule, text
from xingliu.drawing.ticks import show_span, span_ticks

LEFT, RIGHT, TOP, ROW, BETWEEN = 250, 24, 40, 16, 10


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one group in one series: the group's median, 90th and 99th percentile, seconds; `says` for who points at it."""

    p50_s: float
    p90_s: float
    p99_s: float
    says: str


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the chart: its name, a remark in grey, and a spread for each series (None: it has nothing there)."""

    name: str
    remark: str
    spreads: Sequence[Spread | None]


def draw_spreads(groups: Sequence[Group], series: Sequence[str], *, says: str) -> str:
    """One row a group; within it one bar a series: a dot at the median, a thick line to 90%, a thin one to 99%."""
    most_s = max((spread.p99_s for group in groups for spread in group.spreads if spread), default=1.0)
    ticks = span_ticks(most_s)
    wide, top = WIDTH - LEFT - RIGHT, TOP if len(series) > 1 else TOP - 22
    row = ROW * len(series) + BETWEEN

    def x(span_s: float) -> float:
        return LEFT + wide * log10(max(1.0, min(span_s, ticks[-1][0]))) / log10(ticks[-1][0])

    floor = top + row * len(groups)
    marks = [legend(series, x=LEFT, y=14, kinds="box")] if len(series) > 1 else []
    for at_s, said in ticks:
        marks.append(rule(x(at_s), top - 4, x(at_s), floor, kind="grid"))
        marks.append(text(said, x(at_s), floor + 18, kind="tick", anchor="middle"))
    for number, group in enumerate(groups):
        middle = top + row * number + row / 2
        marks.append(text(group.name, LEFT - 98, middle + 4, kind="name", anchor="end"))
        marks.append(text(group.remark, LEFT - 12, middle + 4, kind="note", anchor="end"))
        for place, spread in enumerate(group.spreads):
            if spread is not None:
                y = middle + ROW * (place - (len(series) - 1) / 2)
                marks.append(_spread(spread, x(spread.p50_s), x(spread.p90_s), x(spread.p99_s), y, f"s{place % SERIES_MAX}"))
    return chart(floor + 28, *marks, says=says)


def _spread(spread: Spread, p50: float, p90: float, p99: float, y: float, colour: str) -> str:
    said = f"{spread.says}: half at most {show_span(spread.p50_s)}, 90% {show_span(spread.p90_s)}, 99% {show_span(spread.p99_s)}"
    return element(
        "g",
        rule(p50, y, p99, y, kind=f"thin {colour}"),
        rule(p50, y, p90, y, kind=f"thick {colour}"),
        rule(p99, y - 4, p99, y + 4, kind=f"thin {colour}"),
        dot(p50, y, 4.5, kind=f"fill {colour}", says=said),
    )
