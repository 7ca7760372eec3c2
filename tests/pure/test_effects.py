"""What a change of quotas, weights or pools does to those who run and wait, by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from tests.pure.clouds import MINUTE, NOW_US, cloud, job, node, queue, running, snapshots

from xingliu.cli.cloud import effect_lines
from xingliu.forecast.effects import Effects, Move, effects
from xingliu.forecast.history import History
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import QueueView, Snapshot
from xingliu.scheduling.policy import decide

N1, N2 = node("n1"), node("n2")
FULL = running("r", [N1], cores=4, left=10)
NOTHING = Effects((), (), (), (), (), ())


def of(now: Snapshot, then: Snapshot) -> Effects:
    return effects(now, then, decide, History(), ahead=True)


def with_quota(snapshot: Snapshot, **quotas: int) -> Snapshot:
    """The same with another quota of cores in some queues."""

    def view(of: QueueView) -> QueueView:
        return replace(of, quota=Resources({"cpu.cpu": quotas[of.name] * 1000})) if of.name in quotas else of

    return replace(snapshot, queues=tuple(map(view, snapshot.queues)))


def with_node(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, nodes=(*snapshot.nodes, N2))


WAITS_FOR_ROOM = cloud(N1, pending=[job("a", cores=4, minutes=5), job("b", cores=4, minutes=5, at=1)], running=[FULL])
WAITS_FOR_QUOTA = cloud(N1, pending=[job("j", cores=3)], running=[running("r", [N1], left=10)], queues=[queue("q", cpu_cpu=3)])
BORROWS = cloud(
    N1,
    running=[running("r", [N1], cores=2, preemptible=True, left=60)],
    queues=[queue("q", cpu_cpu=2), queue("x", cpu_cpu=2)],
)
TAKES_BACK = cloud(
    N1,
    pending=[job("j", cores=4, queue="x", minutes=5)],
    running=[running("r", [N1], cores=4, preemptible=True, left=60)],
    queues=[queue("q", cpu_cpu=4), queue("x", cpu_cpu=0)],
)

CASES: dict[str, tuple[Snapshot, Snapshot, Effects]] = {
    "nothing changes": (WAITS_FOR_ROOM, WAITS_FOR_ROOM, NOTHING),
    "one more node: the first starts at once, the second at its end instead of behind it": (
        WAITS_FOR_ROOM,
        with_node(WAITS_FOR_ROOM),
        replace(NOTHING, starts=("a",), sooner=(Move("b", NOW_US + 15 * MINUTE, NOW_US + 5 * MINUTE),)),  # type: ignore[arg-type]
    ),
    "one node less: the other way round, and it waits for ten minutes again": (
        with_node(WAITS_FOR_ROOM),
        WAITS_FOR_ROOM,
        replace(
            NOTHING,
            later=(
                Move("a", NOW_US, NOW_US + 10 * MINUTE),  # type: ignore[arg-type]
                Move("b", NOW_US + 5 * MINUTE, NOW_US + 15 * MINUTE),  # type: ignore[arg-type]
            ),
        ),
    ),
    "a larger quota starts it": (WAITS_FOR_QUOTA, with_quota(WAITS_FOR_QUOTA, q=4), replace(NOTHING, starts=("j",))),  # type: ignore[arg-type]
    "with a smaller one it never starts": (
        WAITS_FOR_QUOTA,
        with_quota(WAITS_FOR_QUOTA, q=2),
        replace(NOTHING, never=("j",)),  # type: ignore[arg-type]
    ),
    "what runs may be stopped once its queue is above its quota": (
        BORROWS,
        with_quota(BORROWS, q=1),
        replace(NOTHING, above=("r",)),  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_change_does_to_those_who_run_and_wait(case: str) -> None:
    now, then, expected = CASES[case]
    assert of(now, then) == expected


def test_who_is_stopped_at_once_so_that_another_takes_back_its_quota() -> None:
    found = of(TAKES_BACK, with_quota(TAKES_BACK, q=0, x=4))
    assert (found.stopped, found.above, found.never) == (("r",), (), ())
    assert [move.job for move in found.sooner or ()] == ["j"]


def test_in_a_large_cloud_only_the_next_cycle_is_told() -> None:
    found = effects(WAITS_FOR_ROOM, with_node(WAITS_FOR_ROOM), decide, History(), ahead=False)
    assert found == Effects(("a",), None, None, (), (), ())


@given(snapshots())
def test_a_cloud_that_stays_as_it_is_does_nothing_to_anyone(snapshot: Snapshot) -> None:
    assert of(snapshot, snapshot) == NOTHING


def test_each_effect_is_a_line_and_none_is_no_line() -> None:
    move = {"job": "b", "before_us": None, "after_us": None}
    counts = {f"{key}_count": 0 for key in ("later", "never", "stopped", "above")}
    shown = {"starts": ["a"], "starts_count": 3, "sooner": [move], "sooner_count": 1, "later": [], **counts}
    assert list(effect_lines(shown)) == [
        "3 jobs would start at once: a and 2 more",
        "1 job would start sooner: b (unknown becomes unknown)",
    ]
    assert list(effect_lines({})) == []
