"""What people and scripts see: aligned tables, JSON, colours on a terminal, times in words."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from xingliu.kernel.resources import CPU, MEMORY
from xingliu.kernel.units import show_bytes, show_duration, show_milli

Json = Mapping[str, Any]
STALE_US = 2_000_000
COLOURS = {
    "RUNNING": "green",
    "SUCCEEDED": "green",
    "ready": "green",
    "now": "green",
    "PENDING": "yellow",
    "STARTING": "yellow",
    "STOPPING": "yellow",
    "later": "yellow",
    "joining": "yellow",
    "draining": "yellow",
    "drained": "yellow",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "down": "red",
    "unhealthy": "red",
    "never": "red",
}


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "Nothing here yet.") -> None:
    """Columns as wide as they need to be, two spaces apart; `empty` on standard error when there is no row."""
    lines = table_lines(headers, rows)
    if len(lines) == 1:
        click.echo(empty, err=True)
        return
    for line in lines:
        click.echo(line)


def table_lines(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [list(headers), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    return ["  ".join(_painted(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def print_fields(fields: Mapping[str, object]) -> None:
    """`name  value` lines, for one thing; what is None or empty is left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "")}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {_painted(_cell(value), 0)}")


def _cell(value: object) -> str:
    return "-" if value in (None, "") else " ".join(str(value).split("\n"))


def _painted(cell: str, width: int) -> str:
    padded = f"{cell:<{width}}"
    return click.style(padded, fg=COLOURS[cell]) if cell in COLOURS and _coloured() else padded


def _coloured() -> bool:
    return sys.stdout.isatty()


def note(message: str) -> None:
    """A remark beside the output, on standard error."""
    click.echo(message, err=True)


def show_resources(amounts: Mapping[str, int] | None) -> str:
    """`2 cores, 4 GB`; by flavor: `8 GPUs of h100`."""
    return ", ".join(show_amount(kind, amount) for kind, amount in (amounts or {}).items())


def show_amount(kind: str, amount: int) -> str:
    """One kind of a vector: millicores, bytes or milli-GPU, in words."""
    word, _, flavor = kind.partition(".")
    if kind == MEMORY:
        return show_bytes(amount)
    unit = show_cores(amount) if word == CPU else f"{show_milli(amount)} {'GPU' if amount == 1000 else 'GPUs'}"
    return f"{unit} of {flavor}" if flavor else unit


def show_cores(milli: int) -> str:
    return f"{show_milli(milli)} {'core' if milli == 1000 else 'cores'}"


def show_request(resources: Json | None) -> str:
    """What one replica asks for: `8 H100` or `2 cores`, and its memory."""
    if not resources:
        return ""
    gpu = resources.get("gpu")
    first = f"{gpu['count']} {gpu.get('model') or 'GPU'}" if gpu else show_cores(resources["cpu_milli"])
    return f"{first}, {show_bytes(resources['memory_bytes'])}"


def show_time(us: int | None) -> str:
    """Local time to the second; the day only when it is another one."""
    if us is None:
        return ""
    then = datetime.fromtimestamp(us // 1_000_000)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


def show_span(start_us: int | None, end_us: int | None) -> str:
    """How long, in whole seconds at least; an open end is now."""
    if start_us is None:
        return ""
    length_us = max(0, (end_us if end_us is not None else now_us()) - start_us)
    return show_duration(length_us - length_us % 1_000_000 if length_us >= 10_000_000 else length_us)


def show_start(eta: Json) -> str:
    """`expected start 14:03:10, in 12m (why); such forecasts were off by 40s in the middle of 31 starts`."""
    if eta["start_us"] is None:
        return f"expected start unknown: {eta['sentence'].removeprefix('unknown: ')}"
    wait_us = eta["start_us"] - now_us()
    when = f"in {show_span(0, wait_us)}" if wait_us > 0 else "any moment"
    within = f", to within {show_span(0, eta['within_us'])}" if eta["within_us"] else ""
    return f"expected start {show_time(eta['start_us'])}, {when}{within} ({eta['sentence']}){_known(eta)}"


def _known(eta: Json) -> str:
    """How old a forecast is, where that matters, and how far off those of its kind were."""
    age_us = now_us() - eta["as_of_us"]
    age = f"; as of {show_span(0, age_us)} ago" if age_us > STALE_US else ""
    if eta["basis"] == "now":
        return age
    if eta["error_us"] is None:
        return f"{age}; how far off such forecasts are is not known yet"
    starts = f"{eta['error_of']} start{'' if eta['error_of'] == 1 else 's'}"
    return f"{age}; such forecasts were off by {show_span(0, eta['error_us'])} in the middle of {starts}"


def now_us() -> int:
    return int(datetime.now().timestamp() * 1_000_000)
