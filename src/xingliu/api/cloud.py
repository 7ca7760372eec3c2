"""The operator file, and what a user is told about itself and the cloud."""

from typing import Any

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control
from xingliu.api.shapes import In, Out
from xingliu.api.users import BindingOut, binding_out
from xingliu.control.cloud import Applied
from xingliu.fleet.cloudfile import cloud_schema
from xingliu.workloads.schema import job_schema

router = APIRouter(tags=["cloud"])


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


class AppliedOut(Out):
    changes: list[ChangeOut]
    applied: bool


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
    return AppliedOut(changes=changes, applied=applied.applied)


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
