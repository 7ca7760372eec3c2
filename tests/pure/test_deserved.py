"""What was used lately, what was deserved of it and what is owed: the numbers that people read are those that decide."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import MINUTE, NOW_US, job, node, queue

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.cycle import Cycle
from xingliu.scheduling.deserved import PPM, Share, shares_of_queues, shares_of_users
from xingliu.scheduling.model import QueueView, Snapshot, Used
from xingliu.scheduling.orders import DEFAULT
from xingliu.scheduling.policy import decide

HOUR = 60 * MINUTE
WHOLE = Resources({"cpu.cpu": 4000, "gpu.h100": 8000})
LAB, WEB, OPS = QueueName("lab"), QueueName("web"), QueueName("ops")


def held(name: str, hours: int, user: str = "ada", kind: str = "gpu.h100", most: int = 8000) -> Used:
    """All there is of a kind, for so long."""
    return Used(QueueName(name), UserId(user), Resources({kind: most * hours * HOUR}), NOW_US)


def gpu_hours(milli_us: int) -> int:
    return milli_us // (1000 * HOUR)


def said(share: Share) -> tuple[str, int, int, int]:
    """Its kind, and the hours used, deserved and owed."""
    return share.kind, gpu_hours(share.used), gpu_hours(share.deserved), gpu_hours(share.owed)


def test_a_queue_is_owed_what_it_deserves_by_weight_and_did_not_use() -> None:
    queues = [replace(queue("lab"), weight=3), queue("web"), queue("ops")]
    shares = shares_of_queues(queues, [held("lab", 2), held("web", 2)], frozenset(), WHOLE)
    assert said(shares[LAB]) == ("gpu.h100", 16, 24, 8)
    assert said(shares[WEB]) == ("gpu.h100", 16, 8, -8)
    assert (shares[LAB].used_ppm, shares[LAB].deserved_ppm) == (PPM // 2, PPM * 3 // 4)


def test_who_neither_waits_nor_held_anything_deserves_nothing_until_somebody_waits_there() -> None:
    queues = [queue("lab"), queue("ops")]
    idle, waits = (shares_of_queues(queues, [held("lab", 2)], waiting, WHOLE) for waiting in ({LAB}, {LAB, OPS}))
    assert said(idle[OPS]) == ("gpu.h100", 0, 0, 0)
    assert said(waits[OPS]) == ("gpu.h100", 0, 8, 8)


def test_a_queue_deserves_a_part_of_what_the_one_above_it_deserves() -> None:
    queues = [queue("top"), queue("lab", under="top"), replace(queue("web", under="top"), weight=3), queue("ops")]
    shares = shares_of_queues(queues, [held("lab", 2), held("ops", 2)], {WEB}, WHOLE)
    assert {name: shares[QueueName(name)].deserved_ppm for name in ("top", "ops", "lab", "web")} == {
        "top": PPM // 2,
        "ops": PPM // 2,
        "lab": PPM // 8,
        "web": PPM * 3 // 8,
    }
    assert said(shares[QueueName("top")]) == ("gpu.h100", 16, 16, 0)


def test_each_is_counted_by_the_kind_of_which_it_held_most() -> None:
    """Half of the GPUs for two hours weigh as much as all of the cores for one."""
    queues = [queue("lab"), queue("web")]
    shares = shares_of_queues(queues, [held("lab", 2, most=4000), held("web", 1, kind="cpu.cpu", most=4000)], frozenset(), WHOLE)
    assert said(shares[LAB]) == ("gpu.h100", 8, 8, 0)
    assert said(shares[WEB]) == ("cpu.cpu", 4, 4, 0)


def test_users_of_a_queue_deserve_equal_parts_of_what_it_used() -> None:
    used = [held("lab", 3, "ada"), held("lab", 1, "bob"), held("web", 9, "eve")]
    shares = shares_of_users(LAB, used, {UserId("kim"), UserId("ada")}, WHOLE)
    assert {user: said(share)[1:] for user, share in shares.items()} == {
        "ada": (24, 10, -14),
        "bob": (8, 10, 2),
        "kim": (0, 10, 10),
    }


def test_where_nothing_was_used_nothing_is_owed() -> None:
    assert said(shares_of_queues([queue("lab")], [], {LAB}, WHOLE)[LAB]) == ("gpu.h100", 0, 0, 0)
    assert shares_of_users(LAB, [], frozenset(), WHOLE) == {}
    assert said(shares_of_queues([queue("lab")], [], {LAB}, Resources())[LAB]) == ("", 0, 0, 0)


WEIGHTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 10**6)), min_size=2, max_size=6)


@given(WEIGHTS)
def test_of_queues_side_by_side_that_goes_first_which_is_owed_most_by_its_weight(drawn: list[tuple[int, int]]) -> None:
    nodes = [node(f"n{number}") for number in range(len(drawn))]
    queues = [QueueView(QueueName(f"q{number}"), None, Resources(), weight=weight) for number, (weight, _) in enumerate(drawn)]
    used = [
        Used(view.name, UserId("ada"), Resources({"cpu.cpu": 4000 * len(nodes) * us}), NOW_US)
        for view, (_, us) in zip(queues, drawn, strict=True)
    ]
    pending = tuple(job(f"j{view.name}", queue=view.name, nodes=len(nodes) + 1) for view in queues)
    snapshot = Snapshot(
        1, 1, NOW_US, tuple(nodes), tuple(queues), pending, used=tuple(used), fair=FairShare(reserve_after_us=None)
    )
    shares = shares_of_queues(queues, used, {view.name for view in queues}, Cycle(snapshot, DEFAULT).capacity)
    weight_of = {view.name: view.weight for view in queues}

    line = [decision.job.removeprefix("j") for decision in decide(snapshot).decisions]
    owed = {name: shares[QueueName(name)].owed / weight_of[QueueName(name)] for name in line}
    assert all(owed[before] >= owed[after] - 4000 * len(nodes) for before, after in pairwise(line))
    assert sorted(line) == sorted(weight_of)


@given(WEIGHTS)
def test_what_is_deserved_is_what_was_used_in_all(drawn: list[tuple[int, int]]) -> None:
    queues = [QueueView(QueueName(f"q{number}"), None, Resources(), weight=weight) for number, (weight, _) in enumerate(drawn)]
    used = [Used(view.name, UserId("a"), WHOLE * us, NOW_US) for view, (_, us) in zip(queues, drawn, strict=True)]
    shares = shares_of_queues(queues, used, frozenset(), WHOLE)
    assert 0 <= sum(share.used for share in shares.values()) - sum(share.deserved for share in shares.values()) <= len(drawn)
