"""Values over time: lines, with the area under the only one filled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xingliu.drawing.svg import SERIES_MAX, WIDTH, chart, legend, path, rule, text
from xingliu.drawing.ticks import Tick, round_ticks, time_ticks

LEFT, RIGHT, BOTTOM = 64, 16, 30

Place = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Line:
    """A named series: `values[n]` holds from `start_s + n * step_s`, for `step_s`. Shapes: values (n,)."""

    name: str
    start_s: int
    step_s: float
    values: Sequence[float]


def draw_lines(
    lines: Sequence[Line],
    *,
    says: str,
    dated: bool,
    unit: str,
    top: float | None = None,
    limit: Tick | None = None,
    height: int = 260,
) -> str:
    """A chart of lines over time. `top`: the scale reaches at least there; `limit`: a dashed rule with a name."""
    start_s = min(line.start_s for line in lines)
    end_s = max(line.start_s + line.step_s * len(line.values) for line in lines)
    most = max([top or 0.0, *(max(line.values, default=0.0) for line in lines)])
    ticks = round_ticks(most)
    head = 34 if len(lines) > 1 else 26
    floor, wide = height - BOTTOM, WIDTH - LEFT - RIGHT

    def x(at_s: float) -> float:
        return LEFT + wide * (at_s - start_s) / max(1, end_s - start_s)

    def y(value: float) -> float:
        return floor - (floor - head) * value / ticks[-1][0]

    marks = [_grid(x, y, ticks, time_ticks(int(start_s), int(end_s), dated=dated), floor)]
    for number, line in enumerate(lines):
        points = [(x(line.start_s + place * line.step_s), y(value)) for place, value in enumerate(line.values)]
        if points:
            points.append((x(line.start_s + len(line.values) * line.step_s), points[-1][1]))
        colour = number % SERIES_MAX
        if len(lines) == 1 and points:
            marks.append(path([(points[0][0], floor), *points, (points[-1][0], floor)], kind=f"area s{colour}", closed=True))
        marks.append(path(points, kind=f"line s{colour}"))
    if limit is not None and limit[0] <= ticks[-1][0]:
        marks += [rule(LEFT, y(limit[0]), WIDTH - RIGHT, y(limit[0]), kind="limit")]
        marks += [text(limit[1], WIDTH - RIGHT - 4, y(limit[0]) - 5, kind="note", anchor="end")]
    if len(lines) > 1:
        marks.append(legend([line.name for line in lines], x=LEFT + 60, y=14))
    marks.append(text(unit, LEFT - 8, head - 12, kind="note", anchor="end"))
    return chart(height, *marks, says=says)


def _grid(x: Place, y: Place, ticks: Sequence[Tick], times: Sequence[Tick], floor: float) -> str:
    marks = []
    for value, said in ticks:
        marks.append(rule(LEFT, y(value), WIDTH - RIGHT, y(value), kind="grid"))
        marks.append(text(said, LEFT - 8, y(value) + 4, kind="tick", anchor="end"))
    for at_s, said in times:
        marks.append(rule(x(at_s), floor, x(at_s), floor + 5, kind="axis"))
        anchor = "end" if x(at_s) > WIDTH - RIGHT - 20 else "middle"
        marks.append(text(said, x(at_s), floor + 19, kind="tick", anchor=anchor))
    return "".join(marks)
