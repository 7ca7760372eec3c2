"""When a job starts: examples in words, then that it is what `decide` really does when time comes."""

from dataclasses import replace

import pytest
from hypothesis import given
from tests.pure.clouds import MINUTE, NOW_US, cloud, job, node, queue, running, snapshots

from xingliu.forecast.model import Verdict
from xingliu.forecast.replay import STEPS_MAX, expected_start, what_if
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.resources import gpu_of
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import PendingReason

N1, N2 = node("n1"), node("n2")
G1 = node("g1", gpus=4)
FULL = running("r", [N1], cores=4, left=10)
ENDLESS = running("endless", [N1], cores=4)

# case: the cloud in which j waits, in how many minutes it starts, what the basis begins with, whom it waits for
CASES: dict[str, tuple[Snapshot, int | None, str, list[str]]] = {
    "room is there": (cloud(N1, pending=[job("j")]), 0, "now", []),
    "the next time limit makes room": (cloud(N1, pending=[job("j")], running=[FULL]), 10, "when r reaches", ["r"]),
    "the line runs first, each to its limit": (
        cloud(N1, pending=[job("a", cores=4, minutes=5), job("j", at=1)], running=[FULL]),
        15,
        "when a reaches",
        ["a"],
    ),
    "a gang needs two ends": (
        cloud(N1, N2, pending=[job("j", nodes=2)], running=[FULL, running("s", [N2], cores=4, left=30)]),
        30,
        "when s reaches",
        ["s"],
    ),
    "an end elsewhere is not whom it waited for": (
        cloud(N1, N2, pending=[job("j", cores=4)], running=[FULL, running("a", [N2], cores=1, left=10), running("b", [N2])]),
        10,
        "when r reaches",
        ["r"],
    ),
    "past its limit is over now": (
        cloud(N1, pending=[job("j")], running=[running("r", [N1], cores=4, left=-3)]),
        0,
        "when r reaches",
        ["r"],
    ),
    "quota comes back with an end": (
        cloud(N1, pending=[job("j", cores=2)], running=[running("r", [N1], left=4)], queues=[queue("q", cpu_cpu=2)]),
        4,
        "when r reaches",
        ["r"],
    ),
    "and is taken again by who starts before it": (
        cloud(
            N1,
            pending=[job("a", cores=2, minutes=5), job("j", cores=2, at=1)],
            running=[running("r", [N1], left=4), running("s", [N1], queue="x", left=6)],
            queues=[queue("q", cpu_cpu=2)],
        ),
        9,
        "when a reaches",
        ["a"],
    ),
    "one without a limit stands in the way": (
        cloud(N1, pending=[job("j")], running=[ENDLESS]),
        None,
        "unknown: endless has no time limit",
        ["endless"],
    ),
    "one that will start before it has no limit": (
        cloud(N1, pending=[job("a", cores=4), job("j", at=1)], running=[FULL]),
        None,
        "unknown: a has no time limit",
        ["a"],
    ),
    "one without a limit holds its quota": (
        cloud(
            N1,
            N2,
            pending=[job("j", cores=2)],
            running=[running("mine", [N1]), running("other", [N2], queue="x")],
            queues=[queue("q", cpu_cpu=2)],
        ),
        None,
        "unknown: mine has no time limit",
        ["mine"],
    ),
    "one without a limit on other hardware is not in the way": (
        cloud(G1, N1, pending=[job("j", gpus=4)], running=[running("r", [G1], gpus=1), ENDLESS]),
        None,
        "unknown: r has no time limit",
        ["r"],
    ),
    "several have no limit": (
        cloud(N1, pending=[job("j", cores=4)], running=[running("a", [N1]), running("b", [N1])]),
        None,
        "unknown: a has no time limit (and so 1 more in its way)",
        ["a", "b"],
    ),
    "nodes that are out of service": (
        cloud(N1, node("n2", state="down"), pending=[job("j", nodes=2)]),
        None,
        "unknown: It asks for 1 core",
        [],
    ),
    "held": (cloud(N1, pending=[job("j", held=True)]), None, "unknown: It is held", []),
    "never": (cloud(N1, pending=[job("j", cores=5)]), None, "never: It asks for 5 cores", []),
}


@pytest.mark.parametrize("case", CASES)
def test_the_expected_start_and_what_it_rests_on(case: str) -> None:
    snapshot, minutes, basis, blockers = CASES[case]
    found = expected_start(snapshot, "j", decide)  # type: ignore[arg-type]
    assert found.start_us == (None if minutes is None else NOW_US + minutes * MINUTE)
    assert found.basis.startswith(basis), found.basis
    assert list(found.blockers) == blockers


def test_a_job_that_is_not_pending_has_no_expected_start() -> None:
    with pytest.raises(KeyError):
        expected_start(cloud(N1), "j", decide)  # type: ignore[arg-type]


def test_no_more_than_a_stated_number_of_instants_is_decided() -> None:
    large = node("n1", cores=2000, gb=2000)
    ending = [running(f"r{number}", [large], left=number) for number in range(STEPS_MAX + 5)]
    asked: list[int] = []

    def counting(snapshot: Snapshot) -> Plan:
        asked.append(snapshot.now_us)
        return decide(snapshot)

    found = expected_start(cloud(large, pending=[job("j", cores=2000)], running=ending), "j", counting)  # type: ignore[arg-type]
    assert found.start_us is None and "no further was looked" in found.basis
    assert len(asked) == STEPS_MAX + 1


WHAT_IF: dict[str, tuple[Snapshot, Verdict, PendingReason | None, list[str]]] = {
    "now": (cloud(N1), Verdict.NOW, None, ["n1"]),
    "later": (cloud(N1, running=[FULL]), Verdict.LATER, PendingReason.WAITING_FOR_CAPACITY, ["n1"]),
    "later, nobody knows when": (cloud(N1, running=[ENDLESS]), Verdict.LATER, PendingReason.WAITING_FOR_CAPACITY, []),
    "never": (cloud(node("n1", cores=1)), Verdict.NEVER, PendingReason.INVALID_REQUEST, []),
}


@pytest.mark.parametrize("case", WHAT_IF)
def test_what_would_happen_to_a_job_that_is_not_submitted(case: str) -> None:
    snapshot, verdict, reason, nodes = WHAT_IF[case]
    answer = what_if(with_queue(snapshot), job("new", cores=2))
    assert answer.verdict is verdict
    assert (answer.wait.reason if answer.wait else None) is reason
    assert [seat.node for seat in answer.seats] == nodes


def with_queue(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, queues=snapshot.queues or cloud(pending=[job("j")]).queues)


@given(snapshots())
def test_it_starts_when_the_cloud_run_on_by_hand_starts_it(snapshot: Snapshot) -> None:
    expected = {of.id: expected_start(snapshot, of.id, decide) for of in snapshot.pending}
    cloud_now, started = VirtualCloud(snapshot), {}
    while True:
        plan = decide(cloud_now.snapshot())
        for place in plan.placements:
            started.setdefault(place.job, (cloud_now.now_us, place.seats))
        cloud_now.follow(plan)
        if not cloud_now.step():
            break
    for of, expectation in expected.items():
        assert (expectation.start_us, expectation.seats) == started.get(of, (None, ()))
        assert expectation.start_us is not None or expectation.basis.startswith(("unknown: ", "never: "))


@given(snapshots())
def test_a_virtual_cloud_in_which_all_has_ended_is_as_free_as_without_it(snapshot: Snapshot) -> None:
    running = tuple(replace(of, ends_us=of.ends_us or NOW_US) for of in snapshot.running)
    pending = tuple(replace(of, time_left_us=of.time_left_us or MINUTE) for of in snapshot.pending)
    ended = VirtualCloud(replace(snapshot, running=running, pending=pending))
    while ended.step():
        for place in decide(ended.snapshot()).placements:
            ended.start(place)
    assert not ended.running
    assert all(of.free == of.capacity for of in ended.snapshot().nodes)
    assert all(len(of.free_gpus) * 1000 == of.capacity[gpu_of(of.flavor)] for of in ended.snapshot().nodes)
    assert all(not of.in_use for of in ended.snapshot().queues)
