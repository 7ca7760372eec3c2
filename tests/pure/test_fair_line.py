"""Whose turn it is between queues and users, and for whom room is kept: examples in words."""

from dataclasses import replace

import pytest
from tests.pure.clouds import MINUTE, NOW_US, cloud, job, node, queue, running, told

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import NodeName, QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import Snapshot, StayPending, Used
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import Claim

N1 = node("n1")
HELD = Resources({"cpu.cpu": 4000 * 60 * MINUTE})


def used(snapshot: Snapshot, *who: tuple[str, str]) -> Snapshot:
    """Each of these users held the whole of n1 in that queue for an hour lately."""
    lately = tuple(Used(QueueName(name), UserId(user), HELD, NOW_US) for name, user in who)
    return replace(snapshot, used=lately)


def patient(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, fair=FairShare(reserve_after_us=30 * MINUTE))


CASES: dict[str, tuple[Snapshot, list[str]]] = {
    "the queue goes first that held less lately": (
        used(cloud(N1, pending=[job("a", cores=4, queue="x"), job("b", cores=4, queue="y", at=9)]), ("x", "ada")),
        ["a waits: WaitingForCapacity", "b on n1"],
    ),
    "by its weight": (
        used(
            cloud(
                N1,
                pending=[job("a", cores=4, queue="x", at=9), job("b", cores=4, queue="y")],
                queues=[replace(queue("x"), weight=2), queue("y")],
            ),
            ("x", "ada"),
            ("y", "ada"),
        ),
        ["a on n1", "b waits: WaitingForCapacity"],
    ),
    "and in it the user who held less": (
        used(cloud(N1, pending=[job("a", cores=4), job("b", cores=4, at=9, user="bob")]), ("q", "ada")),
        ["a waits: WaitingForCapacity", "b on n1"],
    ),
    "who starts is charged at once, so queues take turns": (
        cloud(N1, pending=[job(f"x{at}", cores=2, queue="x", at=at) for at in range(2)] + [job("y", cores=2, queue="y", at=9)]),
        ["x0 on n1", "x1 waits: WaitingForCapacity", "y on n1"],
    ),
    "priority does not reach into another queue": (
        used(
            cloud(N1, pending=[job("a", cores=4, queue="x", priority="urgent"), job("b", cores=4, queue="y", at=9)]), ("x", "ada")
        ),
        ["a waits: WaitingForCapacity", "b on n1"],
    ),
    "who has waited long has what is free kept for it": (
        patient(cloud(N1, pending=[job("big", cores=4), job("small", at=1)], running=[running("r", [N1], cores=2)])),
        ["big waits: WaitingForCapacity", "small waits: ReservedForOthers"],
    ),
    "who has not is passed": (
        patient(
            cloud(
                N1,
                pending=[replace(job("big", cores=4), submitted_us=NOW_US - MINUTE), replace(job("small"), submitted_us=NOW_US)],
                running=[running("r", [N1], cores=2)],
            )
        ),
        ["big waits: WaitingForCapacity", "small on n1"],
    ),
    "but who goes before it takes what is free": (
        patient(
            cloud(N1, pending=[job("big", cores=4), job("small", at=1, priority="high")], running=[running("r", [N1], cores=2)])
        ),
        ["big waits: WaitingForCapacity", "small on n1"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_whose_turn_it_is(case: str) -> None:
    snapshot, lines = CASES[case]
    assert told(decide(snapshot)) == lines


def test_the_node_is_kept_that_is_free_soonest_and_stays_the_same() -> None:
    n2 = node("n2")
    late, soon = running("late", [N1], cores=4, left=60), running("soon", [n2], cores=4, left=5)
    snapshot = patient(cloud(N1, n2, pending=[job("j", cores=4)], running=[late, soon]))
    (stay,) = decide(snapshot).decisions
    assert isinstance(stay, StayPending) and stay.claim == Claim((NodeName("n2"),), NOW_US, by_eviction=False)
    again = replace(snapshot, now_us=NOW_US + 1, pending=(replace(snapshot.pending[0], claim=stay.claim),))
    (later,) = decide(again).decisions
    assert isinstance(later, StayPending) and later.claim == stay.claim
