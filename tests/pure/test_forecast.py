"""When a job starts: examples in words, then that it is what `decide` really does when time comes."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.pure.clouds import MINUTE, NOW_US, cloud, crowded, ends, job, node, queue, running, snapshots

from xingliu.forecast.ahead import DECISIONS_MAX, look_ahead
from xingliu.forecast.model import Basis, Expectation, Verdict
from xingliu.forecast.replay import what_if
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId, QueueName
from xingliu.kernel.resources import Resources, gpu_of
from xingliu.scheduling.model import Plan, Seat, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.scheduling.quota import Quotas
from xingliu.scheduling.running import Running
from xingliu.workloads.model import PendingReason

LATEST_US = 1 << 62
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
    "its instant comes": (
        cloud(N1, pending=[job("j", not_before=7)]),
        7,
        "when its not_before has come",
        [],
    ),
    "its instant comes while it is full": (
        cloud(N1, pending=[job("j", not_before=7)], running=[FULL]),
        10,
        "when r reaches",
        ["r"],
    ),
    "another that goes first waits for an instant": (
        cloud(N1, pending=[job("a", cores=4, minutes=5, not_before=3, priority="high"), job("j", cores=4, not_before=3)]),
        8,
        "when a reaches",
        ["a"],
    ),
    "whom it waits for ends at its limit": (
        cloud(N1, N2, pending=[job("j", after=[ends("r")])], running=[FULL]),
        10,
        "when r reaches its time limit, if nothing ends earlier and nothing new goes before it, and if r (r) succeeds",
        ["r"],
    ),
    "whom it waits for waits itself": (
        cloud(N1, pending=[job("a", cores=4, minutes=5), job("j", after=[ends("a", "any")])], running=[FULL]),
        15,
        "when a reaches",
        ["a"],
    ),
    "whom it waits for has no limit": (
        cloud(N1, N2, pending=[job("j", after=[ends("endless")])], running=[ENDLESS]),
        None,
        "unknown: endless, which it waits for, has no time limit",
        ["endless"],
    ),
    "a failure is not foreseen": (
        cloud(N1, N2, pending=[job("j", after=[ends("r", "failed")])], running=[FULL]),
        None,
        "unknown: It waits for r (r) to fail",
        [],
    ),
    "what it waits for did not come": (
        cloud(N1, pending=[job("j", after=[ends("r", met=False)])]),
        None,
        "never: r (r) did not succeed",
        [],
    ),
    "held": (cloud(N1, pending=[job("j", held=True)]), None, "unknown: It is held", []),
    "never": (cloud(N1, pending=[job("j", cores=5)]), None, "never: It asks for 5 cores", []),
}


@pytest.mark.parametrize("case", CASES)
def test_the_expected_start_and_what_it_rests_on(case: str) -> None:
    snapshot, minutes, basis, blockers = CASES[case]
    found = expected(snapshot, "j")
    assert found.start_us == (None if minutes is None else NOW_US + minutes * MINUTE)
    assert found.sentence.startswith(basis), found.sentence
    assert list(found.blockers) == blockers


def expected(snapshot: Snapshot, job: str) -> Expectation:
    return look_ahead(snapshot, decide).expectations[JobId(job)]


def test_no_more_than_a_stated_number_of_instants_is_decided() -> None:
    """1,500 go one after the other, each a minute; those that can be told are told exactly."""
    asked: list[int] = []

    def counting(snapshot: Snapshot) -> Plan:
        asked.append(snapshot.now_us)
        return decide(snapshot)

    line = [job(f"j{number:04d}", cores=4, minutes=1, at=number) for number in range(1500)]
    found = look_ahead(cloud(N1, pending=line), counting).expectations
    told = [found[of.id] for of in line if found[of.id].start_us is not None]
    assert [of.start_us for of in told] == [NOW_US + number * MINUTE for number in range(len(told))]
    assert DECISIONS_MAX - 10 < len(told) <= len(asked) <= DECISIONS_MAX
    beyond = found[line[-1].id]
    assert "no further was looked" in beyond.sentence
    assert beyond.after_us is not None and NOW_US + 800 * MINUTE < beyond.after_us <= NOW_US + len(told) * MINUTE


def test_of_more_ends_than_can_be_decided_the_last_of_a_step_tells_the_start() -> None:
    """2,000 end a minute apart, and one needs them all gone: the last is at 2,000 minutes."""
    large = node("n1", cores=2000, gb=2000)
    ending = [running(f"r{number}", [large], left=number) for number in range(1, 2001)]
    found = expected(cloud(large, pending=[job("j", cores=2000)], running=ending), "j")
    assert found.start_us == NOW_US + 2000 * MINUTE
    assert 0 < found.within_us <= 30 * MINUTE


WHAT_IF: dict[str, tuple[Snapshot, Verdict, PendingReason | None, list[str]]] = {
    "now": (cloud(N1), Verdict.NOW, None, ["n1"]),
    "later": (cloud(N1, running=[FULL]), Verdict.LATER, PendingReason.WAITING_FOR_CAPACITY, ["n1"]),
    "later, nobody knows when": (cloud(N1, running=[ENDLESS]), Verdict.LATER, PendingReason.WAITING_FOR_CAPACITY, []),
    "never": (cloud(node("n1", cores=1)), Verdict.NEVER, PendingReason.INVALID_REQUEST, []),
}


@pytest.mark.parametrize("case", WHAT_IF)
def test_what_would_happen_to_a_job_that_is_not_submitted(case: str) -> None:
    snapshot, verdict, reason, nodes = WHAT_IF[case]
    answer = what_if(with_queue(snapshot), job("new", cores=2), decide)
    assert answer.verdict is verdict
    assert (answer.wait.reason if answer.wait else None) is reason
    assert [seat.node for seat in answer.seats] == nodes


def with_queue(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, queues=snapshot.queues or cloud(pending=[job("j")]).queues)


@given(snapshots())
def test_it_starts_when_the_cloud_run_on_by_hand_starts_it(snapshot: Snapshot) -> None:
    found, by_hand = look_ahead(snapshot, decide).expectations, run_on(snapshot)
    assert set(found) == {of.id for of in snapshot.pending}
    for of, expectation in found.items():
        assert (expectation.start_us, expectation.seats) == by_hand.get(of, (None, ()))
        assert expectation.start_us is not None or expectation.sentence.startswith(("unknown: ", "never: "))
        assert (expectation.basis is Basis.NONE) == (expectation.start_us is None)


@given(crowded())
def test_it_starts_when_those_are_gone_that_are_stopped_for_it(snapshot: Snapshot) -> None:
    found, by_hand = look_ahead(snapshot, decide).expectations, run_on(snapshot)
    assert {of: each.start_us for of, each in found.items()} == {of: by_hand.get(of, (None, ()))[0] for of in found}


def run_on(snapshot: Snapshot) -> dict[JobId, tuple[int, tuple[Seat, ...]]]:
    """When each pending job starts first, and where, deciding everyone at each instant, until nothing new comes of it."""
    now, started = VirtualCloud(snapshot), dict[JobId, tuple[int, tuple[Seat, ...]]]()
    early = [of.started_us + minimum(snapshot, of.queue) for of in snapshot.running]
    while True:
        while (plan := decide(now.snapshot())).placements or plan.evictions:
            for place in plan.placements:
                started.setdefault(place.job, (now.now_us, place.seats))
                early.append(now.now_us + minimum(snapshot, now.pending[place.job].queue))
            now.follow(plan)
        now.follow(plan)
        instants = [of for of in early if of > now.now_us] + ([] if now.next_us is None else [now.next_us])
        if not instants:
            return started
        now.advance(max(now.now_us, min(instants)))


def minimum(snapshot: Snapshot, queue: str) -> int:
    return Quotas(snapshot.queues, {}, Running(), Resources).min_runtime_us(QueueName(queue))


@given(snapshots(), st.integers(1, 60))
def test_in_an_unchanged_cloud_the_expected_starts_stay(snapshot: Snapshot, later_s: int) -> None:
    first = look_ahead(snapshot, decide)
    then_us = min(snapshot.now_us + later_s * 1_000_000, (first.good_until_us or LATEST_US) - 1)
    assume(then_us > snapshot.now_us)
    waiting = {of.job for of in decide(snapshot).decisions if isinstance(of, StayPending)}
    assume(len(waiting) == len(snapshot.pending))
    second = look_ahead(replace(snapshot, now_us=then_us), decide)
    assert second.expectations == first.expectations


@given(snapshots())
def test_a_virtual_cloud_in_which_all_has_ended_is_as_free_as_without_it(snapshot: Snapshot) -> None:
    running = tuple(replace(of, ends_us=of.ends_us or NOW_US) for of in snapshot.running)
    pending = tuple(replace(of, time_left_us=of.time_left_us or MINUTE) for of in snapshot.pending)
    ended = VirtualCloud(replace(snapshot, running=running, pending=pending))
    while ended.step() is not None:
        for place in decide(ended.snapshot()).placements:
            ended.start(place)
    assert not ended.running
    assert all(of.free == of.capacity for of in ended.snapshot().nodes)
    assert all(len(of.free_gpus) * 1000 == of.capacity[gpu_of(of.flavor)] for of in ended.snapshot().nodes)
    assert all(not of.in_use for of in ended.snapshot().queues)
