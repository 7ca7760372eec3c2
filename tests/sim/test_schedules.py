"""Schedules through deaths of the control plane, long times in which none runs, and clocks that are set back."""

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import PROJECT, QUEUE, TENANT, USER

from xingliu.control.ports import Settings
from xingliu.control.schedules import Schedules
from xingliu.control.submissions import Submissions
from xingliu.control.world import SETTINGS, World
from xingliu.fleet.model import CloudSettings
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import JobId
from xingliu.sim.dice import Dice
from xingliu.sim.faults import Died
from xingliu.sim.ids import SimIds
from xingliu.sim.plane import nothing
from xingliu.sim.store import MemoryStore, Moment, Record
from xingliu.tenancy.model import Actor, Binding, Role
from xingliu.workloads.model import Job, JobState
from xingliu.workloads.schedules import Schedule
from xingliu.workloads.timetables import next_due_us

MINUTE = 60_000_000
MEMBER = Actor(USER.id, TENANT.id, (Binding(Role.MEMBER, PROJECT.id),))
FILE = {"kind": "job", "name": "again", "run": "true", "project": PROJECT.id, "queue": QUEUE.name}


@dataclass
class Hand:
    us: int = MINUTE // 2

    def now_us(self) -> int:
        return self.us


class Cloud:
    """A store with one schedule that is due each minute, and a process over it that may die at any commit."""

    def __init__(self, **more: object) -> None:
        self.record, self.clock, self.dies = Record(), Hand(), dict[Moment, bool]()
        self.space: Exception | None = None
        self.ids = SimIds(Dice(1).of("ids"))
        store = MemoryStore(self.record)
        store.seize("first")
        with store.write() as unit:
            unit.tenants.put(TENANT)
            unit.queues.put(QUEUE)
            unit.projects.put(PROJECT)
            unit.users.put(replace(USER, tenant=TENANT.id, bindings=MEMBER.bindings))
            unit.settings.put(Settings(SETTINGS, CloudSettings(default_queue=QUEUE.name)))
        self.begin()
        timetable = {"cron": "* * * * *", **more}
        self.id = self.schedules.create(MEMBER, {**FILE, "schedule": timetable}).schedule.id

    def begin(self) -> None:
        """A new process over the same record."""

        def trouble(moment: Moment) -> None:
            if self.dies.pop(moment, False):
                raise Died

        def check_space() -> None:
            if self.space is not None:
                raise self.space

        self.store = MemoryStore(self.record, trouble)
        self.store.seize("next")
        world, ids = World(self.store), self.ids
        # a plan is never asked for here, so there is no scheduling
        submissions = Submissions(self.store, world, None, self.clock, ids, wake=nothing, check_space=check_space)  # type: ignore[arg-type]
        self.schedules = Schedules(self.store, world, submissions, self.clock, ids)

    def turn(self, dies: Moment | None = None) -> None:
        self.dies = {} if dies is None else {dies: True}
        try:
            self.schedules.run_due()
        except Died:
            self.begin()
        self.dies = {}

    def jobs(self) -> list[Job]:
        with self.store.read() as unit:
            return list(unit.jobs.find())

    def schedule(self) -> Schedule:
        with self.store.read() as unit:
            return unit.schedules.find()[0]

    def end(self, job: JobId) -> None:
        with self.store.write() as unit:
            found = unit.jobs.get(job)
            assert found is not None
            unit.jobs.put(replace(found, state=JobState.SUCCEEDED, finished_us=self.clock.us))

    def told(self) -> list[str]:
        return [event.type.removeprefix("schedule.") for event in self.record.events if event.type.startswith("schedule.")][1:]


STEPS = st.lists(
    st.tuples(st.integers(-3 * MINUTE, 5 * MINUTE) | st.just(MINUTE), st.none() | st.sampled_from(Moment), st.booleans()),
    max_size=25,
)


@given(STEPS, st.sampled_from(["skip", "queue"]))
def test_an_instant_submits_at_most_once_whatever_is_killed_and_however_the_clock_moves(
    steps: list[tuple[int, Moment | None, bool]], overlap: str
) -> None:
    cloud = Cloud(overlap=overlap)
    for passed_us, dies, ends in steps:
        cloud.clock.us = max(0, cloud.clock.us + passed_us)
        cloud.turn(dies)
        if ends:
            for job in cloud.jobs():
                cloud.end(job.id)
        counts = Counter(job.scheduled.due_us for job in cloud.jobs() if job.scheduled is not None)
        assert all(count == 1 for count in counts.values())
        assert len(counts) == len(cloud.jobs()) == cloud.schedule().submitted
    cloud.turn()
    next_us = cloud.schedule().next_us
    assert next_us is not None and next_us > cloud.clock.us, "what is due is dealt with"


@given(st.integers(1, 500))
def test_however_long_nothing_ran_one_job_is_submitted_for_the_latest_instant(minutes: int) -> None:
    cloud = Cloud()
    cloud.clock.us += minutes * MINUTE
    cloud.turn()
    cloud.turn()
    [job] = cloud.jobs()
    assert job.scheduled is not None and job.scheduled.due_us == minutes * MINUTE
    assert job.submitted_us == cloud.clock.us and job.spec.schedule is None


@pytest.mark.parametrize(("overlap", "told"), [("skip", ["submitted", "skipped", "submitted"]), ("queue", 3 * ["submitted"])])
def test_while_one_is_not_over_the_next_is_skipped_or_waits_for_it(overlap: str, told: list[str]) -> None:
    cloud = Cloud(overlap=overlap)
    for ends in (False, True, False):
        cloud.clock.us += MINUTE
        cloud.turn()
        if ends:
            cloud.end(cloud.jobs()[0].id)
    assert cloud.told() == told
    jobs = cloud.jobs()
    waits_for = [[after.id for after in job.after] for job in jobs]
    assert waits_for == ([[], []] if overlap == "skip" else [[], [jobs[0].id], [jobs[1].id]])
    assert cloud.schedule().unfinished == tuple(job.id for job in jobs[1:])


def test_an_instant_that_is_refused_is_told_and_the_next_is_tried() -> None:
    cloud = Cloud()
    cloud.space = XingliuError()
    cloud.clock.us += MINUTE
    cloud.turn()
    with cloud.store.write() as unit:
        unit.users.put(replace(USER, tenant=TENANT.id, bindings=()))
    cloud.space = None
    cloud.clock.us += MINUTE
    cloud.turn()
    assert cloud.told() == ["refused", "refused"] and cloud.jobs() == []
    assert "project" in cloud.schedule().message
    with cloud.store.write() as unit:
        unit.users.put(replace(USER, tenant=TENANT.id, bindings=MEMBER.bindings))
    cloud.clock.us += MINUTE
    cloud.turn()
    assert cloud.told()[2:] == ["submitted"] and cloud.schedule().message == ""


def test_a_held_schedule_submits_nothing_and_makes_up_for_nothing() -> None:
    cloud = Cloud()
    cloud.schedules.hold(MEMBER, "again")
    cloud.clock.us += 10 * MINUTE
    cloud.turn()
    status = cloud.schedules.release(MEMBER, cloud.id)
    cloud.turn()
    assert cloud.jobs() == [] and status.coming_us[0] == next_due_us(status.schedule.timetable, cloud.clock.us)
    cloud.clock.us += MINUTE
    cloud.turn()
    assert len(cloud.jobs()) == 1
    cloud.schedules.stop(MEMBER, "again")
    cloud.clock.us += 10 * MINUTE
    cloud.turn()
    assert len(cloud.jobs()) == 1
