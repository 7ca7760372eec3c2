"""Who is stopped for whom, and who never: examples in words."""

from dataclasses import replace

import pytest
from tests.pure.clouds import NOW_US, cloud, job, node, queue, running, told

from xingliu.kernel.ids import JobId, NodeName
from xingliu.scheduling.model import RunningJob, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import Claim, PendingReason

G1, G2 = node("g1", cores=64, gpus=8), node("g2", cores=64, gpus=8)
LAB, WEB = queue("lab", gpu_h100=8), queue("web", gpu_h100=8)
WAITS = "j waits: PreemptionInProgress"


def low(name: str = "v", gpus: int = 8, **more: object) -> RunningJob:
    return running(name, [G1], gpus=gpus, priority="low", **more)  # type: ignore[arg-type]


def other(name: str = "v", gpus: int = 8, queue: str = "web", on: object = (G1,), **more: object) -> RunningJob:
    return running(name, on, gpus=gpus, queue=queue, preemptible=True, **more)  # type: ignore[arg-type]


CASES: dict[str, tuple[Snapshot, list[str]]] = {
    "work of lower priority in its own queue": (
        cloud(G1, pending=[job("j", gpus=4)], running=[low()]),
        [WAITS, "v stops for j (preempt)"],
    ),
    "not of its own priority": (
        cloud(G1, pending=[job("j", gpus=4)], running=[running("v", [G1], gpus=8)]),
        ["j waits: WaitingForCapacity"],
    ),
    "unless that is preemptible and it is not": (
        cloud(G1, pending=[job("j", gpus=4)], running=[running("v", [G1], gpus=8, preemptible=True)]),
        [WAITS, "v stops for j (preempt)"],
    ),
    "two that are preemptible leave each other alone": (
        cloud(G1, pending=[job("j", gpus=4, preemptible=True)], running=[running("v", [G1], gpus=8, preemptible=True)]),
        ["j waits: WaitingForCapacity"],
    ),
    "nobody of higher priority, preemptible or not": (
        cloud(G1, pending=[job("j", gpus=4)], running=[running("v", [G1], gpus=8, preemptible=True, priority="high")]),
        ["j waits: WaitingForCapacity"],
    ),
    "another queue's work is its own while that is within its quota": (
        cloud(G1, pending=[job("j", gpus=4, priority="urgent", queue="lab")], running=[other()], queues=[LAB, WEB]),
        ["j waits: WaitingForCapacity"],
    ),
    "what it holds above is taken back by whom it belongs to": (
        cloud(
            G1,
            pending=[job("j", gpus=4, priority="low", queue="lab")],
            running=[other("v", 4), other("w", 4, ran=30, first=4)],
            queues=[LAB, queue("web", gpu_h100=4)],
        ),
        [WAITS, "w stops for j (reclaim)"],
    ),
    "not to go above its own quota": (
        cloud(
            G1,
            pending=[job("j", gpus=4, queue="lab", preemptible=True)],
            running=[other("v", 8)],
            queues=[queue("lab", gpu_h100=2), queue("web", gpu_h100=4)],
        ),
        ["j waits: WaitingForCapacity"],
    ),
    "nor what must not be stopped": (
        cloud(
            G1,
            pending=[job("j", gpus=4, queue="lab")],
            running=[running("v", [G1], gpus=8, queue="web")],
            queues=[LAB, queue("web", gpu_h100=4)],
        ),
        ["j waits: WaitingForCapacity"],
    ),
    "a queue without a quota has nothing to take back": (
        cloud(G1, pending=[job("j", gpus=4, queue="free")], running=[other()], queues=[queue("web", gpu_h100=4)]),
        ["j waits: WaitingForCapacity"],
    ),
    "quota lent below one parent is taken back there": (
        cloud(
            G1,
            G2,
            pending=[job("j", gpus=4, queue="lab")],
            running=[other("v", 8)],
            queues=[
                queue("nlp", gpu_h100=8, borrow={}),
                queue("lab", under="nlp", gpu_h100=4),
                queue("web", under="nlp", gpu_h100=4),
            ],
        ),
        [WAITS, "v stops for j (reclaim)"],
    ),
    "the cheapest is stopped: who saved last": (
        cloud(
            G1,
            G2,
            pending=[job("j", gpus=8)],
            running=[low("old", ran=600, saved=1), running("new", [G2], gpus=8, priority="low", ran=5)],
        ),
        [WAITS, "old stops for j (preempt)"],
    ),
    "a little of much is cheaper than much of a little": (
        cloud(G1, pending=[job("j", gpus=2)], running=[low("big", 6, saved=1), low("small", 2, saved=30, first=6)]),
        ["big stops for j (preempt)", WAITS],
    ),
    "nobody is stopped whose room is not needed": (
        cloud(
            G1,
            pending=[job("j", gpus=4)],
            running=[low("a", 2, saved=1), low("b", 2, saved=3, first=2), low("c", 4, saved=2, first=4)],
        ),
        ["c stops for j (preempt)", WAITS],
    ),
    "and nobody where no shape comes free": (
        cloud(G1, pending=[job("j", gpus=8)], running=[low("v", 4), running("r", [G1], gpus=4, first=4)]),
        ["j waits: WaitingForCapacity"],
    ),
    "for a gang the nodes that cost least together": (
        cloud(
            G1,
            G2,
            node("g3", cores=64, gpus=8),
            pending=[job("j", 2, gpus=8)],
            running=[
                running("a", [G1, G2], gpus=8, priority="low", saved=4),
                running("c", [node("g3", cores=64, gpus=8)], gpus=8, priority="low", saved=5),
            ],
        ),
        ["a stops for j (preempt)", WAITS],
    ),
    "a quota in use is made free as well": (
        cloud(
            G1,
            G2,
            pending=[job("j", gpus=4, priority="high", queue="lab")],
            running=[running("v", [G1], gpus=8, queue="lab")],
            queues=[LAB],
        ),
        [WAITS, "v stops for j (preempt)"],
    ),
    "what began a short while ago runs its least time": (
        cloud(
            G1, pending=[job("j", gpus=4)], running=[low(ran=5)], queues=[replace(queue("q"), min_runtime_us=10 * 60 * 1_000_000)]
        ),
        ["j waits: WaitingForCapacity"],
    ),
    "what stops already is not stopped again": (
        cloud(G1, pending=[job("j", gpus=4), job("k", gpus=4)], running=[low(leaves_for="k")]),
        ["j waits: WaitingForCapacity", "k waits: WaitingForCapacity"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_for_a_job_that_does_not_fit_stops(case: str) -> None:
    snapshot, lines = CASES[case]
    assert told(decide(snapshot)) == lines


def claiming(snapshot: Snapshot, on: str = "g1", name: str = "j") -> Snapshot:
    claim = Claim((NodeName(on),), NOW_US)
    pending = (replace(of, claim=claim) if of.id == name else of for of in snapshot.pending)
    return replace(snapshot, pending=tuple(pending))


KEPT: dict[str, tuple[Snapshot, list[str]]] = {
    "while it stops, what is free there is kept": (
        claiming(cloud(G1, pending=[job("j", gpus=8), job("k", gpus=2)], running=[low("v", 4, leaves_for="j")])),
        [WAITS, "k waits: WaitingForCapacity"],
    ),
    "who was promised room starts once it is there, before anyone else": (
        claiming(cloud(G1, pending=[job("j", gpus=8, at=9), job("k", gpus=2, priority="urgent")])),
        ["j on g1:0,1,2,3,4,5,6,7", "k waits: WaitingForCapacity"],
    ),
    "the quota that is let go of is kept as well": (
        claiming(
            cloud(
                G1,
                G2,
                pending=[job("j", gpus=4), job("k", gpus=4, priority="urgent")],
                running=[low("v", 8, leaves_for="j")],
                queues=[queue("q", gpu_h100=8)],
            )
        ),
        [WAITS, "k waits: WaitingForQuota"],
    ),
    "a node that fails meanwhile ends the promise": (
        claiming(cloud(replace(G1, state="down"), G2, pending=[job("j", gpus=8)], running=[low("v", 8, leaves_for="j")])),  # type: ignore[arg-type]
        ["j on g2:0,1,2,3,4,5,6,7"],
    ),
    "so does holding the job": (
        claiming(cloud(G1, pending=[job("j", gpus=8, held=True), job("k", gpus=2)])),
        ["j waits: Held", "k on g1:0,1"],
    ),
}


def test_what_is_free_and_promised_to_another_is_said_and_no_reason_of_its_own() -> None:
    """It passes in seconds, and who waits would be told of another reason twice for each job that others make room for."""
    snapshot, _ = KEPT["while it stops, what is free there is kept"]
    (stay,) = [stay for stay in decide(snapshot).stays if stay.job == "k"]
    assert stay.wait.reason is PendingReason.WAITING_FOR_CAPACITY
    assert stay.wait.sentence.endswith(", and what else is free is kept for jobs that others make room for.")


@pytest.mark.parametrize("case", KEPT)
def test_room_that_is_promised(case: str) -> None:
    snapshot, lines = KEPT[case]
    assert told(decide(snapshot)) == lines


def test_who_waits_for_others_to_stop_is_told_so() -> None:
    snapshot = cloud(G1, pending=[job("j", gpus=4)], running=[low()])
    (stay,) = decide(snapshot).decisions
    assert isinstance(stay, StayPending) and stay.claim == Claim((NodeName("g1"),), NOW_US)
    assert stay.wait.sentence == "It asks for 4 GPUs, 1 core and 1 GB; 1 job stops to make room for it on g1."
    assert stay.wait.numbers["leaving"] == [JobId("v")]
