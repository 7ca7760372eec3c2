"""What metering reads, out of the store: leases as held intervals, and nodes' stories off their events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice

from xingliu.control.nodes import STEPPED
from xingliu.control.ports import Unit
from xingliu.fleet.model import NodeState
from xingliu.kernel.events import Event
from xingliu.kernel.ids import JobId, LeaseId
from xingliu.kernel.intervals import Interval
from xingliu.kernel.resources import Resources
from xingliu.metering.model import DeviceClass, HeldInterval, LeasedAs, LostTo, NodeSpan
from xingliu.workloads.model import Attempt, Fault, JobState, Lease, Outcome

_PAGE = 1_000
_JOBS_AT_ONCE = 200
_CLASS = {
    NodeState.JOINING: DeviceClass.NOT_CAPACITY,
    NodeState.RETIRED: DeviceClass.NOT_CAPACITY,
    NodeState.READY: DeviceClass.IDLE,
    NodeState.DRAINING: DeviceClass.DRAINING,
    NodeState.DRAINED: DeviceClass.DRAINING,
    NodeState.UNHEALTHY: DeviceClass.DOWN,
    NodeState.DOWN: DeviceClass.DOWN,
}
_FAULT = {Fault.SHIM_LOST: LeasedAs.SHIM_LOST, Fault.OPERATOR: LeasedAs.OPERATOR}
_LOST = {
    Outcome.FAILED: LostTo.FAILED,
    Outcome.NODE_FAILURE: LostTo.NODE_FAILURE,
    Outcome.LAUNCH_FAILED: LostTo.NODE_FAILURE,
    Outcome.TIMED_OUT: LostTo.TIME_LIMIT,
    Outcome.PREEMPTED: LostTo.PREEMPTED,
}


def held_intervals(unit: Unit, where: Mapping[str, object], window: Interval) -> Iterator[HeldInterval]:
    """The leases that match and touch the window, a page at a time."""
    by_job = groupby(_leases(unit, where), key=lambda lease: lease.job)
    jobs = ((job, list(leases)) for job, leases in by_job)
    while chunk := list(islice(jobs, _JOBS_AT_ONCE)):
        gangs: dict[tuple[JobId, int], list[Attempt]] = defaultdict(list)
        for attempt in unit.attempts.find({"job": frozenset(job for job, _ in chunk)}):
            gangs[attempt.job, attempt.number].append(attempt)
        gang_of = {attempt.id: gang for gang in gangs.values() for attempt in gang}
        for job, leases in chunk:
            for lease in leases:
                if lease.opened_us < window.end_us and (lease.released_us is None or lease.released_us > window.start_us):
                    gang = gang_of.get(lease.attempt, ())
                    yield _held(lease, _lost_to(unit, job, gang), _saved_us(gang))


def node_spans(unit: Unit) -> tuple[list[NodeSpan], dict[str, str]]:
    """Every node's story from its first instant on, and the scheduled resource of every pool it names."""
    stories: dict[str, list[Event]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for event in _steps(unit):
        stories[event.subject].append(event)
        kinds[str(event.facts["pool"])] = str(event.facts["kind"])
    return [span for story in stories.values() for span in _spans(story)], kinds


def _leases(unit: Unit, where: Mapping[str, object]) -> Iterator[Lease]:
    after: LeaseId | None = None
    while page := unit.leases.find(where, after=after, limit=_PAGE):
        yield from page
        after = page[-1].id


def _saved_us(gang: Sequence[Attempt]) -> int | None:
    """When a checkpoint of the gang was last seen to change."""
    return max((attempt.saved.seen_us for attempt in gang if attempt.saved is not None), default=None)


def _held(lease: Lease, lost_to: LostTo | None, saved_us: int | None) -> HeldInterval:
    return HeldInterval(
        key=lease.id,
        node=lease.node,
        pool=lease.pool,
        flavor=lease.flavor,
        tenant=lease.tenant,
        project=lease.project,
        job=lease.job,
        resources=lease.resources,
        opened_us=lease.opened_us,
        started_us=lease.started_us,
        ended_us=lease.ended_us,
        released_us=lease.released_us,
        fault=None if lease.fault is None else _FAULT[lease.fault],
        gpus=lease.gpus,
        lost_to=lost_to,
        preserved_until_us=saved_us,
    )


def _lost_to(unit: Unit, job: JobId, gang: Sequence[Attempt]) -> LostTo | None:
    """Why the gang's attempt brought nothing: one cause for all ranks, an infrastructure's failure before a job's own."""
    outcomes = {attempt.outcome for attempt in gang}
    if None in outcomes or outcomes <= {Outcome.SUCCEEDED}:
        return None
    for outcome in (Outcome.NODE_FAILURE, Outcome.LAUNCH_FAILED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.PREEMPTED):
        if outcome in outcomes:
            return _LOST[outcome]
    found = unit.jobs.get(job)
    last = found is not None and found.state is JobState.CANCELLED and found.attempt == gang[0].number
    return LostTo.CANCELLED if last else LostTo.HELD


def _steps(unit: Unit) -> Iterator[Event]:
    after = 0
    while page := unit.events.find({"type": STEPPED}, after=after, limit=_PAGE):
        yield from page
        after = page[-1].seq


def _spans(story: Sequence[Event]) -> Iterator[NodeSpan]:
    """Steps in the order of commits; one whose instant was read before the one ahead of it counts from there."""
    starts_us: list[int] = []
    for event in story:
        starts_us.append(max([event.at_us, *starts_us[-1:]]))
    for event, start_us, end_us in zip(story, starts_us, [*starts_us[1:], None], strict=True):
        state, pool = NodeState(str(event.facts["to"])), str(event.facts["pool"])
        yield NodeSpan(event.subject, pool, _CLASS[state], _capacity(event.facts["capacity"]), start_us, end_us)


def _capacity(fact: object) -> Resources:
    pairs: Iterable[tuple[object, object]] = fact.items() if isinstance(fact, Mapping) else ()
    return Resources({str(kind): int(str(amount)) for kind, amount in pairs})
