"""Marks of a drawing: elements with their attributes, rounded and escaped."""

from collections.abc import Iterable
from html import escape

WIDTH = 960
SERIES_MAX = 8


def element(name: str, *inside: str, **attributes: object) -> str:
    """`element("text", "a < b", x=1)`; what is inside is markup already. `class_` is class, `_` in names is `-`."""
    said = "".join(f' {_name(key)}="{_shown(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{name}{said}>{''.join(inside)}</{name}>" if inside else f"<{name}{said}/>"


def text(words: str, x: float, y: float, *, kind: str = "", anchor: str | None = None) -> str:
    """Words at a place; `kind` is a class, `anchor` start, middle or end."""
    return element("text", escape(words), x=x, y=y, class_=kind or None, text_anchor=anchor)


def box(x: float, y: float, width: float, height: float, *, kind: str, says: str = "") -> str:
    inside = (tooltip(says),) if says else ()
    return element("rect", *inside, x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=kind)


def rule(x1: float, y1: float, x2: float, y2: float, *, kind: str) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def path(points: Iterable[tuple[float, float]], *, kind: str, closed: bool = False) -> str:
    steps = "L".join(f"{_shown(x)} {_shown(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=kind) if steps else ""


def dot(x: float, y: float, radius: float, *, kind: str, says: str = "") -> str:
    inside = (tooltip(says),) if says else ()
    return element("circle", *inside, cx=x, cy=y, r=radius, class_=kind)


def tooltip(words: str) -> str:
    return element("title", escape(words) or " ")


def chart(height: float, *marks: str, says: str) -> str:
    """The whole drawing; `says` is what a screen reader reads of it."""
    return element(
        "svg",
        tooltip(says),
        *marks,
        viewBox=f"0 0 {WIDTH} {_shown(height)}",
        role="img",
        class_="chart",
        xmlns="http://www.w3.org/2000/svg",
    )


def legend(names: Iterable[str], *, x: float, y: float, kinds: str = "line") -> str:
    """A row of names, each with its colour."""
    marks = []
    for number, name in enumerate(names):
        colour = number % SERIES_MAX
        if kinds == "line":
            marks.append(rule(x, y - 4, x + 20, y - 4, kind=f"line s{colour}"))
        else:
            marks.append(box(x, y - 10, 12, 12, kind=f"fill s{colour}"))
        offset = 26 if kinds == "line" else 18
        marks.append(text(name, x + offset, y, kind="name"))
        x += offset + 7.2 * len(name) + 22
    return "".join(marks)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-") if key != "viewBox" else key


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value))
