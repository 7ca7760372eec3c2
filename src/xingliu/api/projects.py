"""Projects."""

from typing import Annotated

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control, Once, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.tenancy.model import Project

router = APIRouter(tags=["projects"])


class ProjectIn(In):
    tenant: Text
    name: Text
    queue: Text | None = None


class ProjectOut(Out):
    """Who owns and pays inside a tenant. `id` is TENANT/NAME; its replicas run under `uid`."""

    id: str
    tenant: str
    name: str
    queue: str | None
    uid: int
    created_us: int


def _out(project: Project) -> ProjectOut:
    return ProjectOut(
        id=project.id,
        tenant=project.tenant,
        name=project.name,
        queue=project.queue,
        uid=project.uid,
        created_us=project.created_us,
    )


@router.get("/v1/projects")
def list_projects(
    control: Control,
    asker: Asker,
    tenant: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[ProjectOut]:
    """Those you see, by id."""
    found = control.projects.list(asker, tenant=tenant, after=after, limit=limit + 1)
    return page_of(found, limit, lambda project: project.id, _out)


@router.post("/v1/projects", status_code=201)
def create_project(control: Control, asker: Asker, body: ProjectIn, once: Once = None) -> ProjectOut:
    """Admins, and owners in their tenant."""
    return _out(control.projects.create(asker, body.tenant, body.name, queue=body.queue, idempotency_key=once))


@router.get("/v1/projects/{tenant}/{project}")
def show_project(control: Control, asker: Asker, tenant: str, project: str) -> ProjectOut:
    """One project."""
    return _out(control.projects.get(asker, f"{tenant}/{project}"))
