"""The operator file, and what a user is told about itself and the cloud."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.shapes import In, Out
from xingliu.api.users import BindingOut, binding_out
from xingliu.control.cloud import Applied
from xingliu.fleet.cloudfile import cloud_schema
from xingliu.forecast.effects import Effects, Move
from xingliu.workloads.schema import job_schema

router = APIRouter(tags=["cloud"])
NAMED_MAX = 20


class ApplyIn(In):
    """`preview` true changes nothing."""

    document: dict[str, Any]
    preview: bool = False


class ChangeOut(Out):
    """One difference; `change` is create, update, delete or retire."""

    noun: str
    name: str
    change: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    sentence: str


class MoveOut(Out):
    """An expected start, before and after; null is unknown."""

    job: str
    before_us: int | None
    after_us: int | None


class EffectsOut(Out):
    """What the change would do to those who run and wait: how many of each, and the first of them by id.

    `starts`: wait and would start at once. `sooner`, `later`: would start at another time; null in a large cloud, where
    that is not looked at. `never`: could never start. `stopped`: run and would be stopped at once for others. `above`: run,
    and may be stopped for others from then on because their queue would hold more than its quota.
    """

    starts: list[str]
    starts_count: int
    sooner: list[MoveOut] | None
    sooner_count: int
    later: list[MoveOut] | None
    later_count: int
    never: list[str]
    never_count: int
    stopped: list[str]
    stopped_count: int
    above: list[str]
    above_count: int


class AppliedOut(Out):
    """`effects` is null once it is applied, and where nothing changes."""

    changes: list[ChangeOut]
    applied: bool
    effects: EffectsOut | None


class CloudOut(Out):
    version: str
    currency: str
    multi_tenant: bool


class WhoamiOut(Out):
    """`default_project` null: each request has to name one."""

    user: str
    tenant: str | None
    bindings: list[BindingOut]
    default_project: str | None
    default_queue: str
    cloud: CloudOut


def _out(applied: Applied) -> AppliedOut:
    changes = [
        ChangeOut(
            noun=change.noun,
            name=change.name,
            change=change.change,
            before=None if change.before is None else dict(change.before),
            after=None if change.after is None else dict(change.after),
            sentence=change.sentence,
        )
        for change in applied.changes
    ]
    return AppliedOut(changes=changes, applied=applied.applied, effects=_effects(applied.effects) if applied.effects else None)


def _effects(effects: Effects) -> EffectsOut:
    return EffectsOut(
        starts=list(effects.starts[:NAMED_MAX]),
        starts_count=len(effects.starts),
        sooner=_moves(effects.sooner),
        sooner_count=len(effects.sooner or ()),
        later=_moves(effects.later),
        later_count=len(effects.later or ()),
        never=list(effects.never[:NAMED_MAX]),
        never_count=len(effects.never),
        stopped=list(effects.stopped[:NAMED_MAX]),
        stopped_count=len(effects.stopped),
        above=list(effects.above[:NAMED_MAX]),
        above_count=len(effects.above),
    )


def _moves(moves: Sequence[Move] | None) -> list[MoveOut] | None:
    if moves is None:
        return None
    return [MoveOut(job=move.job, before_us=move.before_us, after_us=move.after_us) for move in moves[:NAMED_MAX]]


@router.post("/v1/cloud:apply")
def apply_cloud(control: Control, asker: Asker, body: ApplyIn) -> AppliedOut:
    """Make the cloud what the file says, or tell what that would change."""
    return _out(control.cloud.apply(asker, body.document, preview=body.preview))


@router.get("/v1/cloud")
def show_cloud(control: Control, asker: Asker) -> dict[str, Any]:
    """The operator file in force."""
    return dict(control.cloud.document(asker))


@router.get("/v1/whoami")
def whoami(control: Control, asker: Asker) -> WhoamiOut:
    """Who you are here, and what is used where a request names nothing."""
    found, about = control.whoami.introduce(asker), control.about
    return WhoamiOut(
        user=asker.user,
        tenant=asker.tenant,
        bindings=[binding_out(binding) for binding in asker.bindings],
        default_project=found.default_project.id if found.default_project else None,
        default_queue=found.default_queue,
        cloud=CloudOut(version=about.version, currency=found.currency, multi_tenant=about.multi_tenant),
    )


@router.get("/v1/schemas/job")
def show_job_schema(asker: Asker) -> dict[str, Any]:
    """JSON Schema of a job file, for editors."""
    return job_schema()


@router.get("/v1/schemas/cloud")
def show_cloud_schema(asker: Asker) -> dict[str, Any]:
    """JSON Schema of an operator file, for editors."""
    return cloud_schema()
