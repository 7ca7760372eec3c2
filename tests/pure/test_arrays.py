"""Arrays: what indices people may write, and how many elements of one hold nodes at once."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import cloud, crowded, job, node, queue, running, snapshots, told

from xingliu.forecast.ahead import look_ahead
from xingliu.kernel.documents import Document
from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import ArrayId
from xingliu.kernel.problems import InvalidDocument
from xingliu.scheduling.model import PendingJob, RunningJob, Snapshot, StayPending
from xingliu.scheduling.orders import FIRST_COME, Policy
from xingliu.scheduling.policy import decide
from xingliu.workloads.arrays import ArrayPart, Span, indices_of, read_spans, write_spans
from xingliu.workloads.spec import job_document, read_job

N1 = node("n1", cores=8)


def element(of: PendingJob, index: int, most: int | None, array: str = "a") -> PendingJob:
    return replace(of, array=ArrayPart(ArrayId(array), index, 10, most))


def runs(of: RunningJob, most: int | None, array: str = "a") -> RunningJob:
    part = ArrayPart(ArrayId(array), 0, 10, most)
    return replace(of, array=part, again=None if of.again is None else replace(of.again, array=part))


# Indices --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("0-3", [0, 1, 2, 3]),
        ("0-6:2", [0, 2, 4, 6]),
        ("1,3,5-7", [1, 3, 5, 6, 7]),
        ("5", [5]),
        ("0-4:9", [0]),
        (" 1 , 2 ", [1, 2]),
        ("1000000", [1_000_000]),
    ],
)
def test_indices_are_written_as_ranges_steps_and_lists(text: str, indices: list[int]) -> None:
    assert indices_of(read_spans(text)) == indices


@pytest.mark.parametrize(
    "text", ["", "a", "-1", "3-1", "1,1", "0-9,5", "0-10000", "0-1000001:1000", "0-5:0", "1-", "1..3", "0:2"]
)
def test_what_names_no_indices_too_many_or_one_twice_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        read_spans(text)


SPANS = st.builds(lambda first, count, step: Span(first, first + (count - 1) * step, step if count > 1 else 1),
                  st.integers(0, 1000), st.integers(1, 50), st.integers(1, 20))  # fmt: skip


@given(SPANS)
def test_spans_are_written_as_they_are_read(span: Span) -> None:
    assert read_spans(write_spans([span])) == (span,)
    document = {"kind": "job", "name": "sweep", "run": "true", "array": write_spans([span]), "max_parallel": 3}
    spec = read_job(Document.of(document))
    assert len(spec.array[0]) == len(list(spec.array[0]))
    assert read_job(Document.of(job_document(spec))) == spec


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"array": 10}, "array: 10 is not indices"),
        ({"array": "0-10000"}, "array: '0-10000' is not an array of at most 10000 elements"),
        ({"array": "3-1"}, "array: '3-1' is not indices that rise, from 0 to 1000000"),
        ({"max_parallel": 2}, "max_parallel is for arrays, and there is no array"),
        ({"array": "0-1", "max_parallel": 0}, "max_parallel: 0 is not a whole number from 1 to 10000"),
    ],
)
def test_a_file_with_a_wrong_array_is_refused_in_words(more: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_job(Document.of({"kind": "job", "name": "sweep", "run": "true", **more}))
    assert said in str(caught.value)


# At most so many at once ----------------------------------------------------------------------------------------------


def test_no_more_elements_start_than_may_hold_nodes_at_once() -> None:
    waiting = [element(job(f"a-{index}"), index, 2) for index in range(4)]
    assert told(decide(cloud(N1, pending=waiting))) == [
        "a-0 on n1",
        "a-1 on n1",
        "a-2 waits: WaitingForQuota",
        "a-3 waits: WaitingForQuota",
    ]


def test_those_that_run_or_let_go_still_count() -> None:
    held = [runs(running("a-0", [N1]), 2), runs(running("a-1", [N1], leaves_for="other"), 2)]
    plan = decide(cloud(N1, pending=[element(job("a-2"), 2, 2), job("other", cores=9)], running=held))
    assert told(plan) == ["a-2 waits: WaitingForQuota", "other waits: InvalidRequest"]
    [stay] = [each for each in plan.decisions if isinstance(each, StayPending) and each.job == "a-2"]
    assert stay.wait.sentence == "2 elements of its array hold nodes, and at most 2 may at once."
    assert stay.wait.numbers == {"bound": "max_parallel of its array", "array": "a", "most": 2, "held": 2}


def test_an_element_too_large_for_the_cloud_says_so_first() -> None:
    plan = decide(cloud(N1, pending=[element(job("a-1", cores=9), 1, 1)], running=[runs(running("a-0", [N1]), 1)]))
    assert told(plan) == ["a-1 waits: InvalidRequest"]


def test_elements_beyond_what_may_run_stand_in_nobodys_way() -> None:
    first = element(job("a-1", at=0), 1, 1)
    plan = decide(cloud(N1, pending=[first, job("j", at=1)], running=[runs(running("a-0", [N1]), 1)]), Policy(FIRST_COME))
    assert told(plan) == ["a-1 waits: WaitingForQuota", "j on n1"]


def test_nobody_is_stopped_for_an_element_that_may_not_start() -> None:
    urgent = element(job("a-1", cores=8, priority="urgent"), 1, 1)
    held = [runs(running("a-0", [N1], cores=1), 1), running("low", [N1], cores=7, priority="low")]
    assert told(decide(cloud(N1, pending=[urgent], running=held))) == ["a-1 waits: WaitingForQuota"]


def test_the_next_element_is_expected_when_one_before_it_ends() -> None:
    snapshot = cloud(N1, pending=[element(job("a-1"), 1, 1)], running=[runs(running("a-0", [N1], left=10), 1)])
    expectation = look_ahead(snapshot, decide).expectations[snapshot.pending[0].id]
    assert expectation.start_us == snapshot.now_us + 600_000_000
    assert "a-0 reaches its time limit" in expectation.sentence


@st.composite
def with_arrays(draw: st.DrawFn) -> Snapshot:
    """Any cloud, some of whose jobs are elements of two arrays that hold no more than they may."""
    snapshot = draw(snapshots() | crowded())
    most = {name: draw(st.none() | st.integers(1, 3)) for name in ("a", "b")}
    held: Counter[str] = Counter()
    ran = []
    for one in snapshot.running:
        name = draw(st.sampled_from(["", "a", "b"]))
        bound = most.get(name)
        if name and (bound is None or held[name] < bound):
            held[name] += 1
            one = runs(one, bound, name)
        ran.append(one)
    names = [draw(st.sampled_from(["", "a", "b"])) for _ in snapshot.pending]
    waiting = [element(one, 1, most[name], name) if name else one for one, name in zip(snapshot.pending, names, strict=True)]
    return replace(snapshot, running=tuple(ran), pending=tuple(waiting))


@given(with_arrays())
def test_never_more_elements_of_an_array_have_seats_or_claims_than_may(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    parts = {one.id: one.array for one in snapshot.pending}
    taken = [place.job for place in plan.placements]
    taken += [each.job for each in plan.decisions if isinstance(each, StayPending) and each.claim is not None]
    held = Counter(one.array.id for one in snapshot.running if one.array is not None)
    held += Counter(part.id for name in taken if (part := parts[name]) is not None)
    bounds = {part.id: part.max_parallel for one in (*snapshot.pending, *snapshot.running) if (part := one.array) is not None}
    assert all(bound is None or held[array] <= bound for array, bound in bounds.items())


def test_a_claim_counts_as_one_that_runs() -> None:
    lab = queue("q")
    low = running("low", [N1], cores=8, priority="low")
    waiting = [element(job(f"a-{index}", cores=8, priority="high"), index, 1) for index in range(2)]
    plan = decide(cloud(N1, pending=waiting, running=[low], queues=[lab]))
    assert told(plan) == ["a-0 waits: PreemptionInProgress", "a-1 waits: WaitingForQuota", "low stops for a-0 (preempt)"]
