"""Usage and the conservation law: examples in words, then exactness on any history, and errors put in by hand."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xingliu.kernel.intervals import Interval
from xingliu.kernel.money import read_price
from xingliu.kernel.resources import Resources
from xingliu.metering.conservation import HOUR_US, Conservation, PoolBalance, conservation
from xingliu.metering.model import DeviceClass, HeldInterval, LeasedAs, LostTo, NodeSpan
from xingliu.metering.parts import leased, parts
from xingliu.metering.usage import By, Unit, list_price_minor, usage

SECOND = 1_000_000
KINDS = {"cpu": "cpu", "h100": "gpu.h100"}
DAY = Interval(0, 24 * HOUR_US)


def held(
    key: str,
    opened: int,
    started: int | None = None,
    ended: int | None = None,
    released: int | None = None,
    node: str = "n1",
    cores: int = 1,
    gpus: tuple[int, ...] = (),
    fault: LeasedAs | None = None,
    lost_to: LostTo | None = None,
    kept: int | None = None,
    tenant: str = "acme",
) -> HeldInterval:
    """A lease; instants in seconds."""
    flavor = "h100" if gpus else "cpu"
    at = [None if second is None else second * SECOND for second in (started, ended, released, kept)]
    resources = Resources({"cpu": cores * 1000, "gpu.h100": len(gpus) * 1000})
    return HeldInterval(
        key=key,
        node=node,
        pool=flavor,
        flavor=flavor,
        tenant=tenant,
        project=f"{tenant}/p",
        job=key,
        resources=resources,
        opened_us=opened * SECOND,
        started_us=at[0],
        ended_us=at[1],
        released_us=at[2],
        fault=fault,
        gpus=gpus,
        lost_to=lost_to,
        preserved_until_us=at[3],
    )


def span(
    start: int, end: int | None, device_class: DeviceClass = DeviceClass.IDLE, node: str = "n1", cores: int = 4, gpus: int = 0
) -> NodeSpan:
    """A node's time between two steps, in seconds."""
    capacity = Resources({"cpu": cores * 1000, "gpu.h100": gpus * 1000})
    end_us = None if end is None else end * SECOND
    return NodeSpan(node, "h100" if gpus else "cpu", device_class, capacity, start * SECOND, end_us)


B, S, R, L, O = LeasedAs.BILLED, LeasedAs.STARTING, LeasedAs.RELEASING, LeasedAs.SHIM_LOST, LeasedAs.OPERATOR  # noqa: E741

# case: a lease, seconds of each part until second 100
PARTS: dict[str, tuple[HeldInterval, dict[LeasedAs, int]]] = {
    "a whole life": (held("j", 10, 12, 30, 33), {S: 2, B: 18, R: 3}),
    "still starting": (held("j", 90), {S: 10}),
    "still running": (held("j", 90, 95), {S: 5, B: 5}),
    "not yet released": (held("j", 10, 12, 95), {S: 2, B: 83, R: 5}),
    "never started": (held("j", 10, None, None, 15), {S: 5}),
    "never started, with an end": (held("j", 10, None, 14, 15), {S: 4, R: 1}),
    "its shim was lost: billed as far as it was seen alive": (held("j", 10, 12, 30, 33, fault=L), {S: 2, B: 18, L: 3}),
    "lost before it started": (held("j", 10, None, None, 15, fault=L), {L: 5}),
    "lost, and nothing after the start was seen": (held("j", 10, 12, None, 15, fault=L), {S: 2, L: 3}),
    "the operator pays": (held("j", 10, 12, 30, None, fault=O), {S: 2, B: 18, O: 70}),
}


@pytest.mark.parametrize("case", PARTS)
def test_each_instant_of_a_lease_is_in_one_part(case: str) -> None:
    lease, seconds = PARTS[case]
    found = {part: interval.length_us // SECOND for part, interval in parts(lease, 100 * SECOND) if interval.length_us}
    assert found == seconds


def test_a_job_with_gpus_is_metered_in_gpus_and_any_other_in_cores() -> None:
    leases = [held("a", 0, 0, 10, 10, cores=8, gpus=(0, 1)), held("b", 0, 0, 10, 10, cores=8)]
    found = {reading.key: (reading.unit, reading.billed) for reading in usage(leases, DAY, By.JOB)}
    assert found == {"a": (Unit.GPU, 20_000 * SECOND), "b": (Unit.CORE, 80_000 * SECOND)}


def test_readings_are_added_up_by_tenant_project_or_job_and_by_flavor() -> None:
    leases = [
        held("a", 0, 0, 10, 10),
        held("b", 0, 0, 10, 10),
        held("c", 0, 0, 10, 10, gpus=(0,)),
        held("d", 0, 0, tenant="beta"),
    ]
    by_tenant = [
        (reading.key, reading.flavor, reading.billed // SECOND) for reading in usage(leases, Interval(0, 60 * SECOND), By.TENANT)
    ]
    assert by_tenant == [("acme", "cpu", 20_000), ("acme", "h100", 10_000), ("beta", "cpu", 60_000)]
    assert [reading.key for reading in usage(leases, DAY, By.PROJECT)] == ["acme/p", "acme/p", "beta/p"]
    assert [reading.key for reading in usage(leases, DAY, By.JOB)] == ["a", "b", "c", "d"]


# case: a lease, goodput in seconds, badput in seconds by cause
GOODPUT: dict[str, tuple[HeldInterval, int, dict[str, int]]] = {
    "succeeded": (held("j", 10, 12, 30, 33), 18, {"starting": 2, "releasing": 3}),
    "still runs": (held("j", 80, 90), 10, {"starting": 10}),
    "failed": (held("j", 10, 12, 30, 33, lost_to=LostTo.FAILED), 0, {"failed attempt": 18, "starting": 2, "releasing": 3}),
    "failed after a checkpoint": (held("j", 10, 10, 30, 30, lost_to=LostTo.FAILED, kept=25), 15, {"failed attempt": 5}),
    "a checkpoint of an earlier attempt keeps nothing": (held("j", 10, 10, 30, 30, lost_to=LostTo.HELD, kept=5), 0, {"held": 20}),
    "a checkpoint after its end keeps all": (held("j", 10, 10, 30, 30, lost_to=LostTo.CANCELLED, kept=40), 20, {}),
    "its shim was lost": (
        held("j", 10, 10, 30, 33, fault=L, lost_to=LostTo.NODE_FAILURE, kept=20),
        10,
        {"node failure": 10, "shim lost": 3},
    ),
    "never started": (held("j", 10, None, None, 15, lost_to=LostTo.FAILED), 0, {"starting": 5}),
}


@pytest.mark.parametrize("case", GOODPUT)
def test_goodput_is_the_billed_time_that_moved_the_work_forward(case: str) -> None:
    lease, goodput, badput = GOODPUT[case]
    (reading,) = usage([lease], Interval(0, 100 * SECOND), By.JOB)
    assert reading.goodput == goodput * 1000 * SECOND
    assert {cause: amount // (1000 * SECOND) for cause, amount in reading.badput.items()} == badput


def test_only_billed_time_has_a_price_and_it_is_rounded_once() -> None:
    (reading,) = usage([held("j", 0, 60, 60 + 90, 300)], DAY, By.JOB)
    assert list_price_minor(reading, read_price("2.40"), "USD") == 6
    assert list_price_minor(reading, read_price("2.20"), "USD") == 6, "5.5 cents are rounded half up"
    assert list_price_minor(reading, read_price("2.19"), "USD") == 5


# case: spans, leases, seconds of each class until second 100 in the pool's resource
BALANCES: dict[str, tuple[list[NodeSpan], list[HeldInterval], dict[DeviceClass, int]]] = {
    "idle": ([span(0, None)], [], {DeviceClass.IDLE: 400}),
    "a lease takes from idle": (
        [span(0, None)],
        [held("j", 10, 12, 30, 33, cores=2)],
        {DeviceClass.IDLE: 354, DeviceClass.LEASED: 46},
    ),
    "what is leased on a draining node is leased": (
        [span(0, 50), span(50, None, DeviceClass.DRAINING)],
        [held("j", 40, 40)],
        {DeviceClass.IDLE: 190, DeviceClass.LEASED: 60, DeviceClass.DRAINING: 150},
    ),
    "a node that is down": (
        [span(0, 20), span(20, 70, DeviceClass.DOWN), span(70, None)],
        [],
        {DeviceClass.IDLE: 200, DeviceClass.DOWN: 200},
    ),
    "joining is no capacity": ([span(0, 20, DeviceClass.NOT_CAPACITY), span(20, None)], [], {DeviceClass.IDLE: 320}),
    "capacity may change": ([span(0, 50, cores=2), span(50, None, cores=4)], [], {DeviceClass.IDLE: 300}),
    "GPUs where there are some": (
        [span(0, None, gpus=4)],
        [held("j", 0, 0, gpus=(1, 2)), held("k", 0, 0, 50, 50, gpus=(3,))],
        {DeviceClass.IDLE: 150, DeviceClass.LEASED: 250},
    ),
}


@pytest.mark.parametrize("case", BALANCES)
def test_the_classes_add_up_to_capacity(case: str) -> None:
    spans, leases, seconds = BALANCES[case]
    report = conservation(spans, leases, Interval(0, 100 * SECOND), KINDS)
    pool = next(balance for balance in report.pools if balance.pool == spans[0].pool)
    assert report.holds and pool.difference == 0
    assert {of: amount // (1000 * SECOND) for of, amount in pool.classes.items() if amount} == seconds
    assert pool.capacity == sum(pool.classes.values())
    assert sum(pool.leased_as.values()) == pool.classes[DeviceClass.LEASED]


ERRORS: dict[str, tuple[list[NodeSpan], list[HeldInterval]]] = {
    "a lease on a node nobody knows": ([span(0, None)], [held("j", 10, 12, 30, 33, node="n9")]),
    "a lease before its node was there": ([span(20, None)], [held("j", 10, 12, 30, 33)]),
    "a lease on a node that is not capacity": ([span(0, None, DeviceClass.NOT_CAPACITY)], [held("j", 10, 12, 30, 33)]),
    "more leased than there is": ([span(0, None)], [held("j", 10, cores=3), held("k", 20, cores=2)]),
    "one lease told twice": ([span(0, None)], [held("j", 10), held("j", 10)]),
    "one GPU leased twice": ([span(0, None, gpus=4)], [held("j", 10, gpus=(0, 1)), held("k", 10, gpus=(1, 2))]),
    "a gap between spans": ([span(0, 20), span(21, None)], []),
    "a gap under a lease of all of it": ([span(0, 20), span(21, None)], [held("j", 0, cores=4)]),
    "spans that overlap": ([span(0, 20), span(19, None)], []),
    "spans that overlap under a lease of all of it": ([span(0, 20), span(19, None)], [held("j", 0, cores=4)]),
    "a span that never ended": ([span(0, None), span(50, None, DeviceClass.DOWN)], []),
    "a lease that started before it was opened": ([span(0, None)], [held("j", 10, 8, 30, 33)]),
    "a lease that was released before it ended": ([span(0, None)], [held("j", 10, 12, 30, 29)]),
    "a lease in another pool than its node": (
        [span(0, None)],
        [replace(held("j", 10), pool="h100", resources=Resources({"gpu.h100": 1}))],
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_does_not_add_up(case: str) -> None:
    spans, leases = ERRORS[case]
    report = conservation(spans, leases, Interval(0, 100 * SECOND), KINDS)
    assert not report.holds
    assert sum(hour.difference for hour in report.hours) == sum(pool.difference for pool in report.pools)


def test_a_pool_that_has_no_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        conservation([span(0, None)], [], DAY, {})


# Any history ----------------------------------------------------------------------------------------------------------

HORIZON = 3 * 3600
WINDOWS = st.tuples(st.integers(0, HORIZON), st.integers(1, HORIZON)).map(
    lambda of: Interval(of[0] * SECOND, (of[0] + of[1]) * SECOND)
)
FAULTS = st.sampled_from([None, None, None, L, O])
CLASSES = st.sampled_from([DeviceClass.IDLE, DeviceClass.IDLE, DeviceClass.DOWN, DeviceClass.DRAINING])


@st.composite
def stories(draw: st.DrawFn, node: str, gpus: int) -> tuple[list[NodeSpan], list[HeldInterval]]:
    """A node that joins, lives through some steps and perhaps retires, and on each slot of it leases one after another."""
    joined = draw(st.integers(0, 600))
    steps = sorted(draw(st.sets(st.integers(joined + 1, HORIZON), max_size=4)))
    edges = [joined, *steps, None]
    spans = [
        span(start, end, draw(CLASSES), node, cores=4, gpus=gpus)  # type: ignore[arg-type]
        for start, end in pairwise(edges)
    ]
    leases = []
    for slot in range(gpus or 4):
        free_from = joined
        for number in range(draw(st.integers(0, 2))):
            instants = sorted(draw(st.lists(st.integers(free_from, HORIZON), min_size=4, max_size=4)))
            known = draw(st.integers(1, 4)) if number else 4
            opened, started, ended, released = (at if index < known else None for index, at in enumerate(instants))
            leases.append(
                held(
                    f"{node}-{slot}-{number}",
                    opened or 0,
                    started,
                    ended,
                    released,
                    node,
                    1,
                    (slot,) if gpus else (),
                    draw(FAULTS),
                    draw(st.sampled_from([None, LostTo.FAILED])),
                    draw(st.none() | st.integers(0, HORIZON)),
                )
            )
            if released is None:
                break
            free_from = released
    return spans, leases


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[NodeSpan], list[HeldInterval]]:
    told = [draw(stories(f"n{number}", gpus)) for number, gpus in enumerate(draw(st.lists(st.sampled_from([0, 2]), max_size=3)))]
    return [one for spans, _ in told for one in spans], [one for _, leases in told for one in leases]


@given(histories(), WINDOWS)
def test_any_true_history_adds_up_to_the_microsecond(
    history: tuple[list[NodeSpan], list[HeldInterval]], window: Interval
) -> None:
    spans, leases = history
    report = conservation(spans, leases, window, KINDS, witnessed=leases)
    assert report.holds
    for pool in report.pools:
        kind = KINDS[pool.pool]
        by_hand = sum(
            Interval(one.start_us, window.end_us if one.end_us is None else one.end_us).within(window).length_us
            * one.capacity[kind]
            for one in spans
            if one.pool == pool.pool
        )
        assert pool.capacity == by_hand == sum(pool.classes.values())
        assert pool.classes[DeviceClass.LEASED] == sum(pool.leased_as.values()) == _leased(leases, window, pool.pool, kind)
        hours = [hour for hour in report.hours if hour.pool == pool.pool]
        assert sum(hour.capacity for hour in hours) == pool.capacity
        assert all(_alone(spans, leases, hour) == (hour.capacity, hour.classes, hour.leased_as) for hour in hours)


def _alone(spans: list[NodeSpan], leases: list[HeldInterval], hour: PoolBalance) -> tuple[object, ...]:
    """What a report about nothing but this hour says."""
    assert 0 < hour.interval.length_us <= HOUR_US
    pools = conservation(spans, leases, hour.interval, KINDS, witnessed=leases).pools
    of = next(balance for balance in pools if balance.pool == hour.pool)
    return of.capacity, of.classes, of.leased_as


def _leased(leases: list[HeldInterval], window: Interval, pool: str, kind: str) -> int:
    return sum(leased(one, window.end_us).within(window).length_us * one.resources[kind] for one in leases if one.pool == pool)


@given(histories(), WINDOWS, st.data())
def test_a_lease_that_is_dropped_or_doubled_does_not_add_up(
    history: tuple[list[NodeSpan], list[HeldInterval]], window: Interval, data: st.DataObject
) -> None:
    spans, leases = history
    seen = [one for one in leases if leased(one, window.end_us).within(window).length_us]
    assume(seen)
    victim = data.draw(st.sampled_from(seen))
    amount = leased(victim, window.end_us).within(window).length_us * victim.resources[KINDS[victim.pool]]
    dropped = [one for one in leases if one is not victim]
    assert _difference(conservation(spans, dropped, window, KINDS, witnessed=leases)) == amount
    assert _difference(conservation(spans, [*leases, victim], window, KINDS, witnessed=leases)) == amount
    assert _difference(conservation(spans, [*leases, victim], window, KINDS)) == amount, "even without a witness"


@given(histories(), st.data())
def test_a_lease_told_with_another_instant_does_not_add_up(
    history: tuple[list[NodeSpan], list[HeldInterval]], data: st.DataObject
) -> None:
    spans, leases = [*history[0], span(0, None, node="sure")], [*history[1], held("sure", 5, 6, 7, 8, "sure")]
    window = Interval(0, (HORIZON + 1) * SECOND)
    victim = data.draw(st.sampled_from([one for one in leases if one.released_us is not None]))
    later = replace(victim, released_us=(victim.released_us or 0) + 1)
    told = [later if one is victim else one for one in leases]
    report = conservation(spans, told, window, KINDS, witnessed=leases)
    assert _difference(report) == victim.resources[KINDS[victim.pool]], "one microsecond of it"


def _difference(report: Conservation) -> int:
    return sum(pool.difference for pool in report.pools)


@given(histories(), WINDOWS, st.integers(1, HORIZON - 1))
def test_splitting_a_window_changes_no_sum(
    history: tuple[list[NodeSpan], list[HeldInterval]], window: Interval, cut: int
) -> None:
    _, leases = history
    leases = [one for one in leases if one.released_us is not None]
    middle = min(window.start_us + cut, window.end_us)
    whole = _amounts(leases, window)
    first, second = (_amounts(leases, part) for part in (Interval(window.start_us, middle), Interval(middle, window.end_us)))
    assert whole == {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}


def _amounts(leases: list[HeldInterval], window: Interval) -> Mapping[tuple[str, str], int]:
    readings = usage(leases, window, By.JOB)
    for reading in readings:
        assert reading.goodput + sum(reading.badput.values()) == reading.leased
        assert 0 <= reading.goodput <= reading.billed
    parts_of = {(reading.key, part.value): amount for reading in readings for part, amount in reading.leased_as.items()}
    return parts_of | {
        (reading.key, f"lost: {cause.value}"): amount for reading in readings for cause, amount in reading.lost.items()
    }
