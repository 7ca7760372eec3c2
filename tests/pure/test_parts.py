"""Jobs of several parts: all start together or none, each part on nodes of one flavor; two parts may share a node."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from tests.pure.clouds import GB, MINUTE, NOW_US, cloud, job, node, part, queue, running, told

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import NodeName
from xingliu.scheduling.model import PendingJob, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import Claim

C1, C2 = node("c1"), node("c2")
G1, G2, G3 = (node(f"g{number}", cores=4, gb=64, gpus=4) for number in (1, 2, 3))
ROLLOUT = part("rollout", 2, cores=3)


def learner(name: str = "j", gpus: int = 4, beside: Iterable[object] = (ROLLOUT,), **more: object) -> PendingJob:
    return job(name, gpus=gpus, beside=beside, **more)  # type: ignore[arg-type]


CASES: dict[str, tuple[Snapshot, list[str]]] = {
    "each part has a flavor of its own": (cloud(C1, C2, G1, pending=[learner()]), ["j on g1:0,1,2,3 c1 c2"]),
    "without room for one part none starts": (
        cloud(C1, C2, G1, pending=[learner()], running=[running("r", [C2], cores=2)]),
        ["j waits: WaitingForCapacity"],
    ),
    "another takes what a gang that is not whole cannot": (
        cloud(C1, C2, G1, pending=[learner(), job("k", cores=2, at=1)], running=[running("r", [C2], cores=2)]),
        ["j waits: WaitingForCapacity", "k on c2"],
    ),
    "two parts share a node that has room for both": (
        cloud(G1, pending=[learner(gpus=2, beside=[part("rollout", gpus=2)])]),
        ["j on g1:0,1 g1:2,3"],
    ),
    "two parts do not share what is enough for either": (
        cloud(G1, pending=[learner(gpus=3, beside=[part("rollout", gpus=2)])]),
        ["j waits: InvalidRequest"],
    ),
    "the small part leaves the large node to the large one": (
        cloud(node("a", cores=8), node("b", cores=2), pending=[job("j", cores=2, beside=[part("big", cores=8)])]),
        ["j on b a"],
    ),
    "all parts together count against a quota": (
        cloud(C1, C2, G1, pending=[learner(queue="lab")], queues=[queue("lab", gpu_h100=4, cpu_cpu=5)]),
        ["j waits: ExceedsLimit"],
    ),
    "room for each and not for all together, one node out of service": (
        cloud(G1, node("g2", cores=4, gb=64, gpus=4, state="down"), pending=[learner(gpus=3, beside=[part("rollout", gpus=3)])]),
        ["j waits: NodesUnhealthy"],
    ),
    "the node that is back would be enough for all parts": (
        cloud(
            G1,
            node("c1", cores=4, state="down"),
            node("c2"),
            pending=[learner(gpus=1, beside=[part("rollout", cores=4)])],
            running=[running("r", [C2], cores=1)],
        ),
        ["j waits: NodesUnhealthy"],
    ),
    "the node that is back would be enough for one part only": (
        cloud(
            G1,
            node("c1", state="down"),
            C2,
            pending=[learner(gpus=4, beside=[part("rollout", cores=4)])],
            running=[running("r", [C2]), running("s", [G1], gpus=1)],
        ),
        ["j waits: WaitingForCapacity"],
    ),
    "both parts of one flavor lack, and the node that is back is enough for both": (
        cloud(
            G1,
            node("g2", cores=4, gb=64, gpus=4, state="draining"),
            G3,
            pending=[learner(gpus=3, beside=[part("rollout", gpus=4)])],
            running=[running("r", [G3], gpus=2)],
        ),
        ["j waits: NodesUnhealthy"],
    ),
    "enough is freed for all parts, and no more": (
        cloud(
            G1,
            G2,
            G3,
            pending=[learner(gpus=4, beside=[part("rollout", gpus=2)], priority="high")],
            running=[running(f"r{number}", [of], gpus=4, ran=number) for number, of in enumerate((G1, G2, G3), 1)],
        ),
        ["j waits: PreemptionInProgress", "r1 stops for j (preempt)", "r2 stops for j (preempt)"],
    ),
    "nobody is stopped for one part where another could not start": (
        cloud(
            C1,
            C2,
            G1,
            pending=[learner(priority="high")],
            running=[running("r", [G1], gpus=4), running("s", [C2], cores=2, priority="high")],
        ),
        ["j waits: WaitingForCapacity"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_job_of_several_parts(case: str) -> None:
    snapshot, expected = CASES[case]
    assert told(decide(snapshot)) == expected


def test_ranks_count_over_all_parts_and_role_ranks_within_one() -> None:
    (place,) = decide(cloud(C1, C2, G1, pending=[learner()])).placements
    assert [(seat.rank, seat.role, seat.role_rank) for seat in place.seats] == [
        (0, "main", 0),
        (1, "rollout", 0),
        (2, "rollout", 1),
    ]


def test_what_it_lacks_is_said_for_the_part_that_lacks_it() -> None:
    (stay,) = decide(CASES["without room for one part none starts"][0]).decisions
    assert isinstance(stay, StayPending)
    assert stay.wait.sentence == (
        "It asks for 4 GPUs, 1 core and 1 GB on a node and 3 cores and 1 GB on each of 2 nodes; "
        "for rollout, 1 node has that free (c1), 1 job holds the rest."
    )
    assert stay.wait.numbers["asked"] == {
        "main": {"nodes": 1, "gpus": 4, "cpu_milli": 1000, "memory_bytes": GB, "gpu_model": None},
        "rollout": {"nodes": 2, "gpus": 0, "cpu_milli": 3000, "memory_bytes": GB, "gpu_model": None},
    }


def long_waiting(*jobs: PendingJob) -> Snapshot:
    """Three nodes are full; one of four GPUs ends soonest, then one, then another."""
    ends = {"g1": 9, "g2": 3, "g3": 6}
    runs = [running(f"r-{of.name}", [of], gpus=4, left=ends[of.name]) for of in (G1, G2, G3)]
    snapshot = cloud(G1, G2, G3, pending=jobs, running=runs)
    return replace(snapshot, fair=FairShare(reserve_after_us=10 * MINUTE))


def test_room_is_kept_for_all_parts_of_a_job_that_has_waited_long() -> None:
    (stay,) = decide(long_waiting(learner(gpus=4, beside=[part("rollout", gpus=2)]))).decisions
    assert isinstance(stay, StayPending)
    assert stay.claim == Claim((NodeName("g2"), NodeName("g3")), NOW_US, by_eviction=False)


def test_what_is_kept_for_all_parts_stays_the_same_while_it_waits_and_goes_to_nobody_else() -> None:
    claim = Claim((NodeName("g2"), NodeName("g3")), NOW_US - MINUTE, by_eviction=False)
    waiting = replace(learner(gpus=4, beside=[part("rollout", gpus=2)]), claim=claim)
    snapshot = long_waiting(waiting, job("k", gpus=2, at=1))
    freed = replace(snapshot, nodes=tuple(G3 if of.name == "g3" else of for of in snapshot.nodes), running=snapshot.running[:2])
    j, k = decide(freed).decisions
    assert isinstance(j, StayPending) and j.claim == claim
    assert told(decide(freed))[1] == "k on g3:2,3", k


def test_two_parts_that_are_kept_one_node_ask_for_both_of_it() -> None:
    (stay,) = decide(long_waiting(learner(gpus=1, beside=[part("rollout", gpus=3)]))).decisions
    assert isinstance(stay, StayPending)
    assert stay.claim == Claim((NodeName("g2"), NodeName("g2")), NOW_US, by_eviction=False)
