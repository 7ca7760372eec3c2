"""A trace played on a fleet: stories in words, then that what makes it quick changes nothing."""

import re
from collections.abc import Container, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.fleet.model import QueueOrder
from xingliu.forecast.estate import Estate, lay_out_estate
from xingliu.forecast.findings import find, percentile
from xingliu.forecast.playing import Played, Policy, Run, play, same_request
from xingliu.forecast.report import report
from xingliu.forecast.shaping import arrivals_of, models_missing
from xingliu.forecast.trace import Trace, TraceJob
from xingliu.kernel.documents import parse
from xingliu.kernel.ids import JobId
from xingliu.kernel.problems import InvalidDocument
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.scheduling.orders import ORDERS, turn_in
from xingliu.scheduling.orders import Policy as SchedulingPolicy
from xingliu.scheduling.policy import decide

SECOND = 1_000_000
HOUR = 3600 * SECOND
GPUS = """
kind: cloud
flavors:
  - {name: h100, gpu: H100, gpus_per_node: 8, price: 1/gpu-hour}
pools:
  - {name: train, flavor: h100, nodes: "g[1-2]"}
queues:
  - {name: default}
  - {name: red, quota: {h100: 8}}
"""
SHARED = GPUS.replace("- {name: default}", "- {name: blue, quota: {h100: 8}}") + "default_queue: blue\n"
CORES = """
kind: cloud
flavors: [{name: cpu, price: 1/core-hour}]
pools: [{name: p, flavor: cpu, nodes: [a, b], share: {cpu: 4, memory: 8GB}}]
"""


def estate(text: str = GPUS, name: str = "fleet") -> Estate:
    return lay_out_estate(name, parse(text, "cloud.yaml"))


def job(name: str, at: int = 0, lasts: int = 10, gpus: int = 1, tenant: str = "blue", **more: object) -> TraceJob:
    """`at` and `lasts` in seconds."""
    return TraceJob(JobId(name), tenant, at * SECOND, lasts * SECOND, gpus, **more)  # type: ignore[arg-type]


def played(*jobs: TraceJob, on: Estate | None = None, policy: Policy | None = None, preemptible: Container[str] = ()) -> Played:
    fleet = on or estate()
    in_order = sorted(jobs, key=lambda of: of.submitted_us)
    return play(arrivals_of(in_order, fleet, preemptible), fleet, policy or Policy(decide, same_request))


def told(of: Played) -> list[str]:
    """`j from 3 to 13 on g1 g2`, in seconds."""
    return [
        f"{stay.arrival.job.id} never: {stay.reason.split(';')[0]}"
        if stay.started_us is None or stay.ended_us is None
        else f"{stay.arrival.job.id} " + ", ".join(_run(run) for run in stay.runs)
        for stay in of.stays
    ]


def _run(run: Run) -> str:
    return f"from {run.start_us // SECOND} to {run.end_us // SECOND} on {' '.join(node for node, _ in run.seats)}"


STORIES: dict[str, tuple[list[TraceJob], list[str]]] = {
    "who comes first starts first": (
        [job("a", 0, gpus=16), job("b", 1, gpus=16), job("c", 2, gpus=16)],
        ["a from 0 to 10 on g1 g2", "b from 10 to 20 on g1 g2", "c from 20 to 30 on g1 g2"],
    ),
    "one that fits passes one that does not": (
        [job("a", 0, gpus=8), job("b", 1, gpus=16), job("c", 2, lasts=3, gpus=8)],
        ["a from 0 to 10 on g1", "b from 10 to 20 on g1 g2", "c from 2 to 5 on g2"],
    ),
    "a tenant waits in the queue of its name": (
        [job("a", 0, gpus=8, tenant="Red"), job("b", 1, gpus=8, tenant="Red"), job("c", 2, gpus=8)],
        ["a from 0 to 10 on g1", "b from 10 to 20 on g1", "c from 2 to 12 on g2"],
    ),
    "one too large never starts and holds nobody up": (
        [job("a", 0, gpus=17), job("b", 1)],
        ["a never: It asks for 6 GPUs, 0 cores and 0 B on each of 3 nodes", "b from 1 to 11 on g1"],
    ),
    "what ends makes room at that very instant": (
        [job("a", 0, gpus=16), job("b", 10, gpus=16)],
        ["a from 0 to 10 on g1 g2", "b from 10 to 20 on g1 g2"],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_trace_goes_as_the_scheduler_decides(story: str) -> None:
    jobs, expected = STORIES[story]
    assert told(played(*jobs)) == expected


def test_cores_and_memory_are_held_where_the_trace_states_them() -> None:
    jobs = [job("a", 0, gpus=0, cpu_milli=3000, memory_bytes=10**9), job("b", 1, gpus=0, cpu_milli=3000, memory_bytes=10**9)]
    jobs.append(job("c", 2, gpus=0, cpu_milli=1000, memory_bytes=8 * 10**9))
    assert told(played(*jobs, on=estate(CORES))) == ["a from 0 to 10 on a", "b from 1 to 11 on b", "c from 10 to 20 on a"]


@pytest.mark.parametrize(
    ("gpus", "nodes", "each"), [(1, 1, 1), (8, 1, 8), (12, 2, 6), (9, 3, 3), (16, 2, 8), (17, 3, 6), (64, 8, 8)]
)
def test_gpus_without_nodes_take_the_fewest_nodes_that_can_share_them_evenly(gpus: int, nodes: int, each: int) -> None:
    (arrival,) = arrivals_of([job("j", gpus=gpus)], estate())
    (part,) = arrival.job.parts
    assert part.request.gpu is not None
    assert (part.replicas, part.request.gpu.count) == (nodes, each)


def test_a_model_the_fleet_has_is_insisted_on_and_another_is_not() -> None:
    jobs = [job("a", gpu="h100"), job("b", gpu="T4")]
    asked = [arrival.job.parts[0].request.gpu for arrival in arrivals_of(jobs, estate())]
    assert [gpu.model for gpu in asked if gpu] == ["h100", None]
    assert models_missing(jobs, estate()) == ["T4"]


def test_a_limit_is_what_the_trace_says_and_never_less_than_the_run() -> None:
    jobs = [job("a", lasts=10), job("b", lasts=10, limit_us=60 * SECOND), job("c", lasts=10, limit_us=5 * SECOND)]
    assert [arrival.job.time_left_us for arrival in arrivals_of(jobs, estate())] == [10 * SECOND, 60 * SECOND, 10 * SECOND]


UNSAID = {
    "no pools": ("kind: cloud\n", "line 1: it has no pools"),
    "GPUs that are not counted": (GPUS.replace("gpus_per_node: 8, ", ""), "line 4: flavors[0]: how many GPUs"),
    "cores that are not counted": (CORES.replace(", share: {cpu: 4, memory: 8GB}", ""), "line 4: pools[0]: what its nodes have"),
}


@pytest.mark.parametrize("case", UNSAID)
def test_a_fleet_that_does_not_say_what_its_nodes_have_is_refused_with_the_line(case: str) -> None:
    text, message = UNSAID[case]
    with pytest.raises(InvalidDocument) as caught:
        estate(text)
    assert f"cloud.yaml {message}" in str(caught.value)
    assert caught.value.advice()


def test_what_borrowed_gives_way_comes_back_and_loses_no_time() -> None:
    jobs = [job("a", 0, 10, gpus=16), job("r", 4, 3, gpus=8, tenant="red"), job("s", 5, 1, gpus=8, tenant="red")]
    of = played(*jobs, on=estate(SHARED), preemptible={"blue"})
    assert told(of) == ["a from 0 to 4 on g1 g2, from 8 to 14 on g1 g2", "r from 4 to 7 on g1", "s from 7 to 8 on g1"]
    assert [stay.wait_us for stay in of.stays] == [4 * SECOND, 0, 2 * SECOND]
    assert find(of)[0].stops == 1


# what makes it quick --------------------------------------------------------------------------------------------------

JOBS = st.builds(
    TraceJob,
    st.integers(0, 10**6).map(lambda number: JobId(f"j{number}")),
    st.sampled_from(["blue", "red", "red", "green"]),
    st.integers(0, 60).map(lambda at: at * SECOND),
    st.integers(1, 40).map(lambda lasts: lasts * SECOND),
    st.sampled_from([1, 1, 1, 1, 2, 4, 8, 12, 16, 24]),
)
TRACES = st.lists(JOBS, min_size=1, max_size=24, unique_by=lambda of: of.id)


@pytest.mark.parametrize(("fleet", "preemptible"), [(GPUS, ()), (SHARED, ("blue", "green"))])
@given(jobs=TRACES)
def test_showing_only_the_first_of_each_kind_changes_nothing(
    jobs: list[TraceJob], fleet: str, preemptible: tuple[str, ...]
) -> None:
    on = estate(fleet)
    quick = played(*jobs, on=on, preemptible=preemptible)
    slow = played(*jobs, on=on, preemptible=preemptible, policy=Policy(decide))
    assert told(quick) == told(slow)
    assert [stay.runs for stay in quick.stays] == [stay.runs for stay in slow.stays]
    assert quick.decisions <= 3 * slow.decisions


@pytest.mark.parametrize("order", ORDERS)
@given(jobs=TRACES)
def test_nor_does_it_in_any_order_of_the_line(jobs: list[TraceJob], order: str) -> None:
    ordered = partial(decide, policy=SchedulingPolicy(ORDERS[order]))
    quick = played(*jobs, policy=Policy(ordered, same_request, ORDERS[order].key))
    assert told(quick) == told(played(*jobs, policy=Policy(ordered)))


@pytest.mark.parametrize("order", [of.value for of in QueueOrder])
@given(jobs=TRACES, limits=st.lists(st.none() | st.integers(1, 90), min_size=24, max_size=24))
def test_nor_where_queues_have_orders_of_their_own(jobs: list[TraceJob], limits: list[int | None], order: str) -> None:
    on = estate(GPUS.replace("name: red,", f"name: red, order: {order},"))
    limited = [
        replace(of, tenant="red", gpus=min(8, of.gpus + 3), limit_us=limit and limit * SECOND)
        for of, limit in zip(jobs, limits, strict=False)
    ]
    quick = played(*limited, on=on, policy=Policy(decide, same_request, turn_in(on.queues)))
    assert told(quick) == told(played(*limited, on=on, policy=Policy(decide)))


@pytest.mark.parametrize("fleet", [GPUS, SHARED])
@given(jobs=TRACES)
def test_no_gpu_is_ever_held_twice_and_everyone_who_fits_runs_as_long_as_it_did(jobs: list[TraceJob], fleet: str) -> None:
    held: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for stay in played(*jobs, on=estate(fleet), preemptible=("blue", "green")).stays:
        assert (stay.started_us is None) == (stay.arrival.gpus > (8 if stay.arrival.tenant == "red" else 16))
        assert not stay.runs or sum(run.end_us - run.start_us for run in stay.runs) == stay.arrival.run_us
        for run in stay.runs:
            assert run.start_us >= stay.submitted_us
            assert sum(len(gpus) for _, gpus in run.seats) == stay.arrival.gpus
            for node, gpus in run.seats:
                for gpu in gpus:
                    held.setdefault((node, gpu), []).append((run.start_us, run.end_us))
    for spans in held.values():
        spans.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_a_long_line_of_like_jobs_is_not_shown_whole() -> None:
    seen: list[int] = []

    def counting(snapshot: Snapshot) -> Plan:
        seen.append(len(snapshot.pending))
        return decide(snapshot)

    of = played(*(job(f"j{number:03d}", 0, gpus=8) for number in range(400)), policy=Policy(counting, same_request))
    assert sum(stay.started_us is not None for stay in of.stays) == 400
    assert max(seen) <= 8 and sum(seen) < 4000


def test_progress_reaches_what_was_announced() -> None:
    heard: list[tuple[int, int]] = []
    fleet = estate()
    jobs = [job(f"j{number}", number) for number in range(1000)]
    play(arrivals_of(jobs, fleet), fleet, Policy(decide, same_request), lambda done, of: heard.append((done, of)))
    assert [of for _, of in heard] == [2000] * len(heard)
    assert heard == sorted(heard) and heard[-1][0] > 1700


# findings -------------------------------------------------------------------------------------------------------------


def test_findings_of_a_day_one_can_do_in_the_head() -> None:
    half_day = 12 * 3600
    jobs = [job("a", 0, half_day, gpus=16, tenant="blue"), job("b", 0, half_day, gpus=16, tenant="green")]
    (found,) = find(played(*jobs, job("late", 2 * half_day, 3600, gpus=8, tenant="blue")))
    assert (found.unit, found.capacity, found.waits.jobs, found.waits.never) == ("GPU", 16, 3, 0)
    assert found.busy_mean == 1.0 and set(found.busy.values) == {1.0}
    assert found.waits.most_s == half_day and found.makespan_s == 2 * half_day + 3600
    assert {of.tenant: of.slowdown for of in found.tenants} == {"blue": 1.0, "green": 2.0}
    assert found.worst_tenant.tenant == "green" and found.fairness == pytest.approx(0.9)
    assert [of.used_hours for of in found.tenants] == [200.0, 192.0]
    assert found.worst_hour_us == 0 and found.anyone_waited
    assert sum(found.waiting.values) * found.waiting.step_us == pytest.approx(half_day * SECOND)
    assert dict(found.by_size)["9-16"].jobs == 2


def test_a_percentile_is_a_value_that_was_there() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], of) for of in (0, 50, 90, 99, 100)] == [1.0, 3.0, 4.0, 4.0, 4.0]


@given(TRACES)
def test_shares_of_use_and_time_in_line_add_up(jobs: list[TraceJob]) -> None:
    of = played(*jobs)
    (found,) = find(of)
    ran = [stay for stay in of.stays if stay.runs]
    assert sum(each.share for each in found.tenants) == pytest.approx(1.0 if ran else 0.0)
    assert 0 <= found.busy_mean <= 1 and all(0 <= value <= 1 for value in found.busy.values)
    if not found.waits.never:
        waited_us = sum(stay.wait_us or 0 for stay in of.stays)
        assert sum(found.waiting.values) * found.waiting.step_us == pytest.approx(waited_us)


def fleets(jobs: Sequence[TraceJob]) -> list[Played]:
    return [played(*jobs, on=estate(GPUS, "now")), played(*jobs, on=estate(GPUS.replace("g[1-2]", "g[1-20]"), "<later>"))]


@given(TRACES, st.booleans())
def test_a_report_of_any_trace_is_one_well_formed_file_that_loads_nothing(jobs: list[TraceJob], dated: bool) -> None:
    of = fleets(jobs)
    ordered = tuple(sorted(jobs, key=lambda each: each.submitted_us))
    html = report(Trace("<b>&.csv", "itp", dated, ordered, ("3 left out: jobs & more",)), of[:1] if dated else of)
    body = html.removeprefix("<!doctype html>").replace('<meta charset="utf-8">', "")
    body = body.replace('<meta name="viewport" content="width=device-width,initial-scale=1">', "")
    tree = ElementTree.fromstring(body)
    assert not [each for each in tree.iter() if each.tag in ("script", "link", "img", "iframe")]
    assert "http" not in html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "<b>&" not in html and not re.search(r"\b(nan|inf|None)\b", html)
    waited = any(stay.wait_us for each in (of[:1] if dated else of) for stay in each.stays)
    assert html.count("<svg") == (1 if dated else 2) + (6 if waited else 1)


@given(st.lists(JOBS, min_size=1, max_size=8, unique_by=lambda of: of.id))
def test_a_fleet_without_gpus_is_told_and_drawn_in_cores(jobs: list[TraceJob]) -> None:
    jobs = [replace(of, gpus=0, cpu_milli=500 * min(of.gpus, 8), memory_bytes=10**9) for of in jobs]
    of = played(*jobs, on=estate(CORES))
    (found,) = find(of)
    assert (found.unit, found.capacity, found.waits.never) == ("core", 8, 0)
    html = report(Trace("jobs.csv", "sacct", True, tuple(jobs)), [of])
    assert "8 cores" in html and "a lane for each job" in html and "GPU" not in html
