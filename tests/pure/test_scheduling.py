"""Who starts where, and why the others wait: examples in words. What holds for any cloud: test_scheduling_laws.py."""

from dataclasses import replace

import pytest
from tests.pure.clouds import cloud, ends, job, node, queue, running, told

from xingliu.scheduling.model import Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import PendingReason

N1, N2 = node("n1"), node("n2")
G1, G2 = node("g1", cores=16, gb=64, gpus=4), node("g2", cores=16, gb=64, gpus=4)

CASES: dict[str, tuple[Snapshot, list[str]]] = {
    "an idle node takes a job": (cloud(N1, pending=[job("j")]), ["j on n1"]),
    "a gang takes as many different nodes": (cloud(N1, N2, pending=[job("j", nodes=2)]), ["j on n1 n2"]),
    "a gang starts whole or not at all": (
        cloud(N1, N2, pending=[job("j", nodes=2, cores=3)], running=[running("r", [N1], cores=2)]),
        ["j waits: WaitingForCapacity"],
    ),
    "two replicas never share a node": (cloud(node("n1", cores=8), pending=[job("j", nodes=2)]), ["j waits: InvalidRequest"]),
    "a gang stays on one flavor": (
        cloud(N1, G1, pending=[job("j", nodes=2)]),
        ["j waits: InvalidRequest"],
    ),
    "the tightest node wins": (
        cloud(node("n1", cores=8), N2, pending=[job("j", cores=2)]),
        ["j on n2"],
    ),
    "among equals the first name wins": (cloud(N2, N1, pending=[job("j")]), ["j on n1"]),
    "a node without the memory is passed over": (
        cloud(node("n1", gb=2), node("n2", gb=8), pending=[job("j", gb=4)]),
        ["j on n2"],
    ),
    "memory counts as hard as cores": (
        cloud(node("n1", gb=4), pending=[job("j", gb=3)], running=[running("r", [node("n1")], gb=2)]),
        ["j waits: WaitingForCapacity"],
    ),
    "without GPUs a job avoids nodes that have some": (cloud(G1, node("n9", cores=64), pending=[job("j")]), ["j on n9"]),
    "even where it would fit more tightly": (
        cloud(G1, node("n9", cores=64), pending=[job("j")], running=[running("r", [G1], cores=14, gpus=4)]),
        ["j on n9"],
    ),
    "but takes one when there is no other": (cloud(G1, pending=[job("j")]), ["j on g1"]),
    "and then one whose GPUs are in use": (
        cloud(G1, G2, pending=[job("j")], running=[running("r", [G2], gpus=4)]),
        ["j on g2"],
    ),
    "the lowest free GPUs are taken": (
        cloud(G1, pending=[job("j", gpus=2)], running=[running("r", [G1], gpus=1)]),
        ["j on g1:1,2"],
    ),
    "whatever order they are listed in": (
        cloud(replace(G1, free_gpus=(3, 0, 2)), pending=[job("j", gpus=2)]),
        ["j on g1:0,2"],
    ),
    "two jobs on one node get different GPUs": (
        cloud(G1, pending=[job("a", gpus=2), job("b", gpus=2), job("c", gpus=1)]),
        ["a on g1:0,1", "b on g1:2,3", "c waits: WaitingForCapacity"],
    ),
    "one that only used cores in between changes no GPU": (
        cloud(G1, pending=[job("a", gpus=4), job("b"), job("c", gpus=1)]),
        ["a on g1:0,1,2,3", "b on g1", "c waits: WaitingForCapacity"],
    ),
    "GPUs are packed": (
        cloud(G1, G2, pending=[job("j", gpus=1)], running=[running("r", [G2], gpus=2)]),
        ["j on g2:2"],
    ),
    "a model is found by name, however it is written": (
        cloud(G1, node("a1", gpus=4, flavor="a100"), pending=[job("j", gpus=1, model="h100")]),
        ["j on g1:0"],
    ),
    "a model nobody has": (cloud(G1, pending=[job("j", gpus=1, model="B200")]), ["j waits: InvalidRequest"]),
    "more GPUs than a node has": (cloud(G1, pending=[job("j", gpus=5)]), ["j waits: InvalidRequest"]),
    "no nodes at all": (cloud(pending=[job("j")]), ["j waits: InvalidRequest"]),
    "a retired node is none": (cloud(node("n1", state="retired"), pending=[job("j")]), ["j waits: InvalidRequest"]),
    "urgent goes first": (
        cloud(N1, pending=[job("a", cores=4, at=0), job("z", cores=4, priority="urgent", at=9)]),
        ["a waits: BehindHigherPriority", "z on n1"],
    ),
    "among equals who came first goes first, and the other just waits": (
        cloud(N1, pending=[job("a", cores=4, at=2), job("z", cores=4, at=1)]),
        ["a waits: WaitingForCapacity", "z on n1"],
    ),
    "at one instant the id decides": (
        cloud(N1, pending=[job("b", cores=4), job("a", cores=4)]),
        ["a on n1", "b waits: WaitingForCapacity"],
    ),
    "where a large gang fails, a smaller one of the same shape starts": (
        cloud(N1, N2, node("n3"), pending=[job("a", nodes=3, cores=4), job("b", nodes=2, cores=4)], running=[running("r", [N1])]),
        ["a waits: WaitingForCapacity", "b on n2 n3"],
    ),
    "a small job passes a big one that waits": (
        cloud(
            N1,
            N2,
            pending=[job("big", nodes=2, cores=4, priority="high"), job("small", priority="low")],
            running=[running("r", [N1], cores=2, priority="high")],
        ),
        ["big waits: WaitingForCapacity", "small on n1"],
    ),
    "who would not have fitted anyway is not behind anyone": (
        cloud(N1, pending=[job("a", cores=3), job("u", cores=1, priority="urgent")], running=[running("r", [N1], cores=2)]),
        ["a waits: WaitingForCapacity", "u on n1"],
    ),
    "nor is who was overtaken by an equal": (
        cloud(N1, N2, pending=[job("u", cores=4, priority="urgent"), job("a", cores=4, at=1), job("b", cores=4, at=2)]),
        ["a on n2", "b waits: WaitingForCapacity", "u on n1"],
    ),
    "what is left for those below says nothing about those above": (
        cloud(
            N1,
            pending=[
                job("u", priority="urgent", held=True),
                job("a", cores=4, priority="high"),
                job("b", cores=2, priority="high", at=1),
                job("c", cores=2),
            ],
        ),
        ["a on n1", "b waits: WaitingForCapacity", "c waits: BehindHigherPriority", "u waits: Held"],
    ),
    "a held job": (cloud(N1, pending=[job("j", held=True)]), ["j waits: Held"]),
    "a held queue": (cloud(N1, pending=[job("j")], queues=[queue("q", held=True)]), ["j waits: Held"]),
    "what can never be met is said before anything else": (cloud(pending=[job("j", held=True)]), ["j waits: InvalidRequest"]),
    "more than the quota": (
        cloud(N1, N2, pending=[job("j", nodes=2, cores=2)], queues=[queue("q", cpu_cpu=3)]),
        ["j waits: ExceedsLimit"],
    ),
    "what is left of the quota": (
        cloud(N1, N2, pending=[job("j", cores=2)], running=[running("r", [N1], cores=2)], queues=[queue("q", cpu_cpu=3)]),
        ["j waits: WaitingForQuota"],
    ),
    "the quota holds within one cycle": (
        cloud(N1, N2, pending=[job("a", cores=2), job("b", cores=2)], queues=[queue("q", cpu_cpu=3)]),
        ["a on n1", "b waits: WaitingForQuota"],
    ),
    "a quota is the queue's own": (
        cloud(N1, pending=[job("a", queue="x"), job("b", queue="y")], queues=[queue("x", cpu_cpu=1), queue("y", cpu_cpu=1)]),
        ["a on n1", "b on n1"],
    ),
    "cores of a flavor with GPUs are not rationed": (
        cloud(G1, pending=[job("j", cores=8, gpus=1)], queues=[queue("q", gpu_h100=1)]),
        ["j on g1:0"],
    ),
    "unless the quota names them": (
        cloud(G1, pending=[job("j", cores=8, gpus=1)], queues=[queue("q", gpu_h100=1, cpu_h100=4)]),
        ["j waits: ExceedsLimit"],
    ),
    "a kind the quota does not name is none": (
        cloud(N1, pending=[job("j")], queues=[queue("q", gpu_h100=1)]),
        ["j waits: ExceedsLimit"],
    ),
    "the quota chooses the flavor": (
        cloud(G1, node("a1", gpus=1, flavor="a100"), pending=[job("j", gpus=1)], queues=[queue("q", gpu_h100=1)]),
        ["j on g1:0"],
    ),
    "quota is said before room": (
        cloud(N1, pending=[job("j", cores=4)], running=[running("r", [N1], cores=4)], queues=[queue("q", cpu_cpu=4)]),
        ["j waits: WaitingForQuota"],
    ),
    "a node that is down would do": (
        cloud(N1, node("n2", state="down"), pending=[job("j", nodes=2)]),
        ["j waits: NodesUnhealthy"],
    ),
    "a drained node would do": (
        cloud(N1, node("n2", state="drained"), pending=[job("j", cores=4)], running=[running("r", [N1])]),
        ["j waits: NodesUnhealthy"],
    ),
    "what is busy on a draining node would not do": (
        cloud(N1, node("n2", state="draining"), pending=[job("j", cores=4)], running=[running("r", [N1, N2])]),
        ["j waits: WaitingForCapacity"],
    ),
    "who waits for another's end does not start whatever is free": (
        cloud(N1, pending=[job("j", after=[ends("r")])]),
        ["j waits: DependencyWaiting"],
    ),
    "an end that never comes as it is waited for is said before those that may": (
        cloud(N1, pending=[job("j", after=[ends("a"), ends("b", "failed", met=False)])]),
        ["j waits: DependencyFailed"],
    ),
    "not before its time": (cloud(N1, pending=[job("j", not_before=1)]), ["j waits: NotBefore"]),
    "its time has come": (cloud(N1, pending=[job("j", not_before=0)]), ["j on n1"]),
    "others' ends are told before an instant, and both before what is above a quota": (
        cloud(
            N1,
            pending=[job("j", cores=4, not_before=1, after=[ends("r", "any")]), job("k", cores=4, not_before=1)],
            queues=[queue("q", cpu_cpu=1)],
        ),
        ["j waits: DependencyWaiting", "k waits: NotBefore"],
    ),
    "held comes first": (
        cloud(N1, pending=[job("j", held=True, after=[ends("r", met=False)], not_before=1)]),
        ["j waits: Held"],
    ),
    "nobody is stopped for who may not start, and no room is kept for it": (
        cloud(
            N1,
            pending=[job("j", cores=4, priority="urgent", at=-60, after=[ends("r")]), job("k")],
            running=[running("r", [N1], cores=3, priority="low")],
        ),
        ["j waits: DependencyWaiting", "k on n1"],
    ),
    "busy nodes and too few of them": (
        cloud(N1, node("n2", state="down"), pending=[job("j", nodes=2, cores=4)], running=[running("r", [N1])]),
        ["j waits: NodesUnhealthy"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_job_gets_the_seats_or_the_reason_in_the_table(case: str) -> None:
    snapshot, expected = CASES[case]
    assert told(decide(snapshot)) == expected


SENTENCES: dict[str, tuple[Snapshot, str]] = {
    "room": (
        cloud(N1, N2, pending=[job("j", nodes=2, cores=3)], running=[running("a", [N1], cores=2), running("b", [N1])]),
        "It asks for 3 cores and 1 GB on each of 2 nodes; 1 node has that free (n2), 2 jobs hold the rest.",
    ),
    "no room at all": (
        cloud(N1, pending=[job("j", cores=4)], running=[running("a", [N1], cores=3, gb=4)]),
        "It asks for 4 cores and 1 GB; no node has that free (the most is 1 core and 12 GB on n1), 1 job holds the rest.",
    ),
    "GPUs": (
        cloud(G1, pending=[job("j", gpus=2, model="H100")], running=[running("a", [G1], cores=8, gpus=3)]),
        "It asks for 2 H100 GPUs, 1 core and 1 GB; no node has that free (the most is 1 GPU, 8 cores and 63 GB on g1), "
        "1 job holds the rest.",
    ),
    "too large": (
        cloud(N1, pending=[job("j", cores=5)]),
        "It asks for 5 cores and 1 GB; the largest node has 4 cores and 16 GB, so its `resources.cpu` can never be met.",
    ),
    "too many": (
        cloud(N1, pending=[job("j", nodes=3)]),
        "It asks for 1 core and 1 GB on each of 3 nodes; this cloud has 1 node of one flavor that large, so its `nodes` can "
        "never be met.",
    ),
    "no such GPU": (
        cloud(N1, pending=[job("j", gpus=1, model="B200")]),
        "It asks for 1 B200 GPU, 1 core and 1 GB; no node of this cloud has that kind of GPU, so its `resources.gpu` can "
        "never be met.",
    ),
    "nothing there": (
        cloud(pending=[job("j")]),
        "It asks for 1 core and 1 GB; this cloud has no nodes, so its `nodes` can never be met.",
    ),
    "above the quota": (
        cloud(G1, pending=[job("j", gpus=3)], queues=[queue("q", gpu_h100=2)]),
        "It asks for 3 GPUs of flavor h100; queue q may never hold more than 2.",
    ),
    "above the quota, where a flavor without GPUs would do": (
        cloud(node("a1", gpus=1, flavor="a100"), N1, pending=[job("j", cores=3)], queues=[queue("q", cpu_cpu=2, cpu_a100=1)]),
        "It asks for 3 cores of flavor cpu; queue q may never hold more than 2.",
    ),
    "quota in use": (
        cloud(N1, pending=[job("j", cores=2)], running=[running("r", [N1], cores=2)], queues=[queue("q", cpu_cpu=3)]),
        "It asks for 2 cores of flavor cpu; queue q holds 2 of the 3 in its quota.",
    ),
    "nodes out of service": (
        cloud(N1, node("n2", state="down"), node("n3", state="drained"), pending=[job("j", nodes=2)]),
        "It asks for 1 core and 1 GB on each of 2 nodes; 1 node has that free (n1), and n2 is down and n3 is drained.",
    ),
    "behind": (
        cloud(N1, pending=[job("j", cores=4), job("u", cores=1, priority="urgent")]),
        "It asks for 4 cores and 1 GB; 1 job of higher priority took the room it would have started in.",
    ),
    "another's end": (
        cloud(N1, pending=[job("j", after=[ends("prep"), ends("other", "any")])]),
        "It waits for prep (prep) to succeed, and for 1 more.",
    ),
    "another's failure": (
        cloud(N1, pending=[job("j", after=[ends("prep", "failed")])]),
        "It waits for prep (prep) to fail.",
    ),
    "an end that is not coming": (
        cloud(N1, pending=[job("j", after=[ends("prep", met=False)])]),
        "prep (prep) did not succeed, so it can never start: stop it, or submit it again without waiting for that.",
    ),
    "a failure that is not coming": (
        cloud(N1, pending=[job("j", after=[ends("prep", "failed", met=False)])]),
        "prep (prep) succeeded, and this was to start if it failed, so it can never start: "
        "stop it, or submit it again without waiting for that.",
    ),
    "an instant": (
        cloud(N1, pending=[job("j", not_before=10)]),
        "It may not start before 2023-11-14T22:23:20Z.",
    ),
    "held": (cloud(N1, pending=[job("j", held=True)]), "It is held until it is released."),
    "its queue held": (
        cloud(N1, pending=[job("j")], queues=[queue("q", held=True)]),
        "Its queue q is held until it is released.",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_wait_is_told_in_one_sentence_with_its_numbers(case: str) -> None:
    snapshot, sentence = SENTENCES[case]
    waits = {stay.job: stay.wait for stay in decide(snapshot).decisions if isinstance(stay, StayPending)}
    assert waits["j"].sentence == sentence  # type: ignore[index]
    assert waits["j"].cycle == snapshot.cycle  # type: ignore[index]


FIELDS: dict[str, tuple[Snapshot, str]] = {
    "nodes": (cloud(N1, pending=[job("j", nodes=2)]), "nodes"),
    "cores": (cloud(N1, pending=[job("j", cores=5)]), "resources.cpu"),
    "memory": (cloud(N1, pending=[job("j", gb=17)]), "resources.memory"),
    "GPUs": (cloud(G1, pending=[job("j", gpus=5)]), "resources.gpu"),
    "a kind of GPU": (cloud(G1, pending=[job("j", gpus=1, model="B200")]), "resources.gpu"),
    "one node's cores and another's memory": (
        cloud(node("n1", cores=8), node("n2", gb=64), pending=[job("j", cores=8, gb=64)]),
        "resources",
    ),
    "no nodes": (cloud(pending=[job("j")]), "nodes"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_what_can_never_be_met_is_named_as_the_job_file_does(case: str) -> None:
    snapshot, field = FIELDS[case]
    (stay,) = decide(snapshot).decisions
    assert isinstance(stay, StayPending)
    assert stay.wait.reason is PendingReason.INVALID_REQUEST and stay.wait.numbers["field"] == field


def test_the_numbers_name_who_goes_before_it() -> None:
    full = running("r", [N1], cores=4)
    waiting = [job(f"j{number:02d}", cores=4, at=number) for number in range(25)]
    snapshot = cloud(N1, pending=[*waiting, job("held", held=True), job("huge", cores=99)], running=[full])
    waits = {stay.job: stay.wait for stay in decide(snapshot).decisions if isinstance(stay, StayPending)}
    assert waits["j03"].numbers["ahead"] == ["j00", "j01", "j02"]  # type: ignore[index]
    assert waits["j24"].numbers["ahead"] == [f"j{number:02d}" for number in range(20)]  # type: ignore[index]
    assert waits["j24"].numbers["ahead_count"] == 24  # type: ignore[index]
