"""Who stands where in a queue, and what queues hold of each other's shares."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import MINUTE, cloud, job, node, queue, snapshots

from xingliu.cli.queues import line_lines
from xingliu.fleet.lending import lent
from xingliu.fleet.model import Queue, QueueOrder
from xingliu.kernel.ids import JobId, QueueName
from xingliu.kernel.resources import Resources
from xingliu.scheduling.line import Line
from xingliu.scheduling.model import PendingJob, Snapshot, StayPending, Used
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import Priority


def line_of(snapshot: Snapshot) -> Line:
    plan = decide(snapshot)
    return Line(snapshot.pending, {stay.job: stay.wait for stay in plan.decisions if isinstance(stay, StayPending)})


def places(line: Line, *jobs: str) -> list[str]:
    found = ((name, line.position(JobId(name))) for name in jobs)
    return [f"{name} {at.number}/{at.of} in {at.queue}" if at else f"{name} not in line" for name, at in found]


FULL = node("n1", cores=1)


def test_a_place_in_line_is_by_queue_and_counts_only_who_waits() -> None:
    pending = (
        job("a", cores=1, queue="x", priority="high"),
        job("b", cores=1, queue="y"),
        job("c", cores=1, queue="x"),
        job("d", cores=1, queue="x", priority="high"),
    )
    line = line_of(cloud(FULL, pending=pending))
    assert places(line, "a", "b", "c", "d") == ["a not in line", "b 1/1 in y", "c 2/2 in x", "d 1/2 in x"]
    assert line.among({QueueName("x")}) == ["d", "c"]
    assert sorted(line.among({QueueName("x"), QueueName("y")})) == ["b", "c", "d"]


def test_who_is_held_or_too_large_is_not_in_line() -> None:
    pending = (job("held", held=True), job("huge", cores=99), job("waits", cores=1), job("first", cores=1, priority="high"))
    line = line_of(cloud(FULL, pending=pending))
    queue = pending[0].queue
    assert places(line, "held", "huge", "waits") == ["held not in line", "huge not in line", f"waits 1/1 in {queue}"]


def test_who_waits_in_a_queue_that_is_held_above_keeps_its_place_and_is_told_which() -> None:
    queues = (queue("top", held=True), queue("leaf", under="top"))
    snapshot = cloud(FULL, pending=(job("a", queue="leaf"), job("b", queue="leaf")), queues=queues)
    assert places(line_of(snapshot), "a", "b") == ["a 1/2 in leaf", "b 2/2 in leaf"]
    waits = [stay.wait for stay in decide(snapshot).decisions if isinstance(stay, StayPending)]
    assert {(wait.sentence, wait.numbers["held_queue"]) for wait in waits} == {
        ("Its queue top is held until it is released.", "top")
    }


@given(snapshots(), st.integers(1, 100))
def test_places_in_line_stay_in_an_unchanged_world(snapshot: Snapshot, minutes: int) -> None:
    snapshot = replace(snapshot, pending=tuple(replace(each, not_before_us=None) for each in snapshot.pending))
    later = replace(snapshot, cycle=snapshot.cycle + 1, now_us=snapshot.now_us + minutes * MINUTE)
    jobs = [each.id for each in snapshot.pending]
    one, other = line_of(snapshot), line_of(later)
    assert [one.position(name) for name in jobs] == [other.position(name) for name in jobs]


@given(snapshots())
def test_every_place_in_a_queue_is_taken_once(snapshot: Snapshot) -> None:
    line = line_of(snapshot)
    found = [at for each in snapshot.pending if (at := line.position(each.id)) is not None]
    lengths = Counter(at.queue for at in found)
    assert sorted((at.queue, at.number, at.of) for at in found) == sorted(
        (name, number, length) for name, length in lengths.items() for number in range(1, length + 1)
    )


@st.composite
def submissions(draw: st.DrawFn) -> tuple[Snapshot, PendingJob, PendingJob]:
    """A cloud of fair and first-come queues, with somebody who waits, and what the same user then submits to the same queue."""
    snapshot = draw(snapshots().filter(lambda of: bool(of.pending)))
    orders = st.sampled_from([None, QueueOrder.FAIR, QueueOrder.FIRST_COME])
    queues = tuple(replace(of, order=draw(orders)) for of in snapshot.queues)
    held = st.integers(0, 9).map(lambda hours: Resources({"cpu.cpu": hours * 3600 * 10**9, "gpu.h100": hours * 10**9}))
    lately = (Used(of.queue, of.user, draw(held), snapshot.now_us) for of in snapshot.pending)
    waits = draw(st.sampled_from(snapshot.pending))
    lower = draw(st.sampled_from([of.value for of in Priority if of.rank <= waits.priority]))
    kind = {"cores": draw(st.integers(1, 5)), "gpus": draw(st.integers(0, 2)), "preemptible": draw(st.booleans())}
    later = job("later", at=9, queue=waits.queue, user=waits.user, priority=lower, **kind)
    return replace(snapshot, queues=queues, used=tuple(lately)), waits, later


@given(submissions())
def test_a_place_in_a_fair_or_first_come_queue_never_worsens_by_what_its_user_submits_later(
    case: tuple[Snapshot, PendingJob, PendingJob],
) -> None:
    snapshot, waits, later = case
    before = line_of(snapshot).position(waits.id)
    after = line_of(replace(snapshot, pending=(*snapshot.pending, later))).position(waits.id)
    assert (before is None) == (after is None)
    assert before is None or after is None or after.number <= before.number


def entry(position: int) -> dict[str, object]:
    words = dict.fromkeys(("job", "name", "project", "user", "priority", "nodes", "reason"), "x")
    return {**words, "position": position, "submitted_us": 0}


def test_others_in_a_line_are_counted_between_those_that_are_seen() -> None:
    lines = line_lines({"of": 7, "others": 4, "items": [entry(2), entry(3), entry(6)]})
    assert [line.split()[:2] for line in lines] == [
        ["in", "line:"],
        ["POSITION", "JOB"],
        ["...", "1"],
        ["2", "x"],
        ["3", "x"],
        ["...", "2"],
        ["6", "x"],
        ["...", "1"],
    ]
    assert line_lines({"of": 2, "others": 2, "items": []}) == ["in line: 2, 2 of projects you do not see"]


def share(name: str, quota: int | None, lend: int | None = None) -> Queue:
    def amounts(most: int | None) -> Resources | None:
        return None if most is None else Resources({"gpu.h100": most})

    return Queue(QueueName(name), amounts(quota), lend_limit=amounts(lend))


def lending(queues: list[Queue], **held: int) -> dict[str, int]:
    found = lent(queues, {QueueName(name): Resources({"gpu.h100": amount}) for name, amount in held.items()})
    return {str(name): amount["gpu.h100"] for name, amount in found.items()}


def test_what_one_holds_above_its_quota_others_beside_it_have_lent() -> None:
    two = [share("a", 4), share("b", 4)]
    assert lending(two, a=6, b=1) == {"b": 2}
    assert lending(two, a=4, b=1) == {}
    assert lending([share("a", 4), share("b", 4, lend=1)], a=6) == {"b": 1}
    assert lending([share("a", 0), share("b", 6), share("c", 3)], a=3) == {"b": 2, "c": 1}
    assert lending([share("a", None), share("b", 4)], a=100) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9), st.integers(0, 15)), max_size=5))
def test_no_more_is_lent_than_is_borrowed_nor_than_is_left_and_lent_out(drawn: list[tuple[int, int | None, int]]) -> None:
    queues = [share(f"q{number}", quota, lend) for number, (quota, lend, _) in enumerate(drawn)]
    found = lending(queues, **{f"q{number}": held for number, (_, _, held) in enumerate(drawn)})
    offers = {
        f"q{number}": max(0, min(quota - held, lend or 0 if lend is not None else 99))
        for number, (quota, lend, held) in enumerate(drawn)
    }
    borrowed = sum(max(0, held - quota) for quota, _, held in drawn)
    assert all(0 < amount <= offers[name] for name, amount in found.items())
    assert sum(found.values()) == min(borrowed, sum(offers.values()))
