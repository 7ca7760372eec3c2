"""Everyone placed anew at each event: published policies in schedules one can do by hand, then what holds for any trace."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.forecast.estate import Estate, lay_out_estate
from xingliu.forecast.playing import Played
from xingliu.forecast.replacing import LAS_2D, SRSF, SRTF, Anew, least_attained, play_anew
from xingliu.forecast.shaping import Arrival, arrivals_of
from xingliu.forecast.trace import TraceJob
from xingliu.kernel.documents import parse
from xingliu.kernel.ids import JobId, UserId
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.scheduling.orders import Policy
from xingliu.scheduling.policy import decide
from xingliu.scheduling.room import Amount, Shelf, Spot

SECOND = 1_000_000


def fleet(nodes: int = 1, gpus: int = 8) -> Estate:
    text = f"""
kind: cloud
flavors: [{{name: gpu, gpu: GPU, gpus_per_node: {gpus}, price: 1/gpu-hour}}]
pools: [{{name: all, flavor: gpu, nodes: "n[1-{nodes}]"}}]
"""
    return lay_out_estate("fleet", parse(text, "cloud.yaml"))


def job(name: str, at: int = 0, lasts: int = 10, gpus: int = 8) -> TraceJob:
    """`at` and `lasts` in seconds."""
    return TraceJob(JobId(name), "lab", at * SECOND, lasts * SECOND, gpus)


def played(on: Estate, policy: Anew, *jobs: TraceJob) -> Played:
    return play_anew(arrivals_of(jobs, on), on, policy)


def told(of: Played) -> list[str]:
    """`a: 0-2, 9-17`, in seconds: one for each time that it had GPUs, whether or not it moved to others meanwhile."""
    lines = []
    for stay in of.stays:
        begins = {run.start_us for run in stay.runs} - {run.end_us for run in stay.runs}
        ends = {run.end_us for run in stay.runs} - {run.start_us for run in stay.runs}
        spans = zip(sorted(begins), sorted(ends), strict=True)
        lines.append(f"{stay.arrival.job.id}: " + ", ".join(f"{begin // SECOND}-{end // SECOND}" for begin, end in spans))
    return lines


STORIES: dict[str, tuple[Estate, Anew, list[TraceJob], list[str]]] = {
    "SRTF: who has least left has the cloud, and is not stopped for one that has more": (
        fleet(),
        SRTF,
        [job("a"), job("b", 2, 3), job("c", 3, 4)],
        ["a: 0-2, 9-17", "b: 2-5", "c: 5-9"],
    ),
    "SRTF: one that fits passes one that does not": (
        fleet(),
        SRTF,
        [job("a", 0, 4, gpus=6), job("b", 0, 5), job("c", 0, 10, gpus=2)],
        ["a: 0-4", "b: 4-9", "c: 0-4, 9-15"],
    ),
    "SRTF, where size does not count": (
        fleet(),
        SRTF,
        [job("a", 0, 10, gpus=1), job("b", 0, 4, gpus=8), job("c", 0, 20, gpus=7)],
        ["a: 4-14", "b: 0-4", "c: 4-24"],
    ),
    "SRSF, where it does": (
        fleet(),
        SRSF,
        [job("a", 0, 10, gpus=1), job("b", 0, 4, gpus=8), job("c", 0, 20, gpus=7)],
        ["a: 0-10", "b: 10-14", "c: 0-10, 14-24"],
    ),
    "2D-LAS: the limit of the first queue is 3,250 GPU-seconds": (
        fleet(gpus=1),
        LAS_2D,
        [job("a", 0, 4000, gpus=1), job("b", 100, 1000, gpus=1)],
        ["a: 0-3250, 4250-5000", "b: 3250-4250"],
    ),
    "2D-LAS: who reaches a limit makes room, at a whole second": (
        fleet(gpus=4),
        least_attained((10, 30)),
        [job("a", 0, 10, gpus=4), job("b", 1, 2, gpus=4), job("c", 1, 4, gpus=1)],
        ["a: 0-3, 9-16", "b: 3-5", "c: 5-9"],
    ),
    "2D-LAS: who reached the second limit goes behind who reached only the first": (
        fleet(gpus=1),
        least_attained((1, 2)),
        [job("a", 0, 4, gpus=1), job("b", 0, 4, gpus=1)],
        ["a: 0-1, 2-3, 4-6", "b: 1-2, 3-4, 6-8"],
    ),
    "2D-LAS: of those that reach a limit at one instant, who was submitted first goes first": (
        fleet(gpus=3),
        least_attained((4,)),
        [job("a", 0, 2, gpus=2), job("b", 0, 6, gpus=2), job("c", 0, 6, gpus=1), job("d", 4, 2, gpus=1)],
        ["a: 0-2", "b: 2-8", "c: 0-4, 6-8", "d: 4-6"],
    ),
    "more than a node has takes whole nodes": (
        fleet(nodes=2),
        SRTF,
        [job("a", 0, 1, gpus=1), job("b", 0, 2, gpus=16), job("c", 0, 3, gpus=8)],
        ["a: 0-1", "b: 1-3", "c: 0-1, 3-5"],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_published_policy_goes_as_by_hand(story: str) -> None:
    on, policy, jobs, expected = STORIES[story]
    assert told(played(on, policy, *jobs)) == expected


def test_it_takes_the_first_node_by_name_that_has_room() -> None:
    of = played(fleet(nodes=2), SRTF, job("a", 0, 1, gpus=4), job("b", 0, 2, gpus=6), job("c", 0, 3, gpus=2))
    assert [[(seat[0], len(seat[1])) for seat in stay.runs[0].seats] for stay in of.stays] == [
        [("n1", 4)],
        [("n2", 6)],
        [("n1", 2)],
    ]


def test_one_too_large_never_starts_and_says_why() -> None:
    big, small = played(fleet(), SRTF, job("big", gpus=9), job("small", 0, 1)).stays
    assert (big.runs, big.reason.split(";")[0]) == ((), "It asks for 3 GPUs, 0 cores and 0 B on each of 3 nodes")
    assert small.ended_us == SECOND


# What decides ---------------------------------------------------------------------------------------------------------


def test_what_runs_is_the_decide_of_production() -> None:
    on, policy, jobs, expected = STORIES["SRSF, where it does"]
    assert signature(play_anew).parameters["decide"].default is decide
    asked: list[tuple[Snapshot, Policy]] = []

    def watched(snapshot: Snapshot, by: Policy) -> Plan:
        asked.append((snapshot, by))
        return decide(snapshot, by)

    of = play_anew(arrivals_of(jobs, on), on, policy, decide=watched)
    assert told(of) == expected
    assert len(asked) - 1 == of.decisions == 3  # at 0, 10 and 14 s; and once more about who never started
    assert all(node.free == node.capacity for snapshot, _ in asked for node in snapshot.nodes)


def test_where_it_places_nobody_nobody_runs() -> None:
    def refuses(snapshot: Snapshot, by: Policy) -> Plan:
        plan = decide(replace(snapshot, nodes=()), by)
        assert not plan.placements
        return plan

    on = fleet()
    of = play_anew(arrivals_of([job("a"), job("b", 1)], on), on, SRTF, decide=refuses)
    assert [stay.runs for stay in of.stays] == [(), ()]


# Laws -----------------------------------------------------------------------------------------------------------------

POLICIES = st.sampled_from([SRTF, SRSF, least_attained((5, 12)), least_attained((3,))])
TRACES = st.lists(
    st.builds(
        job,
        name=st.integers(0, 99).map(lambda number: f"j{number:02d}"),
        at=st.integers(0, 12),
        lasts=st.integers(1, 12),
        gpus=st.sampled_from([1, 1, 2, 4, 8, 16]),
    ),
    max_size=12,
    unique_by=lambda of: of.id,
)


@given(TRACES, POLICIES)
def test_nobody_gets_more_or_less_time_than_it_takes_and_no_gpu_has_two_jobs(jobs: list[TraceJob], policy: Anew) -> None:
    of = played(fleet(nodes=2), policy, *jobs)
    held: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for stay in of.stays:
        assert sum(run.end_us - run.start_us for run in stay.runs) == stay.arrival.run_us
        assert (stay.started_us or 0) >= stay.submitted_us
        for run in stay.runs:
            assert sum(len(gpus) for _, gpus in run.seats) == stay.arrival.gpus
            for node, gpus in run.seats:
                for gpu in gpus:
                    held[node, gpu].append((run.start_us, run.end_us))
    assert all(before[1] <= after[0] for spans in held.values() for before, after in pairwise(sorted(spans)))


def each_of_its_own(arrivals: tuple[Arrival, ...]) -> tuple[Arrival, ...]:
    """Nobody is like another, so all are always shown."""
    return tuple(replace(of, job=replace(of.job, user=UserId(of.job.id))) for of in arrivals)


@given(TRACES, POLICIES)
def test_showing_only_the_first_of_each_kind_changes_nothing(jobs: list[TraceJob], policy: Anew) -> None:
    on = fleet(nodes=2)
    arrivals = arrivals_of(jobs, on)
    few, every = (play_anew(each(arrivals), on, policy) for each in (tuple, each_of_its_own))
    assert [stay.runs for stay in few.stays] == [stay.runs for stay in every.stays]


AMOUNTS = st.builds(Amount, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


@given(st.lists(AMOUNTS, max_size=8), AMOUNTS, st.integers(1, 4), st.sampled_from([Shelf.first, Shelf.tightest]))
def test_nodes_are_picked_by_name_or_by_what_they_have_to_spare(
    free: list[Amount], asked: Amount, most: int, pick: Callable[[Shelf, Amount, int], list[Spot]]
) -> None:
    spots = [Spot(amount, number) for number, amount in enumerate(free)]
    fitting = [spot for spot in spots if all(have >= want for have, want in zip(spot.free, asked, strict=True))]
    by_name = pick is Shelf.first
    fitting.sort(key=lambda spot: (spot.node,) if by_name else (*spot.free, spot.node))
    assert pick(Shelf(spots), asked, most) == fitting[:most]
