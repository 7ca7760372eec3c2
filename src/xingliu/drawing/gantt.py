"""Who had what, when: a lane for each GPU, nodes under each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from xingliu.drawing.svg import SERIES_MAX, WIDTH, box, chart, legend, rule, text
from xingliu.drawing.ticks import time_ticks

LEFT, RIGHT, TOP, BETWEEN = 150, 16, 34, 5
TALL, LOW = 14, 5


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that held lanes `first` to `last` of a node, between two instants. `colour` counts from 0."""

    first: int
    last: int
    start_s: float
    end_s: float
    colour: int
    label: str
    says: str


@dataclass(frozen=True, slots=True)
class Band:
    """A node with its number of lanes."""

    name: str
    lanes: int
    bars: Sequence[Bar]


def draw_gantt(bands: Sequence[Band], names: Sequence[str], *, start_s: int, end_s: int, dated: bool, says: str) -> str:
    """Time to the right, nodes downwards; `names` are what the colours stand for. What is not covered was free."""
    lane = max(LOW, min(TALL, 900 / max(1, sum(band.lanes for band in bands))))
    wide = WIDTH - LEFT - RIGHT

    def x(at_s: float) -> float:
        return LEFT + wide * (max(start_s, min(end_s, at_s)) - start_s) / (end_s - start_s)

    marks, y = [legend(names, x=LEFT, y=14, kinds="box")], float(TOP)
    for band in bands:
        high = lane * band.lanes
        marks.append(box(LEFT, y, wide, high, kind="free", says=f"{band.name}: free"))
        marks.append(text(band.name, LEFT - 8, y + high / 2 + 4, kind="name", anchor="end"))
        marks += [
            _bar(bar, x(bar.start_s), x(bar.end_s), y + lane * bar.first, lane * (bar.last - bar.first + 1)) for bar in band.bars
        ]
        y += high + BETWEEN
    for at_s, said in time_ticks(start_s, end_s, dated=dated, count=7):
        marks.append(rule(x(at_s), TOP, x(at_s), y, kind="over"))
        anchor = "end" if at_s >= end_s else "middle"
        marks.append(text(said, x(at_s), y + 15, kind="tick", anchor=anchor))
    return chart(y + 24, *marks, says=says)


def _bar(bar: Bar, left: float, right: float, y: float, high: float) -> str:
    drawn = box(left, y + 0.5, max(1.0, right - left - 0.7), high - 1, kind=f"fill s{bar.colour % SERIES_MAX}", says=bar.says)
    fits = high >= 11 and right - left > 6.6 * len(bar.label) + 8
    return drawn + (text(bar.label, left + 4, y + high / 2 + 4, kind="inside") if fits else "")
