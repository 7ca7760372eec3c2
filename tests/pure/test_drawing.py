"""Charts as text: round numbers on the scales, marks where they belong, and nothing from outside unescaped."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.drawing.bars import Bars, draw_bars
from xingliu.drawing.gantt import Band, Bar, draw_gantt
from xingliu.drawing.lines import Line, draw_lines
from xingliu.drawing.ranges import Group, Spread, draw_spreads
from xingliu.drawing.svg import WIDTH, text
from xingliu.drawing.ticks import power_ticks, round_ticks, show_span, span_ticks, time_ticks

DAY = 86_400


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (0, ["0", "1"]),
        (1, ["0", "0.25", "0.5", "0.75", "1"]),
        (100, ["0", "25", "50", "75", "100"]),
        (7, ["0", "2", "4", "6", "8"]),
        (5400, ["0", "2,000", "4,000", "6,000"]),
    ],
)
def test_a_scale_has_round_numbers_from_zero_to_beyond_the_largest(most: float, said: list[str]) -> None:
    assert [words for _, words in round_ticks(most)] == said


@given(st.floats(1e-6, 1e12))
def test_any_scale_has_few_ticks_and_reaches_what_it_must(most: float) -> None:
    ticks = [at for at, _ in round_ticks(most)]
    assert ticks[0] == 0 and ticks[-1] >= most * (1 - 1e-6) and 2 <= len(ticks) <= 6
    assert [at for at, _ in power_ticks(most)][-1] >= most


MONDAY = 1_504_483_200  # 2017-09-04


@pytest.mark.parametrize(
    ("start", "length", "dated", "said"),
    [
        (MONDAY, 6 * 3600, True, ["4 Sep", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00"]),
        (MONDAY + 3600, 4 * DAY, True, ["12:00", "5 Sep", "12:00", "6 Sep", "12:00", "7 Sep", "12:00", "8 Sep"]),
        (MONDAY, 12 * DAY, True, ["5 Sep", "7 Sep", "9 Sep", "11 Sep", "13 Sep", "15 Sep"]),
        (500, 12 * DAY, False, ["day 0", "day 2", "day 4", "day 6", "day 8", "day 10", "day 12"]),
        (500, 7200, False, ["0:00", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30", "1:45", "2:00"]),
    ],
)
def test_a_scale_of_time_has_round_instants_in_words(start: int, length: int, dated: bool, said: list[str]) -> None:
    assert [words for _, words in time_ticks(start, start + length, dated=dated)] == said


@given(st.integers(0, 2 * 10**9), st.integers(1, 10**8), st.booleans())
def test_instants_stay_within_their_scale_and_do_not_crowd(start: int, length: int, dated: bool) -> None:
    ticks = [at for at, _ in time_ticks(start, start + length, dated=dated)]
    assert all(start <= at <= start + length for at in ticks) and len(ticks) <= 10


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.6, "60 s"), (90, "1.5 min"), (3600, "1 h"), (129_600, "36 h"), (259_200, "3 d")]
)
def test_a_span_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert show_span(seconds) == said
    assert span_ticks(seconds)[-1][0] >= seconds


NUMBERS = ("d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height")
NAMES = st.text("aN<&>'\"é ]", min_size=1, max_size=8)
VALUES = st.lists(st.floats(0, 1e9), max_size=6)


def checked(drawn: str) -> ElementTree.Element:
    """Well-formed, every number finite, and nothing right of the page."""
    tree = ElementTree.fromstring(drawn)
    for each in tree.iter():
        assert not re.search("nan|inf", " ".join(each.get(name, "") for name in NUMBERS))
        for place in ("x", "x1", "x2", "cx"):
            assert -1 <= float(each.get(place, "0")) <= WIDTH + 400
        assert float(each.get("width", "0")) >= 0 and float(each.get("height", "0")) >= 0
    return tree


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=9), st.booleans())
def test_lines_of_any_values_are_drawn(series: list[tuple[str, list[float]]], dated: bool) -> None:
    lines = [Line(name, MONDAY, 60, values) for name, values in series]
    drawn = draw_lines(lines, says="<&>", dated=dated, unit="GPUs", limit=(3.0, "all of them"))
    tree = checked(drawn)
    assert next(each.text for each in tree.iter() if each.tag.endswith("title")) == "<&>"


@given(st.lists(st.tuples(NAMES, st.lists(st.none() | st.floats(0, 1e7), min_size=2, max_size=2)), max_size=5))
def test_bars_and_spreads_of_any_values_are_drawn(rows: list[tuple[str, list[float | None]]]) -> None:
    checked(draw_bars([Bars(name, "&", values) for name, values in rows], ["a", "b"], says="", unit="<", mark=(1.0, "one")))
    groups = [
        Group(name, "", [None if value is None else Spread(value, 2 * value, 3 * value, name) for value in values])
        for name, values in rows
    ]
    checked(draw_spreads(groups, ["a", "b"], says="s"))


@given(
    st.lists(
        st.tuples(NAMES, st.integers(1, 8), st.lists(st.tuples(st.integers(-9, 70), st.integers(-9, 70)), max_size=5)), max_size=9
    )
)
def test_a_gantt_keeps_its_bars_inside_the_hour(nodes: list[tuple[str, int, list[tuple[int, int]]]]) -> None:
    bands = [
        Band(name, lanes, [Bar(0, lanes - 1, min(span), max(span), 9, name, "says") for span in spans])
        for name, lanes, spans in nodes
    ]
    tree = checked(draw_gantt(bands, ["x"], start_s=0, end_s=60, dated=False, says="hour"))
    for each in tree.iter():
        if each.get("class") == "fill s1":
            assert float(each.get("x", "0")) >= 149 and float(each.get("x", "0")) + float(each.get("width", "0")) <= WIDTH


def test_words_from_outside_stay_words() -> None:
    assert text("</text><script>", 0.0, 1.25) == '<text x="0" y="1.2">&lt;/text&gt;&lt;script&gt;</text>'
