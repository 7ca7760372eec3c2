"""The hour in which most was waited for: who had which GPUs, and who stood in line."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from xingliu.drawing.gantt import Band, Bar, draw_gantt
from xingliu.drawing.page import figure, heading, paragraph, table
from xingliu.drawing.svg import SERIES_MAX
from xingliu.drawing.ticks import show_span
from xingliu.forecast.findings import HOUR_US, SIZES, Findings, size_word
from xingliu.forecast.playing import Played, Stay
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import NodeName
from xingliu.kernel.units import show_instant, show_milli

LANES_MAX = 160
NODES_MAX = 40
WAITERS_MAX = 10
NAMES_MAX = 7

Colour = Callable[[Stay], int]


def draw_hour(played: Played, found: Findings, *, dated: bool) -> list[str]:
    """Parts of a page: a Gantt chart of the hour, and the largest of those who waited in it."""
    start_us, end_us = found.worst_hour_us, found.worst_hour_us + HOUR_US
    running = [stay for stay in played.stays if _overlaps(stay.started_us, stay.ended_us, start_us, end_us)]
    waiting = [stay for stay in played.stays if _overlaps(stay.submitted_us, stay.started_us, start_us, end_us)]
    waiting = [stay for stay in waiting if stay.started_us != stay.submitted_us and (stay.seats or not stay.reason)]
    names, colour_of = _colours(running, found)
    bands = _bands(played, running, colour_of, start_us, end_us)
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


def _overlaps(begin_us: int | None, end_us: int | None, start_us: int, until_us: int) -> bool:
    return begin_us is not None and begin_us < until_us and (end_us is None or end_us > start_us)


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


def _bands(played: Played, running: Sequence[Stay], colour_of: Colour, start_us: int, end_us: int) -> list[Band]:
    on_node: dict[NodeName, list[tuple[Stay, tuple[int, ...]]]] = defaultdict(list)
    for stay in running:
        for node, gpus in stay.seats:
            on_node[node].append((stay, gpus))

    def changes(name: NodeName) -> int:
        ends = [at_us for stay, _ in on_node[name] for at_us in (stay.started_us, stay.ended_us)]
        return sum(at_us is not None and start_us < at_us < end_us for at_us in ends)

    lanes = {node.name: len(node.free_gpus) for node in played.estate.nodes}
    chosen: list[NodeName] = []
    left = LANES_MAX
    for name in sorted(lanes, key=lambda name: (-changes(name), -len(on_node[name]), name)):
        needed = lanes[name] or _lanes_needed(on_node[name])
        if len(chosen) < NODES_MAX and left >= needed:
            chosen.append(name)
            left -= needed
    return [_band(name, lanes[name], on_node[name], colour_of) for name in sorted(chosen)]


def _lanes_needed(held: Sequence[tuple[Stay, tuple[int, ...]]]) -> int:
    return max(1, min(12, 1 + max(_stacked(held), default=0)))


def _stacked(held: Sequence[tuple[Stay, tuple[int, ...]]]) -> list[int]:
    """Without GPUs: for each, the first lane that is free when it starts."""
    until: list[int] = []
    found = []
    for stay, _ in sorted(held, key=lambda pair: pair[0].started_us or 0):
        began = stay.started_us or 0
        lane = next((number for number, end_us in enumerate(until) if end_us <= began), len(until))
        until[lane : lane + 1] = [stay.ended_us or 0]
        found.append(lane)
    return found


def _band(name: NodeName, gpus: int, held: Sequence[tuple[Stay, tuple[int, ...]]], colour_of: Colour) -> Band:
    bars: list[Bar] = []
    if gpus:
        for stay, indices in held:
            bars += [_bar(stay, first, last, colour_of) for first, last in _runs(indices)]
        return Band(name, gpus, bars)
    in_order = sorted(held, key=lambda pair: pair[0].started_us or 0)
    for (stay, _), lane in zip(in_order, _stacked(held), strict=True):
        bars.append(_bar(stay, lane, lane, colour_of))
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


def _bar(stay: Stay, first: int, last: int, colour_of: Colour) -> Bar:
    start_us, end_us = stay.started_us or 0, stay.ended_us or 0
    job = stay.arrival.job
    says = (
        f"{job.name} of {stay.arrival.tenant}: {_request(stay)}, "
        f"waited {show_span((start_us - stay.submitted_us) // SECOND_US)}, runs {show_span(stay.arrival.run_us // SECOND_US)}"
    )
    return Bar(first, last, start_us // SECOND_US, end_us // SECOND_US, colour_of(stay), job.name[:24], says)


def _request(stay: Stay) -> str:
    """`4 x 8 GPUs`."""
    job = stay.arrival.job
    each = f"{job.request.gpu.count} GPUs" if job.request.gpu else f"{show_milli(job.request.cpu_milli)} cores"
    return f"{job.replicas} x {each}" if job.replicas > 1 else each


def _line(waiting: Sequence[Stay], found: Findings, end_us: int) -> list[str]:
    if not waiting:
        return []
    asked = sum(_asked(stay, found) for stay in waiting)
    rows = []
    for stay in sorted(waiting, key=lambda stay: (-stay.arrival.gpus, -stay.arrival.cpu_milli, stay.submitted_us))[:WAITERS_MAX]:
        job = stay.arrival.job
        wait = "never started" if stay.wait_us is None else show_span(stay.wait_us // SECOND_US)
        so_far = show_span((min(end_us, stay.started_us or end_us) - stay.submitted_us) // SECOND_US)
        rows.append([job.name[:40], stay.arrival.tenant, _request(stay), so_far, wait])
    said = f"In line during this hour: {len(waiting):,} jobs for {asked:,} {found.unit}s together. The largest of them:"
    return [paragraph(said), table(["job", "tenant", "asked for", "waited by the end of the hour", "waited in all"], rows)]
