"""Every kind of fault really happens, and the invariants can fail: broken parts are found out."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from xingliu.control.ports import DesiredReplica
from xingliu.kernel.ids import LeaseId
from xingliu.scheduling.model import Place, Plan, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.sim.cloud import Parts, SimCloud
from xingliu.sim.faults import FaultKind
from xingliu.sim.invariants import Broken
from xingliu.sim.launcher import SimLauncher
from xingliu.sim.store import MemoryStore
from xingliu.workloads.model import JobState, Outcome
from xingliu.workloads.records import Phase, ReplicaRecord

TRIED = range(3000, 3031)


@pytest.fixture(scope="module")
def clouds() -> list[SimCloud]:
    found = [SimCloud(seed) for seed in TRIED]
    for cloud in found:
        cloud.run()
    return found


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_of_fault_makes_a_difference_to_somebody(kind: FaultKind, clouds: list[SimCloud]) -> None:
    assert sum(cloud.troubles.seen[kind] for cloud in clouds) > 0


def test_jobs_end_in_every_way_there_is(clouds: list[SimCloud]) -> None:
    states = Counter(job.state for cloud in clouds for job in cloud.jobs().values())
    assert set(states) == {JobState.SUCCEEDED, JobState.FAILED, JobState.TIMED_OUT, JobState.CANCELLED}
    with_restarts = [job for cloud in clouds for job in cloud.jobs().values() if job.restarts]
    assert {cause for job in with_restarts for cause in job.restarts} >= {"node-failure", "launch-failure", "signal"}


def test_attempts_end_with_every_outcome_there_is(clouds: list[SimCloud]) -> None:
    outcomes = set()
    for cloud in clouds:
        with MemoryStore(cloud.record).read() as unit:
            outcomes |= {attempt.outcome for attempt in unit.attempts.find()}
    assert outcomes == set(Outcome)


def test_stale_plans_are_dropped_and_the_end_of_many_jobs_is_foretold(clouds: list[SimCloud]) -> None:
    assert sum(cloud.stale_plans for cloud in clouds) > 0
    assert sum(cloud.invariants.foretold for cloud in clouds) > len(clouds)


class EmptyTooSoon(SimLauncher):
    """Says that nothing is left of what merely ended."""

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        return [replace(record, empty_us=record.ended_us) if record.over else record for record in super().observe(leases)]


class EndsEverythingWell(SimLauncher):
    """Takes every end for a success."""

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        return [self._well(record) for record in super().observe(leases)]

    def _well(self, record: ReplicaRecord) -> ReplicaRecord:
        return replace(record, exit_code=0, signal=None) if record.phase is Phase.ENDED else record


class KillsTheLast(SimLauncher):
    """Forgets one of those that are wanted."""

    def ensure(self, desired: Sequence[DesiredReplica]) -> None:
        super().ensure(desired)
        super().ensure(desired[:-1])


class NeverStops(SimLauncher):
    """Starts, and does not listen when it is told to stop."""

    def ensure(self, desired: Sequence[DesiredReplica]) -> None:
        super().ensure([replace(replica, stop=None) for replica in desired])


class ForgetsEnds(SimLauncher):
    """Never tells that anything ended."""

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        return [record for record in super().observe(leases) if not record.over]


class Unguarded(MemoryStore):
    """Lets every control plane write that ever was in control."""

    @contextmanager
    def write(self):  # type: ignore[no-untyped-def]  # as the class it breaks
        self._epoch = self.record.epoch
        with super().write() as unit:
            yield unit


def places_on_what_is_taken(snapshot: Snapshot) -> Plan:
    free = [replace(node, free=node.capacity) for node in snapshot.nodes]
    return decide(replace(snapshot, nodes=tuple(free)))


def knows_no_quota(snapshot: Snapshot) -> Plan:
    return decide(replace(snapshot, queues=tuple(replace(queue, quota=None) for queue in snapshot.queues)))


def knows_no_orders(snapshot: Snapshot) -> Plan:
    return decide(replace(snapshot, queues=tuple(replace(queue, order=None) for queue in snapshot.queues)))


def turns_the_line_around(snapshot: Snapshot) -> Plan:
    """Within a queue whoever came last goes first."""
    late = tuple(replace(job, submitted_us=-job.submitted_us) for job in snapshot.pending)
    return decide(replace(snapshot, pending=late))


def loses_a_rank(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot)
    return replace(plan, decisions=tuple(_halved(each) for each in plan.decisions))


def _halved(each: Place | StayPending) -> Place | StayPending:
    """The first rank alone, where all are of one role."""
    alike = isinstance(each, Place) and len({seat.role for seat in each.seats}) == 1
    return replace(each, seats=each.seats[:1]) if isinstance(each, Place) and alike else each


def gives_no_reasons(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot)
    return replace(plan, decisions=plan.placements)


def places_nobody(snapshot: Snapshot) -> Plan:
    nodes = tuple(replace(node, free=node.free - node.capacity) for node in snapshot.nodes)
    return decide(replace(snapshot, nodes=nodes))


BROKEN_PARTS = {
    "a launcher that says too soon that nothing is left": (Parts(make_launcher=EmptyTooSoon), "without an open lease"),
    "a launcher that takes every end for a success": (
        Parts(make_launcher=EndsEverythingWell),
        "did not really succeed|should be",
    ),
    "a launcher that forgets one of the wanted": (Parts(make_launcher=KillsTheLast), "stopped for no reason|should be"),
    "a launcher that never stops anything": (Parts(make_launcher=NeverStops), "was to be killed"),
    "a launcher that never tells of an end": (Parts(make_launcher=ForgetsEnds), "not over in the end"),
    "a store that lets everyone write": (Parts(make_store=Unguarded), "a stale control plane wrote"),
    "a policy that places on what is taken": (Parts(decide=places_on_what_is_taken), "and leases|leased twice|not over"),
    "a policy that knows no quota": (Parts(decide=knows_no_quota), "it may"),
    "a policy that knows no orders": (Parts(decide=knows_no_orders), "passed"),
    "a policy that turns the line around": (Parts(decide=turns_the_line_around), "passed"),
    "a policy that loses a rank": (Parts(decide=loses_a_rank), "half placed"),
    "a policy that gives no reasons": (Parts(decide=gives_no_reasons), "nobody knows why"),
    "a policy that places nobody": (Parts(decide=places_nobody), "not over in the end"),
}


def until_broken(make: Callable[[int], SimCloud]) -> None:
    for seed in TRIED:
        make(seed).run()


@pytest.mark.parametrize("name", BROKEN_PARTS)
def test_the_invariants_find_out(name: str) -> None:
    parts, found = BROKEN_PARTS[name]
    with pytest.raises(Broken, match=found) as raised:
        until_broken(lambda seed: SimCloud(seed, parts=parts))
    assert "./dev sim --seed" in str(raised.value)
