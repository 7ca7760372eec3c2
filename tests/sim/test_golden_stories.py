"""Stories of one idea each, as readable text in `stories/`: what happened, when, and what `xl why` said. `./dev fix` writes them.

What a story is about is asserted beside it, so that a text that is written anew cannot lose it.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sim.telling import Story

from xingliu.kernel.clock import SECOND_US
from xingliu.sim.lives import OnStop, Way
from xingliu.workloads.model import JobState, PendingReason

FOLDER = Path(__file__).parent / "stories"
SHARED = ({"name": "research", "quota": {"h100": 4}}, {"name": "batch", "quota": {"h100": 4}})


UNBOUND = ({"name": "research"}, {"name": "batch"})


def works(seconds: int, *, saves_every: int = 0, exit_code: int = 0) -> Way:
    return Way(seconds * SECOND_US, exit_code=exit_code, on_stop=OnStop.EXITS, saves_every_us=saves_every * SECOND_US)


def borrowing_and_reclaim() -> Story:
    story = Story(
        "Borrowing and reclaim",
        "Queues research and batch have a quota of 4 GPUs each. While batch leaves its own, a preemptible job of research holds "
        "all 8. When batch wants its share it takes back just that, from the job that lost least; that one waits and comes back.",
        SHARED,
    )
    story.submit("acme", "own", works(60), gpus=4)
    story.submit("acme", "sweep", works(60, saves_every=5), works(30), gpus=2, preemptible=True)
    story.submit("acme", "other", works(60), works(60), gpus=2, preemptible=True)
    story.until_it_starts("other")
    story.passes(13)
    story.submit("zeta", "train", works(20), gpus=2)
    story.passes(1)
    story.why("train")
    story.until_it_starts("train")
    story.why("train")
    story.why("sweep")
    story.until_it_ends("sweep")
    assert story.job("sweep").attempt == 2 and not story.job("sweep").restarts
    assert story.job("own").attempt == story.job("other").attempt == 1
    return story


def fair_share_after_a_burst() -> Story:
    story = Story(
        "Fair share recovers after a burst",
        "Nobody else was there, so research held the whole cloud for an hour. Then both queues have jobs of 20 minutes waiting. "
        "Batch goes first until it has had as much; then they take turns. No job is stopped for that.",
        UNBOUND,
        nodes=1,
        step_s=60,
    )
    story.submit("acme", "burst", works(3600), gpus=4)
    story.until_it_ends("burst")
    names = [f"{who}-{number}" for number in range(1, 6) for who in ("acme", "zeta")]
    for name in names:
        story.submit(name.partition("-")[0], name, works(1170), gpus=4)
    story.passes(60)
    story.why("acme-1")
    story.until_it_starts("acme-1")
    story.why("acme-2")
    for name in names:
        story.until_it_ends(name)
    started = sorted(names, key=lambda name: story.job(name).started_us or 0)
    assert "".join(name[0] for name in started[:6]) == "zzzzaz"
    return story


def gang_against_many_small() -> Story:
    story = Story(
        "A gang against many small jobs",
        "Small jobs hold both nodes, one ends every ten minutes, and then a new one already waits. A gang of two whole nodes "
        "would never find them free together. Once it has waited half an hour, what frees up is kept for it.",
        UNBOUND,
        step_s=60,
    )
    story.submit("acme", "small-1", works(600), gpus=4, time_limit="11m")
    story.submit("acme", "small-2", works(1200), gpus=4, time_limit="21m")
    story.until_it_starts("small-2")
    story.submit("acme", "gang", works(300), gpus=4, nodes=2, time_limit="10m")
    story.passes(120)
    story.why("gang")
    for number in range(3, 6):
        story.submit("acme", f"small-{number}", works(1200), gpus=4, time_limit="21m")
        story.passes(600)
    story.why("small-5")
    story.why("gang")
    assert story.job("small-5").wait.reason is PendingReason.RESERVED_FOR_OTHERS
    story.until_it_starts("gang")
    assert story.job("small-5").attempt == 0
    story.until_it_ends("small-5")
    return story


def preemption_with_checkpoint() -> Story:
    story = Story(
        "Preemption with a checkpoint",
        "Both nodes are busy with jobs of low priority. An urgent one stops that which loses least since its last checkpoint; "
        "that one gets its signal and its grace, keeps its place, costs itself no restart, and goes on when there is room.",
        UNBOUND,
    )
    story.submit("acme", "unsaved", works(40), gpus=4, priority="low")
    story.submit("acme", "saved", works(40, saves_every=10), works(15), gpus=4, priority="low", checkpoint={"path": "ckpt"})
    story.until_it_starts("saved")
    story.until_it_starts("unsaved")
    story.passes(15)
    story.submit("acme", "urgent", works(10), gpus=4, priority="urgent")
    story.passes(1)
    story.why("urgent")
    story.why("saved")
    story.until_it_starts("urgent")
    story.checkpoint("saved")
    story.why("saved")
    story.until_it_ends("saved")
    assert story.job("saved").attempt == 2 and not story.job("saved").restarts
    assert story.job("unsaved").attempt == 1
    return story


def budget_of_restarts() -> Story:
    story = Story(
        "A budget of restarts",
        "A job asks to be started again when it exits with 3, at most twice. Being stopped for another in between costs none of "
        "the two. The third exit with 3 is its end.",
        UNBOUND,
        nodes=1,
    )
    ways = (works(5, exit_code=3), works(30), works(5, exit_code=3), works(5, exit_code=3))
    story.submit("acme", "shaky", *ways, gpus=4, priority="low", restart={"on_events": ["exit:3"], "max": 2})
    story.passes(15)
    assert dict(story.job("shaky").restarts) == {"exit:3": 1}
    story.submit("acme", "urgent", works(10), gpus=4, priority="urgent")
    story.until_it_ends("urgent")
    assert dict(story.job("shaky").restarts) == {"exit:3": 1}
    story.until_it_ends("shaky")
    assert story.job("shaky").state is JobState.FAILED and dict(story.job("shaky").restarts) == {"exit:3": 2}
    return story


def drain_of_a_busy_node() -> Story:
    story = Story(
        "Drain of a busy node",
        "An operator takes a node out on which a job runs. The job goes on to its end, and nothing new starts there; who waits "
        "is told which node it is. When the node is back, the job that waits starts on it.",
        UNBOUND,
    )
    story.submit("acme", "first", works(20), gpus=4)
    story.submit("acme", "long", works(90), gpus=4)
    story.until_it_starts("first")
    story.until_it_starts("long")
    node = story.node_of("first")
    story.drain(node, "replace fan 3")
    story.submit("zeta", "next", works(10), gpus=4)
    story.passes(1)
    story.why("next")
    story.until_it_ends("first")
    story.passes(2)
    story.why("next")
    story.resume(node, "fan replaced")
    story.until_it_starts("next")
    story.why("next")
    assert story.job("first").state is JobState.SUCCEEDED and story.node_of("next") == node
    story.until_it_ends("next")
    return story


def orders_side_by_side() -> Story:
    story = Story(
        "Two queues, two orders",
        "Queue research goes first come, first served: nobody passes a job of two nodes that waits at its head. Queue batch goes "
        "by deadlines: who is due first goes first, and who does not fit now is passed. Between the two, research goes first: it "
        "used less lately.",
        ({"name": "research", "order": "first-come"}, {"name": "batch", "order": "deadline"}),
    )
    story.submit("zeta", "busy", works(30), gpus=3)
    story.until_it_starts("busy")
    story.submit("acme", "head", works(10), gpus=4, nodes=2)
    story.submit("acme", "tail", works(10), gpus=1)
    story.submit("zeta", "whole", works(10), gpus=4, nodes=2, time_limit="20s", deadline=story.instant(40))
    story.submit("zeta", "late", works(10), gpus=1, deadline=story.instant(3600))
    story.submit("zeta", "soon", works(10), gpus=2, deadline=story.instant(60))
    story.passes(1)
    for name in ("head", "tail", "whole"):
        story.why(name)
    story.passes(20)
    story.why("whole")
    for name in ("tail", "whole"):
        story.until_it_ends(name)
    assert (story.job("head").started_us or 0) < (story.job("tail").started_us or 0)
    assert (story.job("late").started_us or 0) < (story.job("whole").started_us or 0)
    return story


STORIES: dict[str, Callable[[], Story]] = {
    "borrowing-and-reclaim": borrowing_and_reclaim,
    "fair-share-after-a-burst": fair_share_after_a_burst,
    "gang-against-many-small": gang_against_many_small,
    "preemption-with-checkpoint": preemption_with_checkpoint,
    "budget-of-restarts": budget_of_restarts,
    "drain-of-a-busy-node": drain_of_a_busy_node,
    "two-queues-two-orders": orders_side_by_side,
}


@pytest.mark.parametrize("name", STORIES)
def test_the_golden_story_is_told_as_it_stands(name: str) -> None:
    """`./dev fix` writes it anew."""
    told, file = STORIES[name]().text, FOLDER / f"{name}.txt"
    if os.environ.get("XL_GOLDEN") == "write":
        file.write_text(told)
    assert file.read_text() == told
