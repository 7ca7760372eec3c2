"""The hour in which most was waited for: who had which GPUs, and who stood in line."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from xingliu.drawing.gantt import Band, Bar, draw_gantt
from xingliu.drawing.page import figure, heading, paragraph, table
from xingliu.drawing.svg import SERIES_MAX
from xingliu.drawing.ticks import show_span
from xingliu.forecast.findings import HOUR_US, SIZES, Findings, size_word
from xingliu.forecast.playing import Played, Run, Stay
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import NodeName
from xingliu.kernel.intervals import Interval
from xingliu.kernel.units import show_instant, show_milli
from xingliu.scheduling.model import Part

LANES_MAX = 160
NODES_MAX = 40
WAITERS_MAX = 10
NAMES_MAX = 7
STACKED_MAX = 12

Colour = Callable[[Stay], int]


class Holding(NamedTuple):
    """A run of a job on one node, with the GPUs it held there."""

    stay: Stay
    run: Run
    gpus: tuple[int, ...]


def draw_hour(played: Played, found: Findings, *, dated: bool) -> list[str]:
    """Parts of a page: a Gantt chart of the hour, and the largest of those who waited in it."""
    start_us, end_us = found.worst_hour_us, found.worst_hour_us + HOUR_US
    hour = Interval(start_us, end_us)
    held = [(stay, run) for stay in played.stays for run in stay.runs if _meet(run.start_us, run.end_us, hour)]
    waiting = [stay for stay in played.stays if any(_meet(begin_us, until_us, hour) for begin_us, until_us in stay.in_line())]
    names, colour_of = _colours([stay for stay, _ in held], found)
    bands = _bands(played, held, colour_of, hour)
    when = (
        show_instant(start_us).replace("T", " ").removesuffix("Z")
        if dated
        else f"{show_span((start_us - found.window_us[0]) // SECOND_US)} in"
    )
    which = "waited for most" if found.anyone_waited else "busiest (nobody waited)"
    of = (
        f"; {len(bands)} of {len(played.estate.nodes):,} nodes, those where most changed"
        if len(bands) < len(played.estate.nodes)
        else ""
    )
    says = f"{found.name}: the hour from {when}"
    drawn = draw_gantt(bands, names, start_s=start_us // SECOND_US, end_s=end_us // SECOND_US, dated=dated, says=says)
    lane = "each GPU" if found.unit == "GPU" else "each job that a node runs at a time"
    caption = f"The hour {which}, from {when}: a lane for {lane}{of}. Grey was free."
    return [heading(found.name, 3), figure(drawn, caption), *_line(waiting, found, end_us)]


def _meet(begin_us: int, until_us: int, hour: Interval) -> bool:
    return Interval(begin_us, until_us).within(hour).length_us > 0


def _colours(running: Sequence[Stay], found: Findings) -> tuple[list[str], Colour]:
    """By tenant, those that used most apart and all others together; where all is one tenant's, by size."""
    there = {stay.arrival.tenant for stay in running}
    if len(there) == 1:
        sizes = {stay.arrival.job.id: size_word(max(1, _asked(stay, found))) for stay in running}
        words = [said for _, said in SIZES if said in sizes.values()]
        return [f"{word} {found.unit}{'' if word == '1' else 's'}" for word in words], lambda stay: words.index(
            sizes[stay.arrival.job.id]
        )
    named = [tenant.tenant for tenant in found.tenants if tenant.tenant in there]
    shown = named if len(named) <= SERIES_MAX else [*named[:NAMES_MAX], "others"]
    number_of = {tenant: min(number, len(shown) - 1) for number, tenant in enumerate(named)}
    return shown, lambda stay: number_of[stay.arrival.tenant]


def _asked(stay: Stay, found: Findings) -> int:
    """Whole GPUs or cores, over all its nodes."""
    return stay.arrival.gpus if found.unit == "GPU" else stay.arrival.cpu_milli // 1000


def _bands(played: Played, held: Sequence[tuple[Stay, Run]], colour_of: Colour, hour: Interval) -> list[Band]:
    on_node: dict[NodeName, list[Holding]] = defaultdict(list)
    for stay, run in held:
        for node, gpus in run.seats:
            on_node[node].append(Holding(stay, run, gpus))

    def changes(name: NodeName) -> int:
        ends = [at_us for of in on_node[name] for at_us in (of.run.start_us, of.run.end_us)]
        return sum(hour.start_us < at_us < hour.end_us for at_us in ends)

    lanes = {node.name: len(node.free_gpus) for node in played.estate.nodes}
    chosen: list[NodeName] = []
    left = LANES_MAX
    for name in sorted(lanes, key=lambda name: (-changes(name), -len(on_node[name]), name)):
        needed = lanes[name] or min(STACKED_MAX, 1 + max(_stacked(on_node[name]), default=0))
        if len(chosen) < NODES_MAX and left >= needed:
            chosen.append(name)
            left -= needed
    return [_band(name, lanes[name], on_node[name], colour_of) for name in sorted(chosen)]


def _stacked(held: Sequence[Holding]) -> list[int]:
    """Without GPUs: for each, in order of their starts, the first lane that is free then."""
    until: list[int] = []
    found = []
    for run in sorted((of.run for of in held), key=lambda run: run.start_us):
        lane = next((number for number, end_us in enumerate(until) if end_us <= run.start_us), len(until))
        until[lane : lane + 1] = [run.end_us]
        found.append(lane)
    return found


def _band(name: NodeName, gpus: int, held: Sequence[Holding], colour_of: Colour) -> Band:
    bars: list[Bar] = []
    if gpus:
        for of in held:
            bars += [_bar(of, first, last, colour_of) for first, last in _runs(of.gpus)]
        return Band(name, gpus, bars)
    in_order = sorted(held, key=lambda of: of.run.start_us)
    for of, lane in zip(in_order, _stacked(held), strict=True):
        bars.append(_bar(of, lane, lane, colour_of))
    return Band(name, max((bar.last + 1 for bar in bars), default=1), bars)


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring indices together: (0, 1, 2, 5) is 0-2 and 5-5."""
    found: list[tuple[int, int]] = []
    for index in sorted(indices):
        if found and found[-1][1] == index - 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found


def _bar(of: Holding, first: int, last: int, colour_of: Colour) -> Bar:
    job, run = of.stay.arrival.job, of.run
    says = (
        f"{job.name} of {of.stay.arrival.tenant}: {_request(of.stay)}, waited {_span(of.stay.wait_us or 0)}, "
        f"runs {_span(of.stay.arrival.run_us)}"
    )
    return Bar(first, last, run.start_us // SECOND_US, run.end_us // SECOND_US, colour_of(of.stay), job.name[:24], says)


def _span(length_us: int) -> str:
    return show_span(length_us // SECOND_US)


def _request(stay: Stay) -> str:
    """`4 x 8 GPUs`."""
    return " and ".join(map(_part, stay.arrival.job.parts))


def _part(part: Part) -> str:
    each = f"{part.request.gpu.count} GPUs" if part.request.gpu else f"{show_milli(part.request.cpu_milli)} cores"
    return f"{part.replicas} x {each}" if part.replicas > 1 else each


def _line(waiting: Sequence[Stay], found: Findings, end_us: int) -> list[str]:
    if not waiting:
        return []
    asked = sum(_asked(stay, found) for stay in waiting)
    rows = []
    for stay in sorted(waiting, key=lambda stay: (-stay.arrival.gpus, -stay.arrival.cpu_milli, stay.submitted_us))[:WAITERS_MAX]:
        job = stay.arrival.job
        so_far_us = sum(
            Interval(begin_us, until_us).within(Interval(0, end_us)).length_us for begin_us, until_us in stay.in_line()
        )
        rows.append([job.name[:40], stay.arrival.tenant, _request(stay), _span(so_far_us), _span(stay.wait_us or 0)])
    said = f"In line during this hour: {len(waiting):,} jobs for {asked:,} {found.unit}s together. The largest of them:"
    return [paragraph(said), table(["job", "tenant", "asked for", "waited by the end of the hour", "waited in all"], rows)]
