"""Stores compared with the plainest thing that could be one: dictionaries, and loops over them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import samples
from tests.contract.stores import KINDS, Place, place_of
from tests.samples import JOB, LEASE, NODES, put_all

from xingliu.control.errors import BrokenRule
from xingliu.control.nouns import ID_PREFIX, NOUNS, noun_of
from xingliu.control.ports import Cursor, Store
from xingliu.fleet.model import Queue
from xingliu.kernel.events import EventDraft, numbered
from xingliu.kernel.ids import JobId
from xingliu.kernel.resources import Resources
from xingliu.tenancy.model import Project, Tenant
from xingliu.workloads.arrays import ArrayPart
from xingliu.workloads.model import (
    Checkpoint,
    GpuRequest,
    Job,
    JobSpec,
    JobState,
    Notify,
    PendingReason,
    Priority,
    ResourceRequest,
    RestartPolicy,
    StopWhy,
    Wait,
)
from xingliu.workloads.specs import keep_spec

EXAMPLES = settings(
    max_examples=settings.default.max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request.param, request, tmp_path) as place:
        yield place


# Transactions ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "aa", "B", "ä", "\U0001f600", "-"])
MAYBE_NAMES = st.none() | NAMES
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.builds(Tenant, NAMES, st.integers(0, 2)),
    st.builds(Queue, NAMES, st.none() | st.builds(Resources, st.dictionaries(NAMES, st.integers(1, 2**70), max_size=2))),
    st.builds(Project, NAMES, NAMES, st.integers(0, 4), st.just(1), MAYBE_NAMES),
    st.builds(Cursor, NAMES, st.integers(0, 2**62)),
)


@dataclass(frozen=True)
class Delete:
    noun: str
    key: str


CHANGES = st.one_of(
    VALUES,
    VALUES,
    st.builds(Delete, st.sampled_from(["tenants", "queues", "projects", "cursors"]), NAMES),
    st.builds(EventDraft, st.sampled_from(["a.b", "c.d"]), NAMES, NAMES, st.integers(0, 5)),
)
TRANSACTIONS = st.lists(st.tuples(st.lists(CHANGES, max_size=6), st.booleans()), min_size=1, max_size=8)


@dataclass
class Model:
    """What a store does, said as plainly as can be."""

    rows: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in NOUNS})
    events: list[Any] = field(default_factory=list)
    version: int = 0

    def after(self, changes: list[Any]) -> "Model | None":
        """None where a rule would be broken."""
        rows = {name: dict(values) for name, values in self.rows.items()}
        events = list(self.events)
        for change in changes:
            match change:
                case Delete(noun, key):
                    rows[noun].pop(key, None)
                case EventDraft():
                    events.append(numbered(change, len(events) + 1))
                case _:
                    noun = noun_of(change)
                    rows[noun.name][getattr(change, noun.key)] = change
                    uids = [project.uid for project in rows["projects"].values()]
                    if len(uids) != len(set(uids)):
                        return None
        for project in rows["projects"].values():
            if project.tenant not in rows["tenants"] or (project.queue is not None and project.queue not in rows["queues"]):
                return None
        return Model(rows, events, self.version + bool(changes))

    def sorted(self, noun: str) -> list[Any]:
        return [self.rows[noun][key] for key in sorted(self.rows[noun])]


class Undone(Exception):
    pass


def play(store: Store, changes: list[Any], *, undo: bool) -> None:
    with store.write() as unit:
        for change in changes:
            match change:
                case Delete(noun, key):
                    getattr(unit, noun).delete(key)
                case EventDraft():
                    unit.events.append(change)
                case _:
                    getattr(unit, noun_of(change).name).put(change)
        if undo:
            raise Undone


def step(store: Store, model: Model, changes: list[Any], *, undo: bool) -> Model:
    """The model after a transaction that the store was asked to make, too."""
    expected = model.after(changes)
    if expected is None:
        with pytest.raises((BrokenRule, Undone)):
            play(store, changes, undo=undo)
        return model
    if undo:
        with pytest.raises(Undone):
            play(store, changes, undo=True)
        return model
    play(store, changes, undo=False)
    return expected


@EXAMPLES
@given(transactions=TRANSACTIONS)
def test_any_sequence_of_transactions_leaves_what_the_model_says(place: Place, transactions: list[Any]) -> None:
    store, model = place.fresh(), Model()
    for changes, undo in transactions:
        model = step(store, model, changes, undo=undo)
        with store.read() as unit:
            for noun in ("tenants", "queues", "projects", "cursors"):
                assert getattr(unit, noun).find() == model.sorted(noun)
            assert unit.events.find() == model.events
        assert store.version() == model.version


# Questions ------------------------------------------------------------------------------------------------------------

IDS = st.text("0ab-Z\xe9\U0001f600", min_size=1, max_size=5)
BLOBS = st.none() | st.sampled_from(["x", "y"])


FILES = [keep_spec({"name": name}, JobSpec(name, "true")) for name in ("train", "eval")]


def jobs_of(ids: list[str], draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Job]:
    return [
        replace(
            JOB,
            id=key,
            queue=draw(st.sampled_from(["q1", "q2"])),
            state=draw(st.sampled_from([JobState.PENDING, JobState.RUNNING, JobState.FAILED])),
            blob=draw(BLOBS),
            kept=draw(st.sampled_from(FILES)),
        )
        for key in ids
    ]


JOBS = st.lists(IDS, unique=True, max_size=12).flatmap(lambda ids: st.composite(lambda draw: jobs_of(ids, draw))())
STATES = st.sampled_from(JobState)
WHERES = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.sampled_from(["q1", "q2", "q3"]) | st.frozensets(st.sampled_from(["q1", "q2"])),
        "state": STATES | st.frozensets(STATES),
        "blob": BLOBS | st.frozensets(BLOBS),
        "name": st.sampled_from(["train", "eval"]),
        ID_PREFIX: st.text("0ab\xe9", max_size=2),
    },
)


def matches(job: Job, where: Mapping[str, Any]) -> bool:
    for name, wanted in where.items():
        if name == ID_PREFIX:
            if not job.id.startswith(wanted):
                return False
        elif isinstance(wanted, frozenset):
            if getattr(job, name) not in wanted:
                return False
        elif getattr(job, name) != wanted:
            return False
    return True


@EXAMPLES
@given(
    jobs=JOBS,
    questions=st.lists(st.tuples(WHERES, st.none() | IDS, st.none() | st.integers(0, 5), st.booleans()), min_size=1, max_size=8),
    drafted=st.booleans(),
)
def test_find_answers_as_a_loop_over_everything_would(
    place: Place, jobs: list[Job], questions: list[Any], *, drafted: bool
) -> None:
    """Also of a transaction's own changes, when half of them are not yet committed."""
    committed = jobs[: len(jobs) // 2] if drafted else jobs
    store = place.fresh()
    with store.write() as unit:
        unit.tenants.put(samples.TENANT)
        unit.queues.put(samples.QUEUE)
        unit.projects.put(samples.PROJECT)
        unit.users.put(samples.USER)
        unit.specs.put(*FILES)
        unit.jobs.put(*(replace(job, state=JobState.CANCELLED) for job in committed))
        unit.jobs.put(*committed)
    with store.write() as unit:
        unit.jobs.put(*jobs)
        for where, after, limit, newest_first in questions:
            expected = sorted((job for job in jobs if matches(job, where)), key=lambda job: job.id, reverse=newest_first)
            if after is not None:
                expected = [job for job in expected if (job.id < after if newest_first else job.id > after)]
            found = unit.jobs.find(where, after=after, limit=limit, newest_first=newest_first)
            assert found == expected[:limit]
            states = Counter(job.state for job in jobs if matches(job, where))
            assert unit.jobs.tally("state", where) == states


def test_only_what_is_declared_can_be_searched_by(place: Place) -> None:
    with place.in_control() as store, store.read() as unit:
        for noun in NOUNS.values():
            collection = getattr(unit, noun.name)
            assert collection.find(dict.fromkeys(noun.searchable - {ID_PREFIX})) == []
            for name in {each.name for each in fields(noun.type)} - noun.searchable:
                with pytest.raises(KeyError):
                    collection.find({name: "x"})
                with pytest.raises(KeyError):
                    collection.tally(name)


def test_pages_of_a_long_list_are_the_list(place: Place) -> None:
    def pages(*, newest_first: bool) -> Iterator[str]:
        after = None
        while page := unit.tenants.find(after=after, limit=7, newest_first=newest_first):
            yield from (tenant.id for tenant in page)
            after = page[-1].id

    names = [f"t{number:03}" for number in range(50)]
    with place.in_control() as store, store.write() as unit:
        unit.tenants.put(*(Tenant(name, 1) for name in reversed(names)))  # type: ignore[arg-type]
        assert list(pages(newest_first=False)) == names
        assert list(pages(newest_first=True)) == names[::-1]


def test_a_question_may_name_more_values_than_a_database_takes_parameters(place: Place) -> None:
    with place.in_control() as store, store.write() as unit:
        put_all(unit)
        many = frozenset({JOB.id, *(f"x{number}" for number in range(70_000))})
        assert unit.leases.find({"job": many}) == [LEASE]


# Values ---------------------------------------------------------------------------------------------------------------

KEPT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ANY_TEXT = st.text(max_size=8)
LONG = st.integers(0, 2**63 - 1)
MAYBE_LONG = st.none() | LONG
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(ANY_TEXT, JSON, max_size=3)
SPECS = st.builds(
    JobSpec,
    name=KEPT,
    run=ANY_TEXT,
    project=st.none() | ANY_TEXT,
    nodes=st.integers(),
    resources=st.builds(ResourceRequest, LONG, LONG, st.none() | st.builds(GpuRequest, LONG, st.none() | ANY_TEXT), MAYBE_LONG),
    env=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3),
    secrets=st.lists(ANY_TEXT, max_size=3).map(tuple),
    setup=st.none() | ANY_TEXT,
    time_limit_us=st.none() | st.integers(),
    priority=st.sampled_from(Priority),
    checkpoint=st.builds(Checkpoint, st.none() | ANY_TEXT, MAYBE_LONG, ANY_TEXT, st.integers()),
    restart=st.builds(RestartPolicy, st.lists(ANY_TEXT, max_size=2).map(tuple), st.integers()),
    notify=st.none() | st.builds(Notify, ANY_TEXT, st.lists(ANY_TEXT, max_size=2).map(tuple)),
)
WHOLE_JOBS = st.builds(
    replace,
    st.just(JOB),
    kept=st.builds(keep_spec, DOCUMENTS, SPECS),
    array=st.none() | st.builds(ArrayPart, st.just(samples.ARRAY.id), LONG, st.integers(), st.none() | st.integers()),
    state=st.sampled_from(JobState),
    submitted_us=st.integers(-(2**63), 2**63 - 1),
    held=st.booleans(),
    stop_why=st.sampled_from(StopWhy),
    stop_us=MAYBE_LONG,
    running_us=LONG,
    restarts=st.dictionaries(ANY_TEXT, st.integers(), max_size=2),
    wait=st.none() | st.builds(Wait, st.sampled_from(PendingReason), ANY_TEXT, DOCUMENTS, st.integers()),
    exit_code=MAYBE_LONG,
    message=KEPT,
)
RESOURCES = st.builds(Resources, st.dictionaries(ANY_TEXT, st.integers(), max_size=3))
WHOLE_NODES = st.builds(
    replace,
    st.just(NODES[0]),
    capacity=RESOURCES,
    topology=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2),
    facts=DOCUMENTS,
    emulated=st.booleans(),
    reason=KEPT,
)


@EXAMPLES
@given(job=WHOLE_JOBS, node=WHOLE_NODES, facts=DOCUMENTS, sealed=st.binary())
def test_values_come_back_exactly_whatever_is_in_them(place: Place, job: Job, node: Any, facts: Any, sealed: bytes) -> None:
    draft = EventDraft("job.submitted", JOB.id, "x", 1, facts=facts)
    secret = replace(samples.SECRET, sealed=sealed)
    store = place.fresh()
    with store.write() as unit:
        put_all(unit)
        unit.specs.put(job.kept)
        unit.jobs.put(job := replace(job, id=JobId("j2")))
        unit.nodes.put(node)
        unit.secrets.put(secret)
        unit.events.append(draft)
    with store.read() as unit:
        assert unit.jobs.get(job.id) == job
        assert repr(unit.jobs.find()) == repr([JOB, job])
        assert unit.nodes.get(node.name) == node
        assert unit.secrets.find() == [secret]
        assert unit.events.find(after=1) == [numbered(draft, 2)]
