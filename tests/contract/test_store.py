"""What control may rely on, of every store: transactions, refusals, deltas, events."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event

import pytest
from tests import samples
from tests.contract.stores import KINDS, Place, place_of
from tests.samples import ATTEMPT, JOB, LEASE, NODES, PROJECT, TENANT, another_attempt, lease_of, put_all

from xingliu.control.errors import BrokenRule, NotInControl
from xingliu.control.nouns import NOUNS, noun_of
from xingliu.control.ports import Delta, Store, Unit
from xingliu.kernel.errors import BadValue
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import JobId, ProjectId, QueueName, TenantId
from xingliu.tenancy.model import Project, Tenant
from xingliu.workloads.model import JobState, StopWhy


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request.param, request, tmp_path) as place:
        yield place


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.in_control() as store:
        yield store


@pytest.fixture
def full(store: Store) -> Store:
    with store.write() as unit:
        put_all(unit)
    return store


def tenant(name: str) -> Tenant:
    return Tenant(TenantId(name), 1)


def happened(subject: str, kind: str = "tenant.created") -> EventDraft:
    return EventDraft(kind, subject, "xingliu", 1)


def everything(unit: Unit) -> dict[str, list[object]]:
    return {name: getattr(unit, name).find() for name in NOUNS}


# Transactions ---------------------------------------------------------------------------------------------------------


def test_nouns_are_what_a_unit_has() -> None:
    assert {*NOUNS, "events"} == set(Unit.__annotations__)


def test_one_of_everything_comes_back_as_it_was(full: Store, place: Place) -> None:
    again = place.open_handle()
    with again.read() as unit:
        assert unit.jobs.get(JOB.id) == JOB
        assert unit.nodes.find() == list(NODES)
        assert unit.secrets.find() == [samples.SECRET]
        assert all(everything(unit).values())
        assert unit.users.get(samples.USER.id) == samples.USER
        assert unit.settings.get("cloud") == samples.SETTINGS
        assert unit.leases.find() == [LEASE]
        assert unit.fair_uses.find({"queue": samples.QUEUE.name}) == [samples.USED]
        assert [event.subject for event in unit.events.find()] == [JOB.id]
    again.close()


def test_a_transaction_that_fails_leaves_nothing(full: Store) -> None:
    with full.read() as unit:
        before, version = everything(unit), full.version()
    with pytest.raises(ZeroDivisionError), full.write() as unit:
        unit.tenants.put(tenant("other"))
        unit.jobs.put(replace(JOB, state=JobState.CANCELLED))
        unit.cursors.delete(samples.CURSOR.key)
        unit.events.append(happened("other"))
        raise ZeroDivisionError
    with full.read() as unit:
        assert everything(unit) == before
        assert unit.events.last_seq() == 1
    assert full.version() == version


def test_a_transaction_reads_its_own_changes(full: Store) -> None:
    with full.write() as unit:
        unit.jobs.put(replace(JOB, state=JobState.STARTING))
        assert unit.jobs.find({"state": JobState.PENDING}) == []
        assert [job.id for job in unit.jobs.find({"state": JobState.STARTING})] == [JOB.id]
        unit.cursors.delete(samples.CURSOR.key)
        assert unit.cursors.get(samples.CURSOR.key) is None
        assert unit.cursors.find() == []
        unit.events.append(happened("a"), happened("b"))
        assert [event.seq for event in unit.events.find(newest_first=True)] == [3, 2, 1]
        assert unit.events.last_seq() == 3


def test_a_read_sees_one_instant_whatever_is_committed_meanwhile(full: Store) -> None:
    with full.read() as before:
        assert before.tenants.find() == [TENANT]
        with full.write() as unit:
            unit.tenants.put(tenant("other"))
            unit.jobs.put(replace(JOB, state=JobState.STARTING))
            unit.events.append(happened("other"))
        assert before.tenants.find() == [TENANT]
        assert before.jobs.get(JOB.id) == JOB
        assert before.events.last_seq() == 1
        assert len(before.events.find()) == 1
    with full.read() as after:
        assert len(after.tenants.find()) == 2


def test_a_unit_for_reading_cannot_write(full: Store) -> None:
    with full.read() as unit:
        for attempt_to in (
            lambda: unit.tenants.put(TENANT),
            lambda: unit.tenants.delete(TENANT.id),
            lambda: unit.events.append(happened("acme")),
        ):
            with pytest.raises(AssertionError):
                attempt_to()


def test_a_transaction_inside_a_transaction_is_refused_rather_than_waiting_for_itself(store: Store) -> None:
    with store.write(), pytest.raises(AssertionError), store.write():
        pass
    with store.write() as unit:
        unit.tenants.put(TENANT)


def test_a_transaction_that_changes_nothing_is_none(full: Store) -> None:
    deltas: list[Delta] = []
    full.subscribe(deltas.append)
    version = full.version()
    with full.write() as unit:
        assert unit.jobs.get(JOB.id) == JOB
    assert full.version() == version
    assert deltas == []


def test_putting_replaces_whole(full: Store) -> None:
    moved = replace(PROJECT, queue=None)
    with full.write() as unit:
        unit.projects.put(moved)
    with full.read() as unit:
        assert unit.projects.find() == [moved]


# Control --------------------------------------------------------------------------------------------------------------


def test_whoever_never_took_control_cannot_write(place: Place) -> None:
    store = place.open_handle()
    with pytest.raises(NotInControl), store.write() as unit:
        unit.tenants.put(TENANT)
    store.close()


def test_a_control_plane_that_lost_control_cannot_write_but_can_read(full: Store, place: Place) -> None:
    with place.in_control("second") as second:
        with pytest.raises(NotInControl), full.write() as unit:
            unit.tenants.put(tenant("late"))
        with second.write() as unit:
            unit.tenants.put(tenant("other"))
        with full.read() as unit:
            assert [found.id for found in unit.tenants.find()] == ["acme", "other"]
        assert full.version() == second.version() == 2


def test_control_is_not_lost_by_a_restart_that_takes_it_again(place: Place) -> None:
    for turn in range(3):
        with place.in_control() as store, store.write() as unit:
            unit.tenants.put(tenant(f"t{turn}"))
    with place.in_control() as store, store.read() as unit:
        assert len(unit.tenants.find()) == 3


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(store: Store, *values: object, delete: tuple[str, str] | None = None) -> None:
    """Putting these one by one breaks a rule, and changes nothing."""
    version = store.version()
    with store.read() as unit:
        before = everything(unit)
    with pytest.raises(BrokenRule), store.write() as unit:
        for value in values:
            getattr(unit, noun_of(value).name).put(value)
        if delete:
            getattr(unit, delete[0]).delete(delete[1])
    with store.read() as unit:
        assert everything(unit) == before
    assert store.version() == version


def test_a_device_is_never_in_two_open_leases(full: Store) -> None:
    second = another_attempt(2)
    refused(full, second, lease_of(second, gpus=(1, 2)))
    with full.write() as unit:
        unit.attempts.put(second)
        unit.leases.put(replace(LEASE, released_us=20))
        unit.leases.put(lease_of(second, gpus=(1, 2)))
    refused(full, LEASE)
    third = another_attempt(3)
    with full.write() as unit:
        unit.attempts.put(third)
        unit.leases.put(lease_of(third, node=NODES[1].name, gpus=(1, 2)))
        assert len(unit.leases.find({"released_us": None})) == 2


def test_one_put_may_hand_a_device_on(full: Store) -> None:
    second = another_attempt(2)
    with full.write() as unit:
        unit.attempts.put(second)
        unit.leases.put(lease_of(second), replace(LEASE, released_us=20))
    with full.read() as unit:
        assert [lease.id for lease in unit.leases.find({"released_us": None})] == [second.id]


def test_a_deleted_lease_lets_go_of_its_devices(full: Store) -> None:
    with full.write() as unit:
        unit.leases.delete(LEASE.id)
        unit.leases.put(LEASE)
        unit.leases.delete(LEASE.id)
        unit.attempts.put(another_attempt(2))
        unit.leases.put(lease_of(another_attempt(2)))


def test_an_attempt_has_one_lease(full: Store) -> None:
    refused(full, replace(LEASE, id=LEASE.id + "x", gpus=()))


def test_what_is_unique_cannot_be_taken_twice(full: Store) -> None:
    refused(full, replace(PROJECT, id=ProjectId("acme/other")))
    refused(full, replace(samples.KEY, id="k2"))
    refused(full, replace(ATTEMPT, id=ATTEMPT.id + "x"))
    refused(full, replace(samples.REPLICA, id=samples.REPLICA.id + "x"))
    refused(full, replace(samples.ROLE, id=samples.ROLE.id + "x"))


def test_what_is_unique_is_free_again_once_let_go(full: Store) -> None:
    taken = replace(PROJECT, id=ProjectId("acme/other"))
    with full.write() as unit:
        unit.projects.put(replace(PROJECT, uid=60_002))
        unit.projects.put(taken)
    with full.write() as unit:
        unit.projects.delete(taken.id)
        unit.projects.put(PROJECT)


def test_a_value_names_only_what_exists(store: Store, full: Store) -> None:
    refused(full, replace(PROJECT, id=ProjectId("acme/lost"), uid=1, tenant=TenantId("nobody")))
    refused(full, replace(PROJECT, queue=QueueName("nowhere")))
    refused(full, replace(JOB, id=JobId("j2"), project=ProjectId("acme/lost")))
    refused(full, delete=("tenants", TENANT.id))
    refused(full, delete=("queues", samples.QUEUE.name))
    refused(full, delete=("jobs", JOB.id))


def test_references_count_at_the_end_so_order_is_free(store: Store) -> None:
    with store.write() as unit:
        unit.projects.put(Project(ProjectId("a/p"), TenantId("a"), 1, 1))
        unit.tenants.put(tenant("a"))
    with store.write() as unit:
        unit.tenants.delete(TenantId("a"))
        unit.projects.delete(ProjectId("a/p"))


def test_history_does_not_hold_the_operators_configuration(full: Store) -> None:
    with full.write() as unit:
        unit.projects.put(replace(PROJECT, queue=None))
        unit.queues.delete(samples.QUEUE.name)
        for node in NODES:
            unit.nodes.delete(node.name)
        unit.pools.delete(samples.POOL.name)
        unit.flavors.delete(samples.FLAVOR.name)


def test_states_that_mean_nothing_are_refused(full: Store) -> None:
    refused(full, replace(JOB, state=JobState.STOPPING))
    refused(full, replace(ATTEMPT, exit_code=1, signal=9))
    with full.write() as unit:
        unit.jobs.put(replace(JOB, state=JobState.STOPPING, stop_why=StopWhy.CANCEL))


def test_after_a_refusal_nothing_is_kept_whoever_caught_it(full: Store) -> None:
    with pytest.raises(BrokenRule), full.write() as unit:
        unit.tenants.put(tenant("other"))
        with pytest.raises(BrokenRule):
            unit.projects.put(replace(PROJECT, id=ProjectId("acme/other")))
    with full.read() as unit:
        assert unit.tenants.find() == [TENANT]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_some_database_cannot_keep_is_refused_by_each(full: Store, text: str) -> None:
    with pytest.raises(BadValue), full.write() as unit:
        unit.tenants.put(tenant(text))
    with pytest.raises(BadValue), full.write() as unit:
        unit.events.append(happened(text))
    with full.read() as unit:
        assert unit.tenants.get(TenantId(text)) is None
        assert unit.jobs.find({"name": text}) == []
        assert unit.jobs.find({"name": frozenset({text, "train"})}) == [JOB]
        assert unit.events.find({"subject": text}) == []


def test_a_value_of_another_noun_is_refused(store: Store) -> None:
    with pytest.raises(TypeError), store.write() as unit:
        unit.tenants.put(PROJECT)  # type: ignore[arg-type]


# Deltas ---------------------------------------------------------------------------------------------------------------


def test_a_delta_tells_what_changed_in_the_end(full: Store) -> None:
    deltas: list[Delta] = []
    full.subscribe(deltas.append)
    starting = replace(JOB, state=JobState.STARTING)
    with full.write() as unit:
        unit.jobs.put(replace(JOB, generation=5))
        unit.tenants.put(tenant("b"), tenant("c"))
        unit.jobs.put(starting)
        unit.tenants.delete(TenantId("b"))
        unit.cursors.delete(samples.CURSOR.key)
        unit.cursors.put(samples.CURSOR)
        unit.events.append(happened("c"))
        assert deltas == []
    (delta,) = deltas
    assert delta.version == full.version() == 2
    assert delta.put == (tenant("c"), starting, samples.CURSOR)
    assert delta.deleted == (("tenants", "b"),)
    assert [(event.seq, event.subject) for event in delta.events] == [(2, "c")]


def test_a_listener_can_read_what_it_is_told(full: Store) -> None:
    seen: list[tuple[int, int]] = []

    def look(delta: Delta) -> None:
        with full.read() as unit:
            seen.append((full.version() - delta.version, len(unit.tenants.find())))

    full.subscribe(look)
    with full.write() as unit:
        unit.tenants.put(tenant("b"))
    assert seen == [(0, 2)]


def test_nobody_is_told_of_what_was_not_committed(full: Store) -> None:
    deltas: list[Delta] = []
    full.subscribe(deltas.append)
    refused(full, replace(PROJECT, tenant=TenantId("nobody")))
    assert deltas == []


def test_deltas_come_in_order_without_a_gap_from_many_threads(store: Store) -> None:
    deltas: list[Delta] = []
    store.subscribe(deltas.append)
    start = Barrier(4)

    def write(thread: int) -> None:
        start.wait(30)
        for turn in range(12):
            with store.write() as unit:
                unit.tenants.put(tenant(f"{thread}-{turn}"))
                unit.events.append(happened(f"{thread}-{turn}"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert [delta.version for delta in deltas] == list(range(1, 49))
    assert [event.seq for delta in deltas for event in delta.events] == list(range(1, 49))
    for thread in range(4):
        mine = [event.subject for delta in deltas for event in delta.events if event.subject.startswith(f"{thread}-")]
        assert mine == [f"{thread}-{turn}" for turn in range(12)]


# Events ---------------------------------------------------------------------------------------------------------------


def test_a_reader_with_a_cursor_misses_no_event_of_concurrent_writers(store: Store) -> None:
    done = Event()

    def write(thread: int) -> None:
        for turn in range(15):
            with store.write() as unit:
                unit.events.append(*(happened(f"{thread}-{turn}-{part}") for part in range(turn % 3 + 1)))

    def follow() -> list[tuple[int, str]]:
        seen: list[tuple[int, str]] = []
        while True:
            over = done.is_set()
            with store.read() as unit:
                page = unit.events.find(after=seen[-1][0] if seen else 0, limit=7)
            seen += [(event.seq, event.subject) for event in page]
            if over and not page:
                return seen

    with ThreadPoolExecutor(5) as threads:
        readers = [threads.submit(follow) for _ in range(2)]
        for writer in [threads.submit(write, thread) for thread in range(3)]:
            writer.result(60)
        done.set()
        seen = [reader.result(60) for reader in readers]
    assert seen[0] == seen[1]
    assert [seq for seq, _ in seen[0]] == list(range(1, 91))
    assert len({subject for _, subject in seen[0]}) == 90


def test_events_are_found_by_what_they_are_about(full: Store) -> None:
    with full.write() as unit:
        unit.events.append(
            happened("n1", "node.drained"),
            EventDraft("job.started", "j1", "xingliu", 2, "acme", "acme/vision", "because", {"gpus": [0, 1]}),
        )
    with full.read() as unit:

        def found(where: dict[str, object] | None = None, **bounds: int | bool | None) -> list[int]:
            return [event.seq for event in unit.events.find(where, **bounds)]  # type: ignore[arg-type]

        assert found() == [1, 2, 3]
        assert found({"noun": "job"}) == [1, 3]
        assert found({"type": "job.started"}) == [3]
        assert found({"type": frozenset({"job.started", "node.drained"})}) == [2, 3]
        assert found({"project": "acme/vision", "subject": "j1"}, newest_first=True) == [3, 1]
        assert found({"actor": "ada"}) == [1]
        assert found({"project": frozenset()}) == []
        assert found(after=1) == [2, 3]
        assert found(after=1, before=3) == [2]
        assert found(before=3, newest_first=True, limit=1) == [2]
        assert found(after=1, newest_first=True, limit=1) == [3]
        mine = {"subject": "j1", "type": frozenset({"job.submitted", "job.started"})}
        assert found(mine, before=3, newest_first=True, limit=100) == [1]
        assert found(after=10**30) == []
        (last,) = unit.events.find(after=2)
        assert last.facts == {"gpus": [0, 1]}
        assert (last.cause, last.tenant, last.at_us) == ("because", "acme", 2)
        with pytest.raises(KeyError):
            unit.events.find({"facts": "x"})
