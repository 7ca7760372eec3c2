"""The planner's input as a file: it comes back whole, decides the same, and can be told without names."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import cloud, job, node, running, snapshots

from xingliu.forecast.snapshot_file import BadSnapshot, differences, export, read_snapshot
from xingliu.kernel.ids import JobId, ProjectId, QueueName, UserId
from xingliu.scheduling.model import Place, Plan, Snapshot
from xingliu.scheduling.policy import decide

BUSY = cloud(
    node("n1", cores=4),
    node("g1", gpus=4),
    pending=[job("j", cores=9), job("k", gpus=2, at=1), job("l", cores=4, at=2)],
    running=[running("r", [node("n1", cores=4)], cores=2)],
)


def sent(document: dict[str, object]) -> Any:
    """As it comes out of a file."""
    return json.loads(json.dumps(document))


@given(snapshots())
def test_a_snapshot_that_was_exported_is_the_same_and_decides_the_same(snapshot: Snapshot) -> None:
    file = read_snapshot(sent(export(snapshot, decide, made_by="1")), "a.json")
    assert file.snapshot == snapshot
    assert decide(file.snapshot) == file.plan == decide(snapshot)
    assert differences(file.plan, decide(file.snapshot)) == []


def renamed(snapshot: Snapshot, project: str) -> Snapshot:
    """With names that stand nowhere else, so that they can be looked for."""
    pending = (
        replace(
            of,
            name=f"secretjob{of.id}",
            project=ProjectId(f"secret{project}/{of.queue}"),
            user=UserId(f"secretuser{of.user}"),
            after=tuple(replace(one, name=f"secretend{one.id}") for one in of.after),
        )
        for of in snapshot.pending
    )
    return replace(snapshot, pending=tuple(pending))


@given(snapshots(), st.sampled_from(["a", "zz"]))
def test_made_up_names_change_no_decision(snapshot: Snapshot, project: str) -> None:
    snapshot = renamed(snapshot, project)
    document = sent(export(snapshot, decide, made_by="1", anonymous=True))
    masked = read_snapshot(document, "a.json")
    assert decide(masked.snapshot) == masked.plan

    def placed(plan: Plan) -> dict[JobId, object]:
        return {
            of.job: [replace(seat, role="") for seat in of.seats] if isinstance(of, Place) else of.wait.reason
            for of in plan.decisions
        }

    assert placed(masked.plan) == placed(decide(snapshot))
    text = json.dumps(document)
    assert "secret" not in text and "rollout" not in text
    for queue in {queue.name for queue in snapshot.queues} - {"free"}:  # which is a key as well
        assert not re.search(rf"\b{queue}\b", text), queue


def test_made_up_names_are_the_same_for_the_same_and_sort_as_the_real_ones() -> None:
    names = {"a": "acme-b/x", "b": "acme/y", "c": "acme/x", "d": "acme/y"}
    pending = [replace(job(name), project=ProjectId(of), queue=QueueName(f"of-{of[:5]}")) for name, of in names.items()]
    document: Any = export(cloud(node("n1"), pending=pending), decide, made_by="1", anonymous=True)
    masked = {of["id"]: (of["project"], of["queue"], of["name"]) for of in document["snapshot"]["pending"]}
    assert masked == {
        "a": ("tenant-1/project-1", "queue-1", "job-1"),
        "b": ("tenant-2/project-3", "queue-2", "job-2"),
        "c": ("tenant-2/project-2", "queue-2", "job-3"),
        "d": ("tenant-2/project-3", "queue-2", "job-4"),
    }
    assert document["anonymous"] is True


def edited(**changes: object) -> dict[str, Any]:
    """BUSY's file with one part changed: `edited(**{"snapshot.nodes.0.free": 3})`."""
    document = sent(export(BUSY, decide, made_by="0.9"))
    for path, value in changes.items():
        *way, last = path.split(".")
        part = document
        for step in way:
            part = part[int(step)] if step.isdigit() else part[step]
        if value is ...:
            del part[last]
        else:
            part[last] = value
    return dict(document)


REFUSED = {
    "another kind": ({"kind": "job"}, "it does not say `kind: snapshot`"),
    "a later format": ({"version": 4}, "its format is 4, and 3 is read here"),
    "a number that is text": (
        {"snapshot.pending.0.priority": "high"},
        "snapshot.pending[0].priority: 'high' is not a whole number",
    ),
    "true for a number": ({"snapshot.now_us": True}, "snapshot.now_us: true is not a whole number"),
    "a state nobody knows": ({"snapshot.nodes.0.state": "happy"}, "snapshot.nodes[0].state: 'happy' is none of joining, ready,"),
    "a list that is none": ({"snapshot.queues": {}}, "snapshot.queues: a mapping of keys is not a list"),
    "amounts that are none": ({"snapshot.nodes.1.free": 3}, "snapshot.nodes[1].free: 3 is not a mapping of keys"),
    "something missing": ({"snapshot.pending.1.parts": ...}, "snapshot.pending[1].parts: it is missing"),
    "something new": ({"snapshot.pending.1.colour": "red"}, "snapshot.pending[1].colour: this version knows no such key"),
    "no plan": ({"plan": ...}, "plan: nothing is not a mapping of keys"),
    "a decision of no kind": ({"plan.decisions.0.is": "Guess"}, "plan.decisions[0].is: 'Guess' is none of Place, StayPending"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_replayed_is_refused_with_its_place(case: str) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(BadSnapshot) as caught:
        read_snapshot(edited(**changes), "a.json")
    assert str(caught.value).startswith(f"a.json is not a snapshot that can be replayed: {message}")
    assert "xl snapshot export" in caught.value.advice()


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_what_is_no_snapshot_at_all_is_refused(document: object) -> None:
    with pytest.raises(BadSnapshot):
        read_snapshot(document, "a.json")


def test_a_file_from_before_a_field_was_thought_of_is_read_with_its_default() -> None:
    file = read_snapshot(edited(**{"snapshot.pending.0.held": ...}), "a.json")
    assert file.snapshot.pending[0].held is False


def test_another_plan_is_told_job_by_job() -> None:
    plan = decide(BUSY)
    other = decide(replace(BUSY, nodes=BUSY.nodes[:1]))
    told = differences(plan, other)
    assert [line.split(":")[0] for line in told] == ["k"]
    assert "starts on g1:0,1; now waits: InvalidRequest" in told[0]
    assert differences(plan, replace(plan, cycle=9)) == [
        "the same is decided for every job, for reasons that are worded otherwise or in another order"
    ]
