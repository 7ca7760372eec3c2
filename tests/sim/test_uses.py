"""What was held with a lease is remembered once, whatever dies while it is let go of."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import QueueName, UserId
from xingliu.sim.cloud import Parts, SimCloud
from xingliu.sim.faults import CALM_IN, Died
from xingliu.sim.lives import Life, Way
from xingliu.sim.store import MemoryStore, Moment, Record
from xingliu.workloads.model import JobState

WRITES = 3
"""Of a job that runs once: it is placed, it is seen to start, it ends and its lease is released."""


@dataclass
class Death:
    """The control plane dies at that moment of the transaction that is `left` from now; never where it is 0."""

    moment: Moment
    left: int = 0

    def make_store(self, record: Record, trouble: Callable[[Moment], None]) -> MemoryStore:
        def meet(moment: Moment) -> None:
            trouble(moment)
            if moment is self.moment and self.left:
                self.left -= 1
                if not self.left:
                    raise Died

        return MemoryStore(record, meet)


@pytest.mark.parametrize("moment", [Moment.COMMIT, Moment.COMMITTED])
@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_a_lease_counts_once_whichever_transaction_the_control_plane_dies_in(moment: Moment, write: int) -> None:
    death = Death(moment)
    cloud = SimCloud(4 * CALM_IN, steps=0, parts=Parts(make_store=death.make_store))
    cloud.let_pass(SECOND_US)
    assert cloud.plane is not None
    document = {"kind": "job", "name": "job", "run": Life((Way(work_us=10 * SECOND_US),)).script(), "queue": "default"}
    job = cloud.plane.submissions.submit(cloud.actors[UserId("acme/mia")], document)
    cloud.requests.submitted.add(job.id)
    death.left, processes = write, cloud.processes
    for _ in range(100):
        cloud.let_pass(SECOND_US // 2)
        if not cloud.jobs_left():
            break
    assert cloud.processes == processes + 1 and cloud.jobs()[job.id].state is JobState.SUCCEEDED
    cloud.invariants.check_end()
    with MemoryStore(cloud.record).read() as unit:
        (used,) = unit.fair_uses.find()
    held_s = used.amounts["cpu.cpu"] // (1000 * SECOND_US)
    assert (used.queue, used.user) == (QueueName("default"), UserId("acme/mia")) and 9 <= held_s <= 20


def test_a_queue_that_goes_takes_what_is_remembered_of_it_along() -> None:
    cloud = SimCloud(4 * CALM_IN, steps=0)
    cloud.let_pass(SECOND_US)
    assert cloud.plane is not None
    boss = cloud.actors[UserId("admin")]
    queues = cloud.estate["queues"]
    assert isinstance(queues, list)
    cloud.plane.cloud.apply(boss, {**cloud.estate, "queues": [*queues, {"name": "guests"}]}, preview=False)
    document = {"kind": "job", "name": "job", "run": Life((Way(work_us=SECOND_US),)).script(), "queue": "guests"}
    job = cloud.plane.submissions.submit(cloud.actors[UserId("acme/mia")], document)
    cloud.requests.submitted.add(job.id)
    while cloud.jobs_left():
        cloud.let_pass(SECOND_US)
    now_us = cloud.plane.clock.now_us()
    assert [used.queue for used in cloud.plane.world.used(now_us)] == ["guests"]
    cloud.plane.cloud.apply(boss, cloud.estate, preview=False)
    assert cloud.plane.world.used(now_us) == ()
    cloud.invariants.check_end()
