"""A page of pictures about a trace on one fleet, or on several side by side."""

from collections.abc import Sequence

from xingliu.drawing.bars import Bars, draw_bars
from xingliu.drawing.lines import Line, draw_lines
from xingliu.drawing.page import bullets, figure, heading, page, paragraph, table
from xingliu.drawing.ranges import Group, Spread, draw_spreads
from xingliu.drawing.ticks import show_number, show_span
from xingliu.forecast.findings import Course, Findings, TenantFinding, Waits, find
from xingliu.forecast.hour import draw_hour
from xingliu.forecast.playing import Played
from xingliu.forecast.trace import Trace
from xingliu.kernel.clock import SECOND_US

TENANTS_SHOWN = 16


def report(trace: Trace, fleets: Sequence[Played], notes: Sequence[str] = ()) -> str:
    """One self-contained HTML file. `fleets`: the same trace, played on each; names differ. `notes`: what to know of it."""
    found = find(*fleets)
    names = [findings.name for findings in found]
    title = f"{trace.source} on {' and '.join(names) if len(names) < 3 else f'{len(names)} fleets'}"
    return page(
        title,
        heading(title, 1),
        *(paragraph(_verdict(findings, several=len(found) > 1), "lead") for findings in found),
        _numbers(found),
        heading("How busy"),
        figure(
            _busy(found, dated=trace.dated),
            f"{_unit(found)} in use, as a share of all; each point is the mean of {_step(found)}.",
        ),
        heading("Who waited"),
        *(_waited(found, dated=trace.dated) if any(each.waits.most_s for each in found) else [paragraph("Nobody did.")]),
        heading("The worst hour"),
        *(
            part
            for played, findings in zip(fleets, found, strict=True)
            for part in draw_hour(played, findings, dated=trace.dated)
        ),
        heading("What this rests on"),
        bullets(_basis(trace, notes)),
    )


def _waited(found: Sequence[Findings], *, dated: bool) -> list[str]:
    return [
        figure(_line_of(found, dated=dated), f"Jobs in line; each point is the mean of {_step(found)}."),
        figure(_short_of(found, dated=dated), f"{_unit(found)} that the jobs in line ask for together."),
        heading("By size", 3),
        figure(_sizes(found), "Dot: half of the jobs waited no longer. Thick line: 90 in 100. Thin line: 99 in 100."),
        heading("By tenant", 3),
        *_fairness(found),
    ]


def _unit(found: Sequence[Findings]) -> str:
    return "GPUs" if found[0].unit == "GPU" else "Cores"


def _step(found: Sequence[Findings]) -> str:
    return show_span(found[0].busy.step_us // SECOND_US)


def _verdict(found: Findings, *, several: bool) -> str:
    waits = found.waits
    name = f"{found.name}: " if several else ""
    if waits.p99_s < 1:
        waited = f"hardly any of {waits.jobs:,} jobs waited"
    else:
        half = "half of them started at once" if waits.p50_s < 1 else f"half of them waited {show_span(waits.p50_s)} or less"
        waited = f"of {waits.jobs:,} jobs {half}, and one in a hundred waited {show_span(waits.p99_s)} or more"
    never = f" {waits.never:,} could never start." if waits.never else ""
    share = f"{found.busy_mean:.0%}" if found.busy_mean > 0.1 else f"{found.busy_mean:.1%}"
    busy = f"{share} of {found.capacity:,} {found.unit}s were busy"
    worst = ""
    if len(found.tenants) > 1 and found.worst_tenant.slowdown > 1.05:
        worst = f" Slowed most: {found.worst_tenant.tenant}, {found.worst_tenant.slowdown:.1f}-fold on average."
    return f"{name}{busy}; {waited}.{never}{worst}"


def _numbers(found: Sequence[Findings]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("jobs that ran", [f"{each.waits.jobs:,}" for each in found]),
        ("jobs that never could", [f"{each.waits.never:,}" for each in found]),
        ("times that one was stopped for another", [f"{each.stops:,}" for each in found]),
        (f"{found[0].unit}s", [f"{each.capacity:,}" for each in found]),
        ("in use, mean", [f"{each.busy_mean:.1%}" for each in found]),
        ("wait, mean", [show_span(each.waits.mean_s) for each in found]),
        ("wait, half at most", [show_span(each.waits.p50_s) for each in found]),
        ("wait, 90 in 100 at most", [show_span(each.waits.p90_s) for each in found]),
        ("wait, 99 in 100 at most", [show_span(each.waits.p99_s) for each in found]),
        ("wait, longest", [show_span(each.waits.most_s) for each in found]),
        ("slowdown, mean", [f"{each.slowdown:.2f}" for each in found]),
        ("slowdown of the worst tenant", [f"{each.worst_tenant.slowdown:.2f}" for each in found]),
        ("fairness among tenants (1 is even)", [f"{each.fairness:.3f}" for each in found]),
        ("until the last job ended", [show_span(each.makespan_s) for each in found]),
    ]
    return table(["", *(each.name for each in found)], [[name, *cells] for name, cells in rows])


def _busy(found: Sequence[Findings], *, dated: bool) -> str:
    lines = [_line(each.name, each.busy, times=100.0) for each in found]
    says = "; ".join(f"{each.name}: {each.busy_mean:.0%} busy on average" for each in found)
    return draw_lines(lines, says=says, dated=dated, unit="%", top=100.0)


def _line_of(found: Sequence[Findings], *, dated: bool) -> str:
    lines = [_line(each.name, each.waiting) for each in found]
    says = "; ".join(f"{each.name}: at most {show_number(round(max(each.waiting.values)))} waiting" for each in found)
    return draw_lines(lines, says=says, dated=dated, unit="jobs", top=1.0)


def _short_of(found: Sequence[Findings], *, dated: bool) -> str:
    lines = [_line(each.name, each.short) for each in found]
    says = "; ".join(f"{each.name}: at most {show_number(round(max(each.short.values)))} asked for in line" for each in found)
    alone = found[0] if len(found) == 1 else None
    limit = (float(alone.capacity), f"all {alone.capacity:,} {alone.unit}s there are") if alone else None
    return draw_lines(lines, says=says, dated=dated, unit=_unit(found), top=1.0, limit=limit, height=200)


def _line(name: str, course: Course, *, times: float = 1.0) -> Line:
    start_s, step_s = course.start_us // SECOND_US, course.step_us // SECOND_US
    return Line(name, start_s, step_s, [times * value for value in course.values])


def _sizes(found: Sequence[Findings]) -> str:
    labels = list(dict.fromkeys(label for each in found for label, _ in each.by_size))
    order = [label for label in _order(found) if label in labels]
    groups = []
    for label in order:
        waits = [dict(each.by_size).get(label) for each in found]
        jobs = max(one.jobs + one.never for one in waits if one is not None)
        what = f"{label} {found[0].unit}{'' if label == '1' else 's'}"
        groups.append(Group(what, f"{jobs:,} jobs", [_spread(one, each.name) for one, each in zip(waits, found, strict=True)]))
    return draw_spreads(groups, [each.name for each in found], says="How long jobs waited, by what they asked for")


def _order(found: Sequence[Findings]) -> list[str]:
    return max(([label for label, _ in each.by_size] for each in found), key=len)


def _spread(waits: Waits | None, name: str) -> Spread | None:
    return None if waits is None or not waits.jobs else Spread(waits.p50_s, waits.p90_s, waits.p99_s, name)


def _fairness(found: Sequence[Findings]) -> list[str]:
    tenants = [tenant.tenant for tenant in found[0].tenants][:TENANTS_SHOWN]
    by_name = [{tenant.tenant: tenant for tenant in each.tenants} for each in found]
    names = [each.name for each in found]
    hidden = len(found[0].tenants) - len(tenants)
    more = f" The {len(tenants)} that used most, of {len(found[0].tenants)}." if hidden else ""
    bars, groups = [], []
    for tenant in tenants:
        each_in = [known.get(tenant) for known in by_name]
        share = f"{each_in[0].share:.1%} of use" if each_in[0] else ""
        jobs = f"{each_in[0].waits.jobs:,} jobs" if each_in[0] else ""
        bars.append(Bars(_short(tenant), share, [one.slowdown if one and one.waits.jobs else None for one in each_in]))
        groups.append(Group(_short(tenant), jobs, [_tenant_spread(one, name) for one, name in zip(each_in, names, strict=True)]))
    fair = "; ".join(f"{each.name} {each.fairness:.3f}" if len(found) > 1 else f"{each.fairness:.3f}" for each in found)
    says = "How much longer jobs took than they ran, by tenant"
    return [
        figure(draw_spreads(groups, names, says="How long jobs waited, by tenant"), f"Waits, read as above.{more}"),
        heading("Fairness among tenants", 3),
        figure(
            draw_bars(bars, names, says=says, unit="times", mark=(1.0, "no wait at all")),
            "Slowdown: mean of (wait + run) / run, a run of less than a minute counted as one. Bars of one length are fair. "
            f"Jain's index over tenants: {fair} (1: all are slowed alike).",
        ),
    ]


def _tenant_spread(found: TenantFinding | None, name: str) -> Spread | None:
    return None if found is None else _spread(found.waits, name)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _basis(trace: Trace, notes: Sequence[str]) -> list[str]:
    return [
        f"{len(trace.jobs):,} jobs of {trace.source}, read as {trace.format}.",
        *(f"{note}." for note in trace.notes),
        *notes,
        "Decisions are those of the scheduler that production runs, called in virtual time at every submission and end that "
        "could change something. Starting and stopping take no time, nothing fails, and each job runs as long as it did; one "
        "that is stopped for another goes on from where it was.",
    ]
