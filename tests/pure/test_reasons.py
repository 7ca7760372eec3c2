"""Every reason why a job waits, each with the smallest cloud that causes it.

Those of later parts enter when something can cause them: suspended projects and budgets with billing, topology with racks
that matter, the preparing of data with shared volumes.
"""

from dataclasses import replace

import pytest
from tests.pure.clouds import MINUTE, cloud, ends, job, node, queue, running, told

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import ArrayId
from xingliu.scheduling.model import Snapshot
from xingliu.scheduling.policy import decide
from xingliu.workloads.arrays import ArrayPart
from xingliu.workloads.model import PendingReason as Reason

IN_THE_ORDER_OF_THE_DESIGN = [
    "InvalidRequest",
    "Held",
    "DependencyWaiting",
    "DependencyFailed",
    "NotBefore",
    "ProjectSuspended",
    "BudgetReached",
    "ExceedsLimit",
    "WaitingForQuota",
    "WaitingForCapacity",
    "WaitingForTopology",
    "NodesUnhealthy",
    "ReservedForOthers",
    "BehindHigherPriority",
    "PreemptionInProgress",
    "PreparingData",
]
LATER = {
    "ProjectSuspended",
    "BudgetReached",
    "WaitingForTopology",
    "PreparingData",
}

N1, N2 = node("n1"), node("n2")
J = job("j", cores=4)
HALF_BUSY = running("r", [N1], cores=2)

CAUSED_BY: dict[Reason, Snapshot] = {
    Reason.INVALID_REQUEST: cloud(N1, pending=[job("j", cores=5)]),
    Reason.HELD: cloud(N1, pending=[replace(J, held=True)]),
    Reason.DEPENDENCY_WAITING: cloud(N1, pending=[replace(J, after=(ends("a"),))]),
    Reason.DEPENDENCY_FAILED: cloud(N1, pending=[replace(J, after=(ends("a", met=False),))]),
    Reason.NOT_BEFORE: cloud(N1, pending=[job("j", not_before=1)]),
    Reason.EXCEEDS_LIMIT: cloud(N1, pending=[J], queues=[queue("q", cpu_cpu=3)]),
    Reason.WAITING_FOR_QUOTA: cloud(N1, N2, pending=[J], running=[HALF_BUSY], queues=[queue("q", cpu_cpu=4)]),
    Reason.WAITING_FOR_CAPACITY: cloud(N1, pending=[J], running=[HALF_BUSY]),
    Reason.NODES_UNHEALTHY: cloud(node("n1", state="down"), pending=[J]),
    Reason.RESERVED_FOR_OTHERS: cloud(
        N1, pending=[job("head", cores=4), job("j", at=1)], running=[HALF_BUSY], queues=[queue("q", order="first-come")]
    ),
    Reason.BEHIND_HIGHER_PRIORITY: cloud(N1, pending=[J, job("urgent", priority="urgent")]),
    Reason.PREEMPTION_IN_PROGRESS: cloud(N1, pending=[J], running=[running("v", [N1], cores=4, priority="low")]),
}

ALSO_CAUSED_BY: dict[str, tuple[Reason, Snapshot]] = {
    "a queue that is held, above its own": (
        Reason.HELD,
        cloud(N1, pending=[J], queues=[queue("top", held=True), queue("q", under="top")]),
    ),
    "one user's limit": (Reason.EXCEEDS_LIMIT, cloud(N1, pending=[J], queues=[queue("q", user={"cpu_cpu": 3})])),
    "what others do not lend": (
        Reason.EXCEEDS_LIMIT,
        cloud(
            N1,
            pending=[replace(J, preemptible=True)],
            queues=[queue("q", cpu_cpu=1), queue("x", cpu_cpu=3, lend={"cpu_cpu": 0})],
        ),
    ),
    "an array that holds as many nodes as it may": (
        Reason.WAITING_FOR_QUOTA,
        cloud(N1, pending=[replace(job(name), array=ArrayPart(ArrayId("a"), at, 2, 1)) for at, name in enumerate("ij")]),
    ),
    "what one project holds": (
        Reason.WAITING_FOR_QUOTA,
        cloud(N1, N2, pending=[J], running=[HALF_BUSY], queues=[queue("q", project={"cpu_cpu": 5})]),
    ),
    "a drained node": (Reason.NODES_UNHEALTHY, cloud(node("n1", state="drained"), pending=[J])),
    "room that is kept for one that has waited long": (
        Reason.RESERVED_FOR_OTHERS,
        replace(
            cloud(N1, pending=[job("long", cores=4), job("j", at=1)], running=[HALF_BUSY]),
            fair=FairShare(reserve_after_us=30 * MINUTE),
        ),
    ),
    "a borrowed share that is taken back": (
        Reason.PREEMPTION_IN_PROGRESS,
        cloud(
            N1,
            pending=[job("j", cores=2, queue="mine")],
            running=[running("v", [N1], cores=4, queue="other", preemptible=True)],
            queues=[queue("mine", cpu_cpu=2), queue("other", cpu_cpu=2)],
        ),
    ),
}


@pytest.mark.parametrize("reason", CAUSED_BY)
def test_every_reason_is_caused(reason: Reason) -> None:
    assert f"j waits: {reason.value}" in told(decide(CAUSED_BY[reason]))


@pytest.mark.parametrize("case", ALSO_CAUSED_BY)
def test_a_reason_is_also_caused_by(case: str) -> None:
    reason, snapshot = ALSO_CAUSED_BY[case]
    assert f"j waits: {reason.value}" in told(decide(snapshot))


def test_there_is_a_case_for_every_reason_and_they_stand_in_the_order_of_the_design() -> None:
    assert CAUSED_BY.keys() == set(Reason)
    assert [reason.value for reason in Reason] == [name for name in IN_THE_ORDER_OF_THE_DESIGN if name not in LATER]


def test_the_users_own_mistake_is_said_before_what_others_can_mend() -> None:
    held = cloud(N1, pending=[job("j", cores=5, held=True)], queues=[queue("q", held=True, cpu_cpu=1)])
    assert told(decide(held)) == ["j waits: InvalidRequest"]
    above = cloud(N1, pending=[J], running=[HALF_BUSY], queues=[queue("q", held=True, cpu_cpu=1)])
    assert told(decide(above)) == ["j waits: Held"]
