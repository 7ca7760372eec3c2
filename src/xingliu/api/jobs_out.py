"""What the API says of jobs."""

from collections.abc import Mapping, Sequence
from typing import Any

from xingliu.api.eta import EtaOut, eta_out
from xingliu.api.queues import HoldOut, hold_out
from xingliu.api.shapes import Out
from xingliu.control.jobs import Why
from xingliu.control.submissions import JobPlan
from xingliu.fleet.quote import Quote
from xingliu.forecast.change import Advice
from xingliu.forecast.change_words import change_command, change_sentence
from xingliu.scheduling.deadlines import Due
from xingliu.scheduling.line import Position
from xingliu.scheduling.model import Seat
from xingliu.training.telling import Standing
from xingliu.workloads.arrays import ArrayPart
from xingliu.workloads.model import Attempt, Job, JobSpec, Lease, ResourceRequest, Wait
from xingliu.workloads.spec import job_document


class GpuOut(Out):
    count: int
    model: str | None


class RequestOut(Out):
    """What one replica asks of its node."""

    cpu_milli: int
    memory_bytes: int
    gpu: GpuOut | None


class WaitOut(Out):
    reason: str
    sentence: str
    numbers: dict[str, Any]
    cycle: int


class PartOut(Out):
    """Which element of which array a job is."""

    id: str
    index: int
    size: int
    max_parallel: int | None


class RoleOut(Out):
    """A part of a job; its ranks in the job follow those of the roles before it."""

    name: str
    nodes: int
    resources: RequestOut


class AfterOut(Out):
    """An end that is waited for: `ok`, `any` or `failed`. `met` is null until the job or array has ended."""

    job: str
    name: str
    end: str
    met: bool | None


class ScheduledOut(Out):
    """The schedule that submitted it, and the instant at which that was due."""

    schedule: str
    due_us: int


class JobOut(Out):
    """A job. Instants and spans in microseconds; `spec` is the file as it was accepted.

    `nodes`: of all its roles; `resources`: of each node, null where each role has its own; `stop_when`: the roles whose end
    is the job's, none where all have to end.
    """

    id: str
    name: str
    tenant: str
    project: str
    user: str
    queue: str
    state: str
    stop_why: str | None
    held: bool
    priority: str
    nodes: int
    attempt: int
    submitted_us: int
    started_us: int | None
    finished_us: int | None
    running_us: int
    restarts: dict[str, int]
    exit_code: int | None
    signal: int | None
    message: str
    wait: WaitOut | None
    resources: RequestOut | None
    roles: list[RoleOut]
    stop_when: list[str]
    time_limit_us: int | None
    deadline_us: int | None
    array: PartOut | None
    after: list[AfterOut]
    not_before_us: int | None
    scheduled: ScheduledOut | None
    spec: dict[str, Any]


class AheadOut(Out):
    """A job of yours that goes first."""

    job: str
    name: str
    priority: str


class PositionOut(Out):
    """`number` of `of` jobs that wait in turn in `queue`; 1 is next."""

    queue: str
    number: int
    of: int


class DueOut(Out):
    """How it stands with a deadline: `start_by_us` is the last start from which all of its time limit fits; `missed` if past."""

    at_us: int
    start_by_us: int
    missed: bool
    sentence: str


class JobChangeOut(Out):
    """A single change. `by` is you or operator; `effect` is what the next cycle then does: starts or preempts.

    `before` and `after` are millicores, bytes, microseconds left to run, counts, milli-units of `quota_kind`, or words;
    `bound` is the one to raise of queue `subject`. `command` makes it: null where no one command does.
    """

    kind: str
    by: str
    subject: str
    before: int | str | bool | None
    after: int | str | bool | None
    bound: str
    quota_kind: str
    effect: str
    sentence: str
    command: str | None


class AdviceOut(Out):
    """The cheapest single change that starts the job; null where none of the kinds that were `tried` does."""

    change: JobChangeOut | None
    tried: list[str]


class StandingOut(Out):
    """Since when, until when at the latest, and what comes `then`."""

    sentence: str
    since_us: int | None
    latest_us: int | None
    then: str


class WhyOut(Out):
    """`reason` is null for a job that does not wait, or that no cycle has looked at yet.

    `eta` is null for a job that does not wait; `position` is null where it is not in line; `hold` is of the queue that is
    held, where that is why it waits; `due` is null where it has no deadline. `advice` is null where nothing has to change;
    `standing` is of a job that does not wait, or for which others are stopped.
    """

    job: str
    state: str
    reason: str | None
    sentence: str
    numbers: dict[str, Any]
    ahead: list[AheadOut]
    eta: EtaOut | None
    cycle: int | None
    position: PositionOut | None
    hold: HoldOut | None
    due: DueOut | None
    advice: AdviceOut | None
    standing: StandingOut | None


class SavedOut(Out):
    """The last checkpoint seen: `path` is the job's, `state` differs from checkpoint to checkpoint."""

    path: str
    state: str
    seen_us: int


class AttemptOut(Out):
    """One try at one rank, and the lease it held; `saved` is the last checkpoint seen of it.

    `role` and the rank in it are null for a job without roles.
    """

    number: int
    rank: int
    role: str | None
    role_rank: int | None
    node: str
    gpus: list[int]
    opened_us: int
    started_us: int | None
    ended_us: int | None
    released_us: int | None
    outcome: str | None
    exit_code: int | None
    signal: int | None
    message: str
    fault: str | None
    cpu_us: int | None
    memory_peak_bytes: int | None
    saved: SavedOut | None


class ListPriceOut(Out):
    """Minor units of `currency`; `total_minor` is up to the time limit, null without one. `units_milli` of `unit` are held."""

    per_hour_minor: int
    total_minor: int | None
    currency: str
    unit: str
    units_milli: int


class SeatOut(Out):
    rank: int
    role: str | None
    node: str
    gpus: list[int]


class PlannedOut(Out):
    """What would happen to a job: `verdict` is now, later or never; `change` is what differs from its file."""

    change: dict[str, Any]
    verdict: str
    reason: str | None
    sentence: str
    numbers: dict[str, Any]
    eta: EtaOut
    list_price: ListPriceOut | None
    due: DueOut | None
    seats: list[SeatOut]
    spec: dict[str, Any]


class PlanOut(PlannedOut):
    """What would happen to a job file as it is, and with each of the changes that were asked about."""

    what_ifs: list[PlannedOut]


def job_out(job: Job) -> JobOut:
    spec = job.spec
    return JobOut.model_construct(
        id=job.id,
        name=job.title,
        tenant=job.tenant,
        project=job.project,
        user=job.user,
        queue=job.queue,
        state=job.state.value,
        stop_why=job.stop_why.value if job.stop_why else None,
        held=job.held,
        priority=spec.priority.value,
        nodes=spec.all_nodes,
        attempt=job.attempt,
        submitted_us=job.submitted_us,
        started_us=job.started_us,
        finished_us=job.finished_us,
        running_us=job.running_us,
        restarts=dict(job.restarts),
        exit_code=job.exit_code,
        signal=job.signal,
        message=job.message,
        wait=_wait(job.wait) if job.wait is not None else None,
        resources=None if spec.roles else _request(spec.resources),
        roles=[RoleOut(name=role.name, nodes=role.nodes, resources=_request(role.resources)) for role in spec.roles],
        stop_when=list(spec.stop_when),
        time_limit_us=spec.time_limit_us,
        deadline_us=spec.deadline_us,
        array=_part(job.array) if job.array is not None else None,
        after=[AfterOut(job=one.id, name=one.name, end=one.kind.value, met=one.met) for one in job.after],
        not_before_us=job.not_before_us,
        scheduled=None if job.scheduled is None else ScheduledOut(schedule=job.scheduled.id, due_us=job.scheduled.due_us),
        spec=dict(job.kept.document),
    )


def why_out(why: Why) -> WhyOut:
    wait = why.wait
    return WhyOut(
        job=why.job.id,
        state=why.job.state.value,
        reason=wait.reason.value if wait else None,
        sentence=wait.sentence if wait else why.standing.sentence if why.standing else "",
        numbers=dict(wait.numbers) if wait else {},
        ahead=[AheadOut(job=job.id, name=job.title, priority=job.spec.priority.value) for job in why.ahead],
        eta=eta_out(why.forecast) if why.forecast else None,
        cycle=wait.cycle if wait else None,
        position=_position(why.position) if why.position else None,
        hold=hold_out(why.hold),
        due=_due(why.due),
        advice=_advice(why.advice, why.job) if why.advice else None,
        standing=_standing(why.standing) if why.standing else None,
    )


def _due(due: Due | None) -> DueOut | None:
    if due is None:
        return None
    return DueOut(at_us=due.at_us, start_by_us=due.start_by_us, missed=due.missed, sentence=due.sentence)


def _advice(advice: Advice, job: Job) -> AdviceOut:
    change = advice.change
    if change is None or advice.effect is None:
        return AdviceOut(change=None, tried=[kind.value for kind in advice.tried])
    found = JobChangeOut(
        kind=change.kind.value,
        by="operator" if change.kind.by_operator else "you",
        subject=change.subject,
        before=change.before,
        after=change.after,
        bound=change.bound,
        quota_kind=change.quota_kind,
        effect=advice.effect.value,
        sentence=change_sentence(change, job),
        command=change_command(change, job),
    )
    return AdviceOut(change=found, tried=[kind.value for kind in advice.tried])


def _standing(standing: Standing) -> StandingOut:
    return StandingOut(sentence=standing.sentence, since_us=standing.since_us, latest_us=standing.latest_us, then=standing.then)


def _position(position: Position) -> PositionOut:
    return PositionOut(queue=position.queue, number=position.number, of=position.of)


def plan_out(plans: Sequence[JobPlan], changes: Sequence[Mapping[str, Any]]) -> PlanOut:
    """The first is of the file as it is, the others with one change each."""
    what_ifs = [_planned(plan, change) for plan, change in zip(plans[1:], changes, strict=True)]
    return PlanOut(**dict(_planned(plans[0], {})), what_ifs=what_ifs)


def _planned(plan: JobPlan, change: Mapping[str, Any]) -> PlannedOut:
    wait = plan.wait
    return PlannedOut(
        change=dict(change),
        verdict=plan.verdict.value,
        reason=wait.reason.value if wait else None,
        sentence=wait.sentence if wait else "",
        numbers=dict(wait.numbers) if wait else {},
        eta=eta_out(plan.forecast),
        list_price=_price(plan.quote) if plan.quote else None,
        due=_due(plan.due),
        seats=[_seat(plan.spec, seat) for seat in plan.forecast.expectation.seats],
        spec=job_document(plan.spec),
    )


def attempt_out(spec: JobSpec, attempt: Attempt, lease: Lease) -> AttemptOut:
    saved = attempt.saved
    role, role_rank = spec.role_of(attempt.rank) if spec.roles else (None, None)
    return AttemptOut(
        number=attempt.number,
        rank=attempt.rank,
        role=role,
        role_rank=role_rank,
        node=lease.node,
        gpus=list(lease.gpus),
        opened_us=lease.opened_us,
        started_us=lease.started_us,
        ended_us=lease.ended_us,
        released_us=lease.released_us,
        outcome=attempt.outcome.value if attempt.outcome else None,
        exit_code=attempt.exit_code,
        signal=attempt.signal,
        message=attempt.message,
        fault=lease.fault.value if lease.fault else None,
        cpu_us=attempt.cpu_us,
        memory_peak_bytes=attempt.memory_peak_bytes,
        saved=None if saved is None else SavedOut(path=saved.path, state=saved.state, seen_us=saved.seen_us),
    )


def _seat(spec: JobSpec, seat: Seat) -> SeatOut:
    return SeatOut(rank=seat.rank, role=seat.role if spec.roles else None, node=seat.node, gpus=list(seat.gpus))


def _part(part: ArrayPart) -> PartOut:
    return PartOut.model_construct(id=part.id, index=part.index, size=part.size, max_parallel=part.max_parallel)


def _wait(wait: Wait) -> WaitOut:
    return WaitOut.model_construct(reason=wait.reason.value, sentence=wait.sentence, numbers=dict(wait.numbers), cycle=wait.cycle)


def _request(asked: ResourceRequest) -> RequestOut:
    gpu = GpuOut(count=asked.gpu.count, model=asked.gpu.model) if asked.gpu else None
    return RequestOut(cpu_milli=asked.cpu_milli, memory_bytes=asked.memory_bytes, gpu=gpu)


def _price(quote: Quote) -> ListPriceOut:
    return ListPriceOut(
        per_hour_minor=quote.per_hour_minor,
        total_minor=quote.total_minor,
        currency=quote.currency,
        unit=quote.unit,
        units_milli=quote.units_milli,
    )
