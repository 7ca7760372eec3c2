"""Many jobs at once: in parts of bounded size, by right, and safe to repeat after a death between two parts."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.samples import ARRAY, JOB, PROJECT, QUEUE, TENANT, USER

from xingliu.control.bulk import AT_ONCE_MAX, FIRST_SHOWN, Bulk, BulkJobs, Selector
from xingliu.control.errors import BadSelection
from xingliu.control.ports import Delta
from xingliu.control.world import World
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import JobId, ProjectId, QueueName
from xingliu.sim.clock import SimClock, Timeline
from xingliu.sim.faults import Died
from xingliu.sim.plane import nothing
from xingliu.sim.store import MemoryStore, Moment, Record
from xingliu.tenancy.model import Actor, Binding, Role
from xingliu.training.asking import Ask
from xingliu.workloads.arrays import ArrayPart
from xingliu.workloads.model import Job, JobState
from xingliu.workloads.specs import keep_spec

OTHER = replace(PROJECT, id=ProjectId("acme/other"), uid=60_002)
BELOW = replace(QUEUE, name=QueueName("below"), parent=QUEUE.name)
EVERYTHING = Selector(everything=True)


def actor(*bindings: Binding) -> Actor:
    return Actor(USER.id, TENANT.id, bindings)


OWNER = actor(Binding(Role.OWNER, TENANT.id))
MEMBER = actor(Binding(Role.MEMBER, PROJECT.id))
HALF = actor(Binding(Role.MEMBER, PROJECT.id), Binding(Role.VIEWER, OTHER.id))


class Cloud:
    def __init__(self, jobs: list[Job]) -> None:
        self.record, self.deltas = Record(), list[Delta]()
        store = MemoryStore(self.record)
        store.seize("first")
        with store.write() as unit:
            unit.tenants.put(TENANT)
            unit.queues.put(QUEUE, BELOW)
            unit.projects.put(PROJECT, OTHER)
            unit.users.put(USER)
            unit.specs.put(*(job.kept for job in jobs))
            unit.arrays.put(ARRAY)
            unit.jobs.put(*jobs)
        self.commits_left = 10**9
        self.begin()

    def begin(self) -> None:
        """A new process."""

        def trouble(moment: Moment) -> None:
            if moment is Moment.BEGIN and self.commits_left <= 0:
                raise Died

        self.store = MemoryStore(self.record, trouble)
        self.store.seize("next")
        self.store.subscribe(self._heard)
        self.bulk = BulkJobs(self.store, World(self.store), SimClock(Timeline(), not_before_us=0), wake=nothing)

    def _heard(self, delta: Delta) -> None:
        self.deltas.append(delta)
        self.commits_left -= 1

    def all_of(self, who: Actor, ask: Ask, selector: Selector) -> list[Bulk]:
        parts = [self.bulk.carry_out(who, ask, selector)]
        while (after := parts[-1].next) is not None:
            parts.append(self.bulk.carry_out(who, ask, selector, after=after))
        return parts

    def states(self) -> Counter[str]:
        with self.store.read() as unit:
            return Counter("HELD" if job.held else job.state.value for job in unit.jobs.find())


def job(number: int, **keys: object) -> Job:
    return replace(JOB, id=JobId(f"j{number:05d}"), **keys)


def many(count: int) -> list[Job]:
    return [job(number) for number in range(count)]


def test_ten_thousand_jobs_are_stopped_in_parts_of_bounded_size_newest_first() -> None:
    cloud = Cloud(many(10_000))
    parts = cloud.all_of(OWNER, Ask.STOP, EVERYTHING)
    assert [part.count for part in parts] == [AT_ONCE_MAX] * 20
    assert [part.left for part in parts] == list(range(9_500, -1, -AT_ONCE_MAX))
    assert cloud.states() == {"CANCELLED": 10_000}
    assert max(len(delta.put) for delta in cloud.deltas) <= AT_ONCE_MAX
    assert parts[0].jobs[0].id == "j09999"


def test_what_is_submitted_meanwhile_is_not_reached() -> None:
    cloud = Cloud(many(AT_ONCE_MAX + 1))
    part = cloud.bulk.carry_out(OWNER, Ask.STOP, EVERYTHING)
    with cloud.store.write() as unit:
        unit.jobs.put(job(99_999))
    assert cloud.bulk.carry_out(OWNER, Ask.STOP, EVERYTHING, after=part.next).count == 1
    assert cloud.states() == {"CANCELLED": AT_ONCE_MAX + 1, "PENDING": 1}


def test_a_death_between_two_parts_leaves_whole_parts_and_a_repetition_does_the_rest() -> None:
    cloud = Cloud(many(1200))
    cloud.commits_left = 1
    with pytest.raises(Died):
        cloud.all_of(OWNER, Ask.HOLD, EVERYTHING)
    cloud.commits_left = 10**9
    assert cloud.states() == {"HELD": 500, "PENDING": 700}
    cloud.begin()
    parts = cloud.all_of(OWNER, Ask.HOLD, EVERYTHING)
    assert (sum(part.count for part in parts), sum(part.same for part in parts)) == (700, 500)
    assert cloud.states() == {"HELD": 1200}


def test_a_preview_counts_by_state_and_project_and_changes_nothing() -> None:
    stopping = {"state": JobState.RUNNING}
    cloud = Cloud([*many(30), *(job(number, project=OTHER.id, **stopping) for number in range(50, 53)), job(90, held=True)])
    seen = cloud.bulk.preview(OWNER, Ask.HOLD, EVERYTHING)
    assert [(group.project, group.state, group.count) for group in seen.groups] == [
        (OTHER.id, "RUNNING", 3),
        (PROJECT.id, "PENDING", 30),
    ]
    assert (seen.count, seen.same, len(seen.jobs)) == (33, 1, FIRST_SHOWN)
    assert cloud.deltas == []


def test_what_one_may_not_touch_is_counted_and_what_one_cannot_see_does_not_exist() -> None:
    jobs = [*many(2), *(job(number, project=OTHER.id) for number in range(10, 13))]
    cloud = Cloud(jobs)
    part = cloud.bulk.carry_out(HALF, Ask.STOP, EVERYTHING)
    assert (part.count, part.refused) == (2, {OTHER.id: 3})
    assert cloud.states() == {"CANCELLED": 2, "PENDING": 3}
    cloud = Cloud(jobs)
    assert cloud.bulk.carry_out(MEMBER, Ask.STOP, EVERYTHING).refused == {}
    with pytest.raises(Unknown):
        cloud.bulk.carry_out(MEMBER, Ask.STOP, Selector(project=OTHER.id))
    with pytest.raises(Unknown):
        cloud.bulk.carry_out(MEMBER, Ask.STOP, Selector(jobs=("j00010",)))
    assert cloud.states() == {"CANCELLED": 2, "PENDING": 3}


SELECTIONS = {
    "by state": (Selector(state=JobState.RUNNING), {2}),
    "by queue, and below it": (Selector(queue="default"), {1, 2, 3, 4, 5}),
    "by a queue below": (Selector(queue="below"), {3}),
    "by name": (Selector(name="sweep-*"), {4, 5}),
    "by a name of one letter more": (Selector(name="sweep-?"), {4}),
    "a name is whole": (Selector(name="weep*"), set[int]()),
    "by user": (Selector(user="ada"), {1, 2, 3, 4, 5}),
    "by nobody": (Selector(user="eve"), set[int]()),
    "by all at once": (Selector(project="vision", queue="default", state=JobState.PENDING, name="*"), {1, 3, 4, 5}),
    "by id": (Selector(jobs=("j00001", "j00003", "j00001")), {1, 3}),
}


@pytest.mark.parametrize(("selector", "numbers"), SELECTIONS.values(), ids=SELECTIONS)
def test_a_selection_is_what_matches_all_that_is_given(selector: Selector, numbers: set[int]) -> None:
    def named(name: str) -> dict[str, object]:
        return {"kept": keep_spec({"name": name}, replace(JOB.spec, name=name))}

    over = {"state": JobState.FAILED, "finished_us": 1}
    cloud = Cloud(
        [
            job(1),
            job(2, state=JobState.RUNNING),
            job(3, queue=BELOW.name),
            job(4, **named("sweep-1")),
            job(5, **named("sweep-10")),
            job(6, **named("sweep-2"), **over),
        ]
    )
    part = cloud.bulk.carry_out(OWNER, Ask.STOP, selector)
    assert {int(each.id[1:]) for each in part.jobs} == numbers


def test_an_array_among_named_jobs_is_all_its_elements_that_are_not_over() -> None:
    over = {"state": JobState.SUCCEEDED, "finished_us": 1}
    elements = [job(number, array=ArrayPart(ARRAY.id, number, 3), **(over if number == 2 else {})) for number in (2, 3, 4)]
    cloud = Cloud([job(1), *elements, job(5)])
    assert cloud.bulk.preview(OWNER, Ask.STOP, Selector(jobs=(ARRAY.id, "j00005"))).count == 3
    part = cloud.bulk.carry_out(OWNER, Ask.STOP, Selector(jobs=(ARRAY.id, "j00005")))
    assert [each.id for each in part.jobs] == ["j00005", "j00004", "j00003"]
    assert cloud.states() == {"CANCELLED": 3, "SUCCEEDED": 1, "PENDING": 1}


def test_a_job_that_moved_on_since_it_was_selected_is_left_alone() -> None:
    cloud = Cloud(many(3))
    stale = BulkJobs(cloud.store, World(MemoryStore(cloud.record)), SimClock(Timeline(), not_before_us=0), wake=nothing)
    with cloud.store.write() as unit:
        unit.jobs.put(job(1, state=JobState.RUNNING))
    part = stale.carry_out(OWNER, Ask.STOP, Selector(state=JobState.PENDING))
    assert (part.count, part.same) == (2, 1)
    assert cloud.states() == {"CANCELLED": 2, "RUNNING": 1}


@pytest.mark.parametrize("selector", [Selector(), Selector(jobs=("j00001",), everything=True)])
def test_nothing_or_two_things_at_once_is_no_selection(selector: Selector) -> None:
    cloud = Cloud(many(2))
    with pytest.raises(BadSelection):
        cloud.bulk.carry_out(OWNER, Ask.STOP, selector)
    assert cloud.deltas == []


def test_an_unknown_queue_is_said() -> None:
    with pytest.raises(Unknown):
        Cloud(many(1)).bulk.preview(OWNER, Ask.STOP, Selector(queue="nowhere"))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.sampled_from(list(Ask)))
def test_a_preview_foretells_what_is_done_and_a_repetition_changes_nothing(kinds: list[tuple[bool, bool]], ask: Ask) -> None:
    jobs = [job(number, held=held, project=OTHER.id if other else PROJECT.id) for number, (held, other) in enumerate(kinds)]
    cloud = Cloud(jobs)
    told, done = cloud.bulk.preview(HALF, ask, EVERYTHING), cloud.bulk.carry_out(HALF, ask, EVERYTHING)
    assert (told.count, told.groups, told.same, told.refused) == (done.count, done.groups, done.same, done.refused)
    again = cloud.bulk.carry_out(HALF, ask, EVERYTHING)
    assert (again.count, again.refused) == (0, done.refused)
