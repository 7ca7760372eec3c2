"""Turns have a memory: who had a burst lets others go first until that is made up for, or forgotten."""

from dataclasses import replace

from tests.pure.clouds import MINUTE, NOW_US, cloud, job, node, queue, running

from xingliu.fleet.model import FairShare
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import PendingJob, QueueView, Snapshot, Used
from xingliu.scheduling.policy import decide

N1 = node("n1")
RULES = FairShare(half_life_us=24 * 60 * MINUTE)


def starts(snapshot: Snapshot, count: int) -> str:
    """The first letters of the next jobs that start, in order, each when the one before reached its time limit."""
    virtual, found = VirtualCloud(snapshot), ""
    while len(found) < count:
        plan = decide(virtual.snapshot())
        found += "".join(place.job[0] for place in plan.placements)
        virtual.follow(plan)
        virtual.step()
    return found[:count]


def after_a_burst(rules: FairShare, *pending: PendingJob, queues: tuple[QueueView, ...] = (), burst: PendingJob) -> Snapshot:
    """One job held the whole of n1 for an hour, which is over."""
    held = Used(burst.queue, burst.user, Resources({"cpu.cpu": 4000 * 60 * MINUTE}), NOW_US)
    return replace(cloud(N1, pending=pending, queues=queues), used=(held,), fair=rules)


def ten(letter: str, **keys: str) -> list[PendingJob]:
    """So many jobs of ten minutes that each take all of n1."""
    return [job(f"{letter}{number}", cores=4, minutes=10, at=number, **keys) for number in range(10)]  # type: ignore[arg-type]


def test_after_a_burst_of_one_queue_the_other_goes_first_until_it_has_had_as_much() -> None:
    x, y = ten("x", queue="x"), ten("y", queue="y")
    assert starts(after_a_burst(RULES, *x, *y, burst=x[0]), 12) == "yyyyyy" + "xyxyxy"


def test_with_twice_the_weight_it_has_twice_as_much_first() -> None:
    x, y = ten("x", queue="x"), ten("y", queue="y")
    heavy = (queue("x"), replace(queue("y"), weight=2))
    assert starts(after_a_burst(RULES, *x, *y, queues=heavy, burst=x[0]), 10) == "yyyyyyyyyy"


def test_what_is_forgotten_need_not_be_made_up_for() -> None:
    x, y = ten("x", queue="x"), ten("y", queue="y")
    forgetful = replace(RULES, half_life_us=10 * MINUTE)
    assert starts(after_a_burst(forgetful, *x, *y, burst=x[0]), 8) == "yyy" + "xyxyx"


def test_users_of_one_queue_have_a_memory_of_their_own() -> None:
    ada, bob = ten("a", user="ada"), ten("b", user="bob")
    assert starts(after_a_burst(RULES, *ada, *bob, burst=ada[0]), 8) == "bbbbbb" + "ab"


def test_what_runs_at_first_goes_on_being_charged_in_virtual_time() -> None:
    virtual = VirtualCloud(replace(cloud(N1, running=[running("r", [N1], cores=4, left=60)]), fair=RULES))
    assert virtual.snapshot().used == ()
    virtual.step()
    (used,) = virtual.snapshot().used
    assert round(used.amounts["cpu.cpu"] / (4000 * MINUTE)) == 59
