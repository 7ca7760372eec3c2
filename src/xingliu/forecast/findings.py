"""What a played trace shows: how busy the fleet was, who waited how long, how fairly, and when it was worst."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from xingliu.forecast.playing import Played, Stay
from xingliu.kernel.clock import SECOND_US

HOUR_US = 3600 * SECOND_US
BINS = 480
SHORT_S = 60
SIZES = ((1, "1"), (2, "2"), (4, "3-4"), (8, "5-8"), (16, "9-16"), (64, "17-64"), (None, "65 or more"))
Weighted = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Course:
    """A mean over time: `values[n]` over [start_us + n * step_us, + step_us). Shapes: values (n,)."""

    start_us: int
    step_us: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Waits:
    """Of some jobs: how many started, how many never did, and how long those that started had waited, seconds."""

    jobs: int
    never: int
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    most_s: float


@dataclass(frozen=True, slots=True)
class TenantFinding:
    """One tenant. `slowdown`: mean of (wait + run) / run, runs under a minute counted as one. `share`: of all use."""

    tenant: str
    waits: Waits
    slowdown: float
    used_hours: float
    share: float


@dataclass(frozen=True, slots=True)
class Findings:
    """The numbers of one fleet.

    Attributes:
        unit: GPU or core; what `capacity`, utilisation and the use of tenants are counted in.
        window_us: from the first submission to the last submission or start on any fleet, at least an hour: means are over it.
        stops: how often a job was stopped for another; it came back.
        busy: share of the capacity in use, 0 to 1; `waiting` jobs in line; `short` units asked for by them.
        fairness: Jain's index over the tenants' slowdowns: 1 where all are slowed alike, 1/n where one bears it all.
        worst_hour_us: where the hour begins in which most units were waited for; `anyone_waited` False: the busiest.
    """

    name: str
    unit: str
    capacity: int
    window_us: tuple[int, int]
    makespan_s: int
    stops: int
    decisions: int
    waits: Waits
    slowdown: float
    busy_mean: float
    busy: Course
    waiting: Course
    short: Course
    by_size: tuple[tuple[str, Waits], ...]
    tenants: tuple[TenantFinding, ...]
    fairness: float
    worst_hour_us: int
    anyone_waited: bool

    @property
    def worst_tenant(self) -> TenantFinding:
        """Whose jobs were slowed most."""
        return max(self.tenants, key=lambda tenant: tenant.slowdown)


def find(*fleets: Played) -> list[Findings]:
    """The findings of each fleet, over the same window. The same trace was played on all, of at least one job."""
    last_us = max(_last_us(played) for played in fleets)
    return [_find(played, last_us) for played in fleets]


def _last_us(played: Played) -> int:
    stays = played.stays
    starts = (stay.runs[-1].start_us for stay in stays if stay.runs)
    return max(stays[-1].submitted_us, *starts, stays[0].submitted_us + HOUR_US)


def _find(played: Played, last_us: int) -> Findings:
    stays, size = played.stays, _size_of(played)
    started = [stay for stay in stays if stay.started_us is not None]
    first_us = stays[0].submitted_us
    step_us = -(-(last_us - first_us) // BINS)
    unit_capacity = played.estate.capacity
    used = [(run.start_us, run.end_us, size(stay)) for stay in started for run in stay.runs]
    lined = [(begin_us, end_us, stay) for stay in stays for begin_us, end_us in stay.in_line()]
    busy = _course(used, first_us, step_us, BINS, scale=max(1, unit_capacity))
    hours = _totals(((start, end, size(stay)) for start, end, stay in lined), first_us, HOUR_US, _hours(first_us, last_us))
    fallback = _totals(used, first_us, HOUR_US, _hours(first_us, last_us))
    worst = max(range(len(hours)), key=lambda hour: (hours[hour], fallback[hour], -hour))
    tenants = _tenants(stays, size, _units(played))
    return Findings(
        name=played.estate.name,
        unit="GPU" if played.estate.counts_gpus else "core",
        capacity=unit_capacity if played.estate.counts_gpus else unit_capacity // 1000,
        window_us=(first_us, last_us),
        makespan_s=(max((stay.ended_us or 0 for stay in started), default=first_us) - first_us) // SECOND_US,
        stops=sum(max(0, len(stay.runs) - 1) for stay in stays),
        decisions=played.decisions,
        waits=_waits(stays),
        slowdown=_mean([_slowdown(stay) for stay in started]),
        busy_mean=_share(_totals(used, first_us, last_us - first_us, 1)[0], (last_us - first_us) * unit_capacity),
        busy=busy,
        waiting=_course(((start, end, 1) for start, end, _ in lined), first_us, step_us, BINS),
        short=_course(((start, end, size(stay)) for start, end, stay in lined), first_us, step_us, BINS, scale=_units(played)),
        by_size=tuple(_by_size(stays, size, _units(played))),
        tenants=tenants,
        fairness=_jain([tenant.slowdown for tenant in tenants if tenant.slowdown]),
        worst_hour_us=first_us + worst * HOUR_US,
        anyone_waited=hours[worst] > 0,
    )


def _hours(first_us: int, last_us: int) -> int:
    return max(1, -(-(last_us - first_us) // HOUR_US))


def _units(played: Played) -> int:
    """How many of the numbers a job is sized in make one unit: GPUs are whole, cores in thousandths."""
    return 1 if played.estate.counts_gpus else 1000


def _size_of(played: Played) -> Callable[[Stay], int]:
    if played.estate.counts_gpus:
        return lambda stay: stay.arrival.gpus
    return lambda stay: stay.arrival.cpu_milli


def _totals(intervals: Iterable[Weighted], start_us: int, step_us: int, count: int) -> list[int]:
    """Weight times microseconds in each of `count` steps; intervals are [start, end, weight), exact."""
    inside, slope = [0] * count, [0] * (count + 1)
    until_us = start_us + step_us * count
    for begin_us, end_us, weight in intervals:
        begin, end = max(begin_us, start_us) - start_us, min(end_us, until_us) - start_us
        if end <= begin:
            continue
        first, last = begin // step_us, end // step_us
        if first == last:
            inside[first] += weight * (end - begin)
            continue
        inside[first] += weight * ((first + 1) * step_us - begin)
        slope[first + 1] += weight * step_us
        slope[last] -= weight * step_us
        if last < count:
            inside[last] += weight * (end - last * step_us)
    level = 0
    for place in range(count):
        level += slope[place]
        inside[place] += level
    return inside


def _course(intervals: Iterable[Weighted], start_us: int, step_us: int, count: int, *, scale: int = 1) -> Course:
    totals = _totals(intervals, start_us, step_us, count)
    return Course(start_us, step_us, tuple(_share(total, step_us * scale) for total in totals))


def _share(part: int, whole: int) -> float:
    return float(Fraction(part, whole)) if whole else 0.0


def _waits(stays: Sequence[Stay]) -> Waits:
    waited = sorted(_seconds(stay.wait_us) for stay in stays if stay.wait_us is not None)
    never = len(stays) - len(waited)
    if not waited:
        return Waits(0, never, 0.0, 0.0, 0.0, 0.0, 0.0)
    p50, p90, p99 = (percentile(waited, of) for of in (50, 90, 99))
    return Waits(len(waited), never, _mean(waited), p50, p90, p99, waited[-1])


def percentile(in_order: Sequence[float], of: int) -> float:
    """The value that `of` in 100 are not above: the one at place `of * n // 100`, from 0."""
    return in_order[min(len(in_order) - 1, of * len(in_order) // 100)]


def _seconds(span_us: int) -> float:
    return _share(span_us, SECOND_US)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _slowdown(stay: Stay) -> float:
    run_s = max(float(SHORT_S), _seconds(stay.arrival.run_us))
    return (_seconds(stay.wait_us or 0) + run_s) / run_s


def _by_size(stays: Sequence[Stay], size: Callable[[Stay], int], units: int) -> Iterable[tuple[str, Waits]]:
    groups: dict[str, list[Stay]] = {said: [] for _, said in SIZES}
    for stay in stays:
        asked = -(-size(stay) // units)
        if asked:
            groups[size_word(asked)].append(stay)
    return ((said, _waits(group)) for said, group in groups.items() if group)


def size_word(asked: int) -> str:
    """Which of `SIZES` so many GPUs or cores, at least one, belong to."""
    return next(said for most, said in SIZES if most is None or asked <= most)


def _tenants(stays: Sequence[Stay], size: Callable[[Stay], int], units: int) -> tuple[TenantFinding, ...]:
    """Most use first."""
    groups: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        groups[stay.arrival.tenant].append(stay)
    used = {tenant: sum(size(stay) * stay.arrival.run_us for stay in group if stay.runs) for tenant, group in groups.items()}
    whole = sum(used.values())
    found = (
        TenantFinding(
            tenant,
            _waits(group),
            _mean([_slowdown(stay) for stay in group if stay.started_us is not None]),
            _share(used[tenant], HOUR_US * units),
            _share(used[tenant], whole),
        )
        for tenant, group in groups.items()
    )
    return tuple(sorted(found, key=lambda finding: (-finding.share, finding.tenant)))


def _jain(values: Sequence[float]) -> float:
    squares = len(values) * sum(value * value for value in values)
    return sum(values) ** 2 / squares if squares else 1.0
