"""What a tree of queues may hold: own shares, borrowing, lending, limits for users and projects. Examples in words."""

import pytest
from tests.pure.clouds import cloud, job, node, queue, running, told

from xingliu.scheduling.model import Snapshot, StayPending
from xingliu.scheduling.policy import decide

G1, G2 = node("g1", cores=64, gpus=8), node("g2", cores=64, gpus=8)
NLP = queue("nlp", gpu_h100=8)
LAB = queue("lab", under="nlp", gpu_h100=4)
WEB = queue("web", under="nlp", gpu_h100=4)


def only(sentence_of: str, snapshot: Snapshot) -> str:
    waits = {str(stay.job): stay.wait for stay in decide(snapshot).decisions if isinstance(stay, StayPending)}
    return waits[sentence_of].sentence


CASES: dict[str, tuple[Snapshot, list[str]]] = {
    "what must not be stopped stays within the quota": (
        cloud(G1, pending=[job("j", gpus=6, queue="lab")], queues=[NLP, LAB, WEB]),
        ["j waits: ExceedsLimit"],
    ),
    "preemptible work borrows what the others leave": (
        cloud(G1, pending=[job("j", gpus=6, queue="lab", preemptible=True)], queues=[NLP, LAB, WEB]),
        ["j on g1:0,1,2,3,4,5"],
    ),
    "what must not be stopped has the quota for itself, and what may be borrows": (
        cloud(
            G1,
            pending=[job("a", gpus=4, queue="lab", preemptible=True), job("b", gpus=2, queue="lab", at=1)],
            queues=[NLP, LAB, WEB],
        ),
        ["a on g1:0,1,2,3", "b on g1:4,5"],
    ),
    "and where it may not borrow, the quota is the first come's": (
        cloud(
            G1,
            pending=[job("a", gpus=4, queue="lab", preemptible=True), job("b", gpus=2, queue="lab", priority="low", at=1)],
            queues=[NLP, queue("lab", under="nlp", gpu_h100=4, borrow={}), WEB],
        ),
        ["a on g1:0,1,2,3", "b waits: WaitingForQuota"],
    ),
    "a borrow limit bounds it": (
        cloud(
            G1,
            pending=[job("a", gpus=6, queue="lab", preemptible=True), job("b", gpus=7, queue="lab", preemptible=True)],
            queues=[NLP, queue("lab", under="nlp", gpu_h100=4, borrow={"gpu_h100": 2}), WEB],
        ),
        ["a on g1:0,1,2,3,4,5", "b waits: ExceedsLimit"],
    ),
    "and so does the quota of every queue above": (
        cloud(
            G1,
            G2,
            pending=[job("a", gpus=8, queue="lab", preemptible=True), job("b", gpus=1, queue="web")],
            queues=[queue("nlp", gpu_h100=8, borrow={}), LAB, WEB],
        ),
        ["a waits: WaitingForQuota", "b on g1:0"],
    ),
    "what a queue kept is its own to use in the same cycle": (
        cloud(
            G1,
            running=[running("r", [G1], gpus=4, queue="web", preemptible=True)],
            pending=[job("a", gpus=1, queue="web", preemptible=True), job("b", gpus=4, queue="lab", at=1)],
            queues=[queue("lab", gpu_h100=4, lend={}), queue("web", gpu_h100=0)],
        ),
        ["a waits: WaitingForQuota", "b on g1:4,5,6,7"],
    ),
    "what a queue does not lend waits for it": (
        cloud(
            G1,
            pending=[job("a", gpus=6, queue="lab", preemptible=True), job("b", gpus=4, queue="lab", preemptible=True)],
            queues=[queue("nlp", gpu_h100=8, borrow={}), LAB, queue("web", under="nlp", gpu_h100=4, lend={})],
        ),
        ["a waits: ExceedsLimit", "b on g1:0,1,2,3"],
    ),
    "unless it uses that itself": (
        cloud(
            G1,
            G2,
            pending=[job("a", gpus=8, queue="lab", preemptible=True)],
            running=[running("r", [G1], gpus=4, queue="web")],
            queues=[LAB, queue("web", gpu_h100=4, lend={"gpu_h100": 2})],
        ),
        ["a on g2:0,1,2,3,4,5,6,7"],
    ),
    "one user's part of a queue": (
        cloud(
            G1,
            pending=[job("a", gpus=2), job("b", gpus=2), job("c", gpus=2, user="bob")],
            queues=[queue("q", user={"gpu_h100": 3})],
        ),
        ["a on g1:0,1", "b waits: WaitingForQuota", "c on g1:2,3"],
    ),
    "one project's part of all queues below": (
        cloud(
            G1,
            pending=[job("a", gpus=2, queue="lab"), job("b", gpus=1, queue="lab", project="t/x")],
            running=[running("r", [G1], gpus=2, queue="web")],
            queues=[queue("nlp", project={"gpu_h100": 3}), queue("lab", under="nlp"), queue("web", under="nlp")],
        ),
        ["a waits: WaitingForQuota", "b on g1:2"],
    ),
    "a queue is held with all above it": (
        cloud(G1, pending=[job("j", queue="lab")], queues=[queue("nlp", held=True), LAB]),
        ["j waits: Held"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_in_a_tree_of_queues(case: str) -> None:
    snapshot, lines = CASES[case]
    assert told(decide(snapshot)) == lines


SENTENCES: dict[str, tuple[Snapshot, str]] = {
    "the limit of a user": (
        cloud(G1, pending=[job("j", gpus=2)], running=[running("r", [G1], gpus=2)], queues=[queue("q", user={"gpu_h100": 3})]),
        "It asks for 2 GPUs of flavor h100; user ada holds 2 of the 3 that one user may hold in queue q.",
    ),
    "more than a project may ever hold": (
        cloud(G1, pending=[job("j", gpus=4)], queues=[queue("q", project={"gpu_h100": 3})]),
        "It asks for 4 GPUs of flavor h100; project t/p may never hold more than 3 in queue q.",
    ),
    "a borrow limit": (
        cloud(
            G1,
            pending=[job("j", gpus=2, preemptible=True)],
            running=[running("r", [G1], gpus=5)],
            queues=[queue("q", gpu_h100=4, borrow={"gpu_h100": 2})],
        ),
        "It asks for 2 GPUs of flavor h100; queue q holds 5 of the 6 in its quota and borrow limit.",
    ),
    "a lend limit": (
        cloud(
            G1,
            pending=[job("j", gpus=2, preemptible=True)],
            running=[running("r", [G1], gpus=5)],
            queues=[queue("q", gpu_h100=4), queue("x", gpu_h100=2, lend={})],
        ),
        "It asks for 2 GPUs of flavor h100; queue q holds 5 of the 6 it may while others keep what they do not lend.",
    ),
    "the quota of a queue above": (
        cloud(
            G1,
            pending=[job("j", gpus=2, queue="lab")],
            running=[running("r", [G1], gpus=7, queue="web")],
            queues=[NLP, LAB, WEB],
        ),
        "It asks for 2 GPUs of flavor h100; queue nlp holds 7 of the 8 in its quota.",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_the_bound_that_stands_against_it_is_named(case: str) -> None:
    snapshot, sentence = SENTENCES[case]
    assert only("j", snapshot) == sentence
