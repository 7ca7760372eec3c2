"""One number a group, as bars side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from xingliu.drawing.svg import SERIES_MAX, WIDTH, box, chart, legend, rule, text
from xingliu.drawing.ticks import Tick, power_ticks, round_ticks

LEFT, RIGHT, TOP, ROW, BETWEEN = 250, 70, 40, 15, 10
WIDE = 30


@dataclass(frozen=True, slots=True)
class Bars:
    """A row: its name, a remark in grey, a number for each series (None: it has none there)."""

    name: str
    remark: str
    values: Sequence[float | None]


def draw_bars(rows: Sequence[Bars], series: Sequence[str], *, says: str, unit: str, mark: Tick | None = None) -> str:
    """Bars from 0, the number behind each; `mark`: a dashed rule with a name, such as what is ideal.

    Where the longest is more than `WIDE` and none is below 1, the scale is logarithmic, from 1.
    """
    values = [value for row in rows for value in row.values if value is not None]
    most = max([mark[0] if mark else 0.0, *values], default=1.0)
    powers = most > WIDE and min(values) >= 1
    ticks = power_ticks(most) if powers else round_ticks(most)
    top = TOP if len(series) > 1 else TOP - 18
    high = ROW * len(series) + BETWEEN
    floor = top + high * len(rows)

    def x(value: float) -> float:
        part = log10(value) / log10(ticks[-1][0]) if powers else value / ticks[-1][0]
        return LEFT + (WIDTH - LEFT - RIGHT) * part

    marks = [legend(series, x=LEFT, y=14, kinds="box")] if len(series) > 1 else []
    for value, said in ticks:
        marks.append(rule(x(value), top - 4, x(value), floor, kind="grid"))
        marks.append(text(said, x(value), floor + 18, kind="tick", anchor="middle"))
    for number, row in enumerate(rows):
        middle = top + high * number + high / 2
        marks.append(text(row.name, LEFT - 98, middle + 4, kind="name", anchor="end"))
        marks.append(text(row.remark, LEFT - 12, middle + 4, kind="note", anchor="end"))
        for place, bar in enumerate(row.values):
            if bar is not None:
                y = middle + ROW * (place - len(series) / 2)
                marks.append(box(LEFT, y + 1, x(bar) - LEFT, ROW - 3, kind=f"fill s{place % SERIES_MAX}", says=row.name))
                marks.append(text(f"{bar:,.2f}", x(bar) + 5, y + ROW - 4, kind="note"))
    if mark is not None:
        marks.append(rule(x(mark[0]), top - 6, x(mark[0]), floor, kind="limit"))
        marks.append(text(mark[1], x(mark[0]) + 4, top - 8, kind="note"))
    marks.append(text(unit, WIDTH - 4, floor + 18, kind="note", anchor="end"))
    return chart(floor + 28, *marks, says=says)
