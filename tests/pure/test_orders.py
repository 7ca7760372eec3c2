"""Orders and rules as values handed to the one engine: examples in words."""

from dataclasses import replace

import pytest
from tests.pure.clouds import NOW_US, cloud, job, node, queue, running, told

from xingliu.kernel.ids import NodeName
from xingliu.scheduling.eviction import stop_nothing
from xingliu.scheduling.model import PendingJob, Snapshot
from xingliu.scheduling.orders import DEFAULT, EARLIEST, FIRST_COME, SHORTEST_FIRST, Order, Policy
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import Claim

N1, N2 = node("n1"), node("n2")


def claiming(of: PendingJob, *nodes: str) -> PendingJob:
    """Others were stopped for it on these nodes."""
    return replace(of, claim=Claim(tuple(map(NodeName, nodes)), NOW_US))


BUSY = running("r", [N1], cores=2, priority="urgent")

CASES: dict[str, tuple[Order, Snapshot, list[str]]] = {
    "earliest lets a small one pass": (
        EARLIEST,
        cloud(N1, pending=[job("big", cores=4), job("small", at=1)], running=[BUSY]),
        ["big waits: WaitingForCapacity", "small on n1"],
    ),
    "first-come lets nobody of its queue pass": (
        FIRST_COME,
        cloud(N1, pending=[job("big", cores=4), job("small", at=1), job("other", at=2, queue="x")], running=[BUSY]),
        ["big waits: WaitingForCapacity", "other on n1", "small waits: ReservedForOthers"],
    ),
    "who can never start holds nobody up": (
        FIRST_COME,
        cloud(N1, pending=[job("huge", cores=9), job("small", at=1)]),
        ["huge waits: InvalidRequest", "small on n1"],
    ),
    "nor who is held": (
        FIRST_COME,
        cloud(N1, pending=[job("held", held=True), job("small", at=1)]),
        ["held waits: Held", "small on n1"],
    ),
    "shortest-first goes by what is left of the time limit": (
        SHORTEST_FIRST,
        cloud(N1, pending=[job("long", cores=4, minutes=9), job("short", cores=4, minutes=1, at=5), job("endless", cores=4)]),
        ["endless waits: WaitingForCapacity", "long waits: WaitingForCapacity", "short on n1"],
    ),
    "priority goes before any order": (
        SHORTEST_FIRST,
        cloud(N1, pending=[job("long", cores=4, minutes=9, priority="high"), job("short", cores=4, minutes=1)]),
        ["long on n1", "short waits: BehindHigherPriority"],
    ),
}


FIRST = queue("q", order="first-come")
QUOTA = queue("q", order="first-come", cpu_cpu=2)
IN_QUEUES: dict[str, tuple[Snapshot, list[str]]] = {
    "in a first-come queue nobody passes the head, and in others they go on": (
        cloud(
            N1,
            pending=[job("big", cores=4), job("small", at=1, user="bob"), job("other", at=2, queue="x")],
            running=[BUSY],
            queues=[FIRST],
        ),
        ["big waits: WaitingForCapacity", "other on n1", "small waits: ReservedForOthers"],
    ),
    "nor where others are being stopped for the head": (
        cloud(
            N1,
            N2,
            pending=[claiming(job("big", cores=4, at=1), "n1"), job("small", at=2), job("urgent", at=3, priority="urgent")],
            running=[running("v", [N1], cores=4, leaves_for="big")],
            queues=[FIRST],
        ),
        ["big waits: PreemptionInProgress", "small waits: ReservedForOthers", "urgent on n2"],
    ),
    "who may hold no more itself stands in nobody's way": (
        cloud(
            N1,
            pending=[job("a"), job("b", at=1, user="bob")],
            running=[running("r", [N1], cores=2)],
            queues=[queue("q", order="first-come", user={"cpu_cpu": 2})],
        ),
        ["a waits: WaitingForQuota", "b on n1"],
    ),
    "unless one of its own is stopped for it": (
        cloud(
            N1,
            pending=[job("a", priority="high"), job("b", at=1, user="bob")],
            running=[running("r", [N1], cores=2, priority="low")],
            queues=[queue("q", order="first-come", user={"cpu_cpu": 2})],
        ),
        ["a waits: PreemptionInProgress", "b waits: ReservedForOthers", "r stops for a (preempt)"],
    ),
    "but for what the queue lacks all wait": (
        cloud(
            N1,
            pending=[job("a"), job("b", at=1, user="bob")],
            running=[running("r", [N1], cores=2)],
            queues=[queue("q", order="first-come", user={"cpu_cpu": 2}, cpu_cpu=2)],
        ),
        ["a waits: WaitingForQuota", "b waits: ReservedForOthers"],
    ),
    "who is behind a head and may never start says so": (
        cloud(N1, pending=[job("big", cores=4), job("huge", cores=9, at=1)], running=[BUSY], queues=[FIRST]),
        ["big waits: WaitingForCapacity", "huge waits: InvalidRequest"],
    ),
    "a head that has to borrow comes with the borrowers, and all of its queue behind it": (
        cloud(
            node("n1", cores=6),
            pending=[
                job("a", cores=4, preemptible=True),
                job("b", at=1, preemptible=True),
                job("c", cores=4, at=2, queue="x"),
            ],
            queues=[QUOTA, queue("x", cpu_cpu=4)],
        ),
        ["a waits: WaitingForCapacity", "b waits: ReservedForOthers", "c on n1"],
    ),
    "a queue goes by the order of the nearest above it that has one": (
        cloud(
            N1,
            pending=[job("long", cores=4, minutes=9), job("short", cores=4, minutes=1, at=5)],
            queues=[queue("top", order="first-come"), queue("mid", order="shortest-first", under="top"), queue("q", under="mid")],
        ),
        ["long waits: WaitingForCapacity", "short on n1"],
    ),
    "in a queue that is not fair nobody's turn depends on what its user held": (
        cloud(
            node("n1", cores=2),
            pending=[job("a", at=1), job("b", at=2), job("c", at=3, user="bob")],
            queues=[FIRST],
        ),
        ["a on n1", "b on n1", "c waits: WaitingForCapacity"],
    ),
    "in a deadline queue the earliest goes first, and those without one last": (
        cloud(
            N1,
            pending=[job("none", cores=4), job("late", cores=4, due=90, at=1), job("soon", cores=4, due=30, at=2)],
            queues=[queue("q", order="deadline")],
        ),
        ["late waits: WaitingForCapacity", "none waits: WaitingForCapacity", "soon on n1"],
    ),
    "but priority goes before a deadline, and one who does not fit is passed": (
        cloud(
            N1,
            pending=[job("soon", cores=4, due=30), job("none", cores=2, priority="high"), job("late", cores=2, due=90)],
            queues=[queue("q", order="deadline")],
        ),
        ["late on n1", "none on n1", "soon waits: BehindHigherPriority"],
    ),
    "queues of different orders share by their weights": (
        cloud(
            node("n1", cores=2),
            pending=[job("a", at=1), job("b", at=2), job("c", at=3, queue="x", minutes=5), job("d", at=4, queue="x", minutes=1)],
            queues=[FIRST, queue("x", order="shortest-first")],
        ),
        ["a on n1", "b waits: WaitingForCapacity", "c waits: WaitingForCapacity", "d on n1"],
    ),
}


@pytest.mark.parametrize("case", IN_QUEUES)
def test_by_the_order_of_each_queue(case: str) -> None:
    snapshot, lines = IN_QUEUES[case]
    assert told(decide(snapshot)) == lines


def test_an_order_of_all_jobs_in_one_line_goes_before_those_of_queues() -> None:
    snapshot = cloud(N1, pending=[job("big", cores=4), job("small", at=1)], running=[BUSY], queues=[FIRST])
    assert told(decide(snapshot, Policy(order=EARLIEST))) == ["big waits: WaitingForCapacity", "small on n1"]


@pytest.mark.parametrize("case", CASES)
def test_by_the_order(case: str) -> None:
    order, snapshot, lines = CASES[case]
    assert told(decide(snapshot, Policy(order=order))) == lines


def test_a_rule_that_stops_nothing_stops_nothing() -> None:
    snapshot = cloud(N1, pending=[job("j", cores=4)], running=[running("v", [N1], cores=4, priority="low")])
    assert told(decide(snapshot, replace(DEFAULT, rule=stop_nothing))) == ["j waits: WaitingForCapacity"]


def test_a_score_chooses_the_flavor() -> None:
    roomy = replace(DEFAULT, score=lambda free, asked, has_gpus: (-free.cpu_milli,))
    snapshot = cloud(node("c1", cores=2), node("g1", cores=64, gpus=8), pending=[job("j")])
    assert told(decide(snapshot)) == ["j on c1"]
    assert told(decide(snapshot, roomy)) == ["j on g1"]
