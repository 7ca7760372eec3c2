"""Orders and rules as values handed to the one engine: examples in words."""

from dataclasses import replace

import pytest
from tests.pure.clouds import cloud, job, node, running, told

from xingliu.scheduling.eviction import stop_nothing
from xingliu.scheduling.model import Snapshot
from xingliu.scheduling.orders import DEFAULT, EARLIEST, FIRST_COME, SHORTEST_FIRST, Order, Policy
from xingliu.scheduling.policy import decide

N1, N2 = node("n1"), node("n2")
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
        ["huge waits: ExceedsLimit", "small on n1"],
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
