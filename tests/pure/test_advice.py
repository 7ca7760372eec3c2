"""The cheapest change that starts a waiting job, in examples: what it is, who can make it, and how it is said."""

from dataclasses import replace

import pytest
from tests.pure.clouds import GB, MINUTE, cloud, job, node, queue, running

from xingliu.fleet.model import NodeState
from xingliu.forecast.advice import advise
from xingliu.forecast.change import Change, ChangeKind
from xingliu.forecast.change_words import change_command, change_sentence
from xingliu.forecast.scene import Scene
from xingliu.kernel.ids import JobId, NodeName, ProjectId, QueueName, TenantId, UserId
from xingliu.scheduling.model import Snapshot
from xingliu.scheduling.policy import decide
from xingliu.training.telling import making_room, standing
from xingliu.workloads.model import Checkpoint, Claim, GpuRequest, Job, JobSpec, JobState, ResourceRequest, StopWhy
from xingliu.workloads.specs import keep_spec

g1, g2 = (node(f"g{number}", cores=32, gb=64, gpus=8) for number in (1, 2))
a1 = node("a1", cores=32, gb=64, gpus=8, flavor="a100")
n1, n2 = node("n1", cores=8, gb=16), node("n2", cores=8, gb=16)
lab = queue("lab", cpu_cpu=0)
full = running("r", [n1], cores=8, user="bob", project="t/other")

CASES: dict[str, tuple[Snapshot, str]] = {
    "a job that is held": (cloud(n1, pending=[job("j", held=True)]), "release of j: True to False, it starts"),
    "its queue is held, another is not": (
        cloud(n1, pending=[job("j", queue="lab")], queues=[replace(lab, held=True), queue("q", cpu_cpu=4)]),
        "queue of j: lab to q, it starts",
    ),
    "its queue is held, and there is no other": (
        cloud(n1, pending=[job("j")], queues=[queue("q", held=True)]),
        "release-queue of q: True to False, it starts (operator)",
    ),
    "other GPUs are free": (
        cloud(g1, a1, pending=[job("j", gpus=8, model="H100")], running=[running("r", [g1], gpus=8)]),
        "gpu-model of j: H100 to A100, it starts",
    ),
    "as much memory as there is": (cloud(n1, pending=[job("j", gb=40)]), f"memory of j: {40 * GB} to {16 * GB}, it starts"),
    "as many cores as there are": (cloud(n1, pending=[job("j", cores=20)]), "cpu of j: 20000 to 8000, it starts"),
    "only what is preemptible may borrow": (
        cloud(g1, pending=[job("j", gpus=2)], queues=[queue("q", gpu_h100=1)]),
        "preemptible of j: False to True, it starts",
    ),
    "a higher priority has another stopped": (
        cloud(n1, pending=[job("j", cores=1)], running=[full]),
        "priority of j: normal to high, it preempts",
    ),
    "as many nodes as there are": (cloud(g1, g2, pending=[job("j", nodes=5, gpus=8)]), "nodes of j: 5 to 2, it starts"),
    "as many GPUs as a node has free": (
        cloud(g1, pending=[job("j", gpus=8, priority="urgent")], running=[running("r", [g1], gpus=3, priority="urgent")]),
        "gpus of j: 8 to 5, it starts",
    ),
    "a job of the same user": (
        cloud(n1, pending=[job("j", priority="urgent")], running=[running("r", [n1], cores=8, priority="urgent")]),
        "stop-own-job of r: None to None, it starts",
    ),
    "a node that was drained": (
        cloud(
            replace(n1, state=NodeState.DRAINED),
            n2,
            pending=[job("j", nodes=1, priority="urgent")],
            running=[running("r", [n2], cores=8, user="bob", priority="urgent")],
        ),
        "resume-node of n1: drained to ready, it starts (operator)",
    ),
    "the quota, by what lacks": (
        cloud(
            g1,
            pending=[job("j", gpus=1, priority="urgent")],
            running=[running("r", [g1], gpus=2, priority="urgent", user="bob")],
            queues=[queue("q", borrow={}, gpu_h100=2)],
        ),
        "limit of q: 2000 to 3000, it starts (operator)",
    ),
    "somebody else's job": (
        cloud(n1, pending=[job("j", priority="urgent")], running=[replace(full, again=None)]),
        "stop-job of r: None to None, it starts (operator)",
    ),
    "a node that is down": (
        cloud(replace(n1, state=NodeState.DOWN), pending=[job("j", cores=1)]),
        "repair-node of n1: down to ready, it starts (operator)",
    ),
    "nothing helps where there is nothing": (cloud(pending=[job("j")]), "nothing"),
    "nothing helps where two things are in the way": (
        cloud(n1, pending=[job("j", held=True)], queues=[queue("q", held=True)]),
        "nothing",
    ),
    "those who wait before it take what one change gives": (
        cloud(
            n1,
            pending=[job("j", at=2, priority="urgent"), *(job(f"k{of}", priority="urgent", at=1) for of in range(8))],
            running=[replace(full, again=None)],
        ),
        "nothing",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cheapest_single_change(name: str) -> None:
    snapshot, said = CASES[name]
    assert told(snapshot) == said


def told(snapshot: Snapshot) -> str:
    advice = advise(Scene(snapshot, decide(snapshot), decide), JobId("j"))
    assert advice is not None
    change = advice.change
    if change is None or advice.effect is None:
        return "nothing"
    who = " (operator)" if change.kind.by_operator else ""
    return f"{change.kind.value} of {change.subject}: {change.before} to {change.after}, it {advice.effect.value}{who}"


ASKED = JobSpec("train", "true", resources=ResourceRequest(16_000, 64 * GB, GpuRequest(8, "H100")), nodes=5)
WAITING = Job(
    id=JobId("j-1"),
    tenant=TenantId("t"),
    project=ProjectId("t/p"),
    user=UserId("ada"),
    queue=QueueName("q"),
    kept=keep_spec({}, ASKED),
    state=JobState.PENDING,
    submitted_us=0,
)
Kind = ChangeKind
WORDS: dict[ChangeKind, tuple[Change, str, str | None]] = {
    change.kind: (change, sentence, command)
    for change, sentence, command in (
        (Change(Kind.RELEASE, "j-1", True, False), "release it", "xl release j-1"),
        (
            Change(Kind.QUEUE, "j-1", "q", "web"),
            "let it wait in queue web instead of q",
            "xl change j-1 --queue web",
        ),
        (Change(Kind.MODEL, "j-1", "H100", "A100"), "ask for A100 GPUs instead of H100", "xl change j-1 --gpu A100:8"),
        (
            Change(Kind.MEMORY, "j-1", 64 * GB, 16 * GB),
            "ask for 16 GB on each node instead of 64 GB",
            "xl change j-1 --memory 16GB",
        ),
        (Change(Kind.CPU, "j-1", 16_000, 1000), "ask for 1 core on each node instead of 16 cores", "xl change j-1 --cpu 1"),
        (Change(Kind.TIME_LIMIT, "j-1", None, 240 * MINUTE), "give it a time limit of 4h", "xl change j-1 --time-limit 4h"),
        (
            Change(Kind.PREEMPTIBLE, "j-1", False, True),
            "make it preemptible, so that it may borrow",
            "xl change j-1 --preemptible",
        ),
        (
            Change(Kind.PRIORITY, "j-1", "low", "high"),
            "raise its priority from low to high",
            "xl change j-1 --priority high",
        ),
        (Change(Kind.GPUS, "j-1", 8, 4), "ask for 4 GPUs on each node instead of 8", "xl change j-1 --gpu H100:4"),
        (Change(Kind.NODES, "j-1", 5, 2), "ask for 2 nodes instead of 5", "xl change j-1 --nodes 2"),
        (Change(Kind.STOP_OWN, "j-0", None, None), "stop your own job j-0", "xl stop j-0"),
        (Change(Kind.RELEASE_QUEUE, "q", True, False), "release queue q", "xl queue release q"),
        (
            Change(Kind.RESUME_NODE, "g1", "drained", "ready"),
            "resume node g1, which is drained",
            'xl node resume g1 --reason "needed by job j-1"',
        ),
        (
            Change(Kind.LIMIT, "q", 2000, 5000, "borrow_limit", "gpu.h100"),
            "raise the borrow limit of queue q by 3 GPUs of flavor h100",
            None,
        ),
        (Change(Kind.STOP_OTHER, "j-9", None, None), "stop job j-9", "xl stop j-9"),
        (Change(Kind.REPAIR_NODE, "g1", "down", "ready"), "bring back node g1, which is down", None),
    )
}


@pytest.mark.parametrize("kind", ChangeKind)
def test_every_change_is_said_in_words_and_as_a_command(kind: ChangeKind) -> None:
    change, sentence, command = WORDS[kind]
    assert change_sentence(change, WAITING) == sentence
    assert change_command(change, WAITING) == command


def test_somebody_elses_job_that_a_reader_must_not_see_is_not_named() -> None:
    change = Change(Kind.STOP_OTHER, "", None, None)
    assert change_sentence(change, WAITING) == "stop a job of another project" and change_command(change, WAITING) is None


def test_a_time_limit_bounds_all_attempts_so_what_ran_before_is_added() -> None:
    before = replace(WAITING, running_us=30 * MINUTE)
    change = Change(Kind.TIME_LIMIT, "j-1", None, 60 * MINUTE)
    assert change_command(change, before) == "xl change j-1 --time-limit 90m"
    any_gpu = replace(WAITING, kept=keep_spec({}, replace(ASKED, resources=ResourceRequest(1000, GB, GpuRequest(8)))))
    assert change_command(Change(Kind.GPUS, "j-1", 8, 4), any_gpu) == "xl change j-1 --gpu 4"


STOPPING = replace(
    WAITING, state=JobState.STOPPING, stop_us=1, kill_at_us=2, kept=keep_spec({}, replace(ASKED, checkpoint=Checkpoint("ckpt")))
)
NEXT = {
    StopWhy.CANCEL: "CANCELLED",
    StopWhy.HOLD: "held",
    StopWhy.TIME_LIMIT: "TIMED_OUT",
    StopWhy.RANK_ENDED: "restart rules",
    StopWhy.ROLE_ENDED: "SUCCEEDED",
    StopWhy.PREEMPT: "waits in its old place, and goes on from what it saved in ckpt; that counts as no restart",
    StopWhy.RECLAIM: "waits in its old place",
}


@pytest.mark.parametrize("why", StopWhy)
def test_a_job_that_stops_says_why_since_when_until_when_and_what_comes_then(why: StopWhy) -> None:
    said = standing(replace(STOPPING, stop_why=why), for_whom="j-2")
    assert (said.since_us, said.latest_us) == (1, 2)
    assert NEXT[why] in said.then
    assert ("j-2" in said.sentence) is (why in (StopWhy.PREEMPT, StopWhy.RECLAIM))


def test_other_jobs_say_where_they_stand() -> None:
    runs = replace(
        WAITING,
        state=JobState.RUNNING,
        attempt=2,
        started_us=5,
        kept=keep_spec({}, replace(ASKED, time_limit_us=60)),
        running_us=20,
    )
    assert standing(runs).sentence == "It runs, attempt 2." and standing(runs).latest_us == 45
    assert standing(replace(WAITING, state=JobState.STARTING)).then == "it runs"
    failed = replace(WAITING, state=JobState.FAILED, exit_code=3, running_us=2 * MINUTE, finished_us=9)
    assert standing(failed).sentence == "It ended FAILED with exit code 3 after 2m of running." and standing(failed).since_us == 9
    kept = making_room(Claim((NodeName("g1"), NodeName("g2")), 7), 8)
    assert (kept.sentence, kept.since_us, kept.latest_us) == ("Others are stopped for it on g1 and 1 more.", 7, 8)
