"""Projects: who owns and pays inside a tenant. Each runs its replicas under a uid of its own, never given twice."""

from xingliu.control.errors import TooMany
from xingliu.control.ports import Store, Unit
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import AlreadyExists, Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import ProjectId, QueueName, TenantId
from xingliu.tenancy.model import Actor, Project
from xingliu.tenancy.names import check_name
from xingliu.tenancy.roles import Verb

FIRST_UID = 20_000
PROJECTS_MAX = 20_000
PROJECTS_PER_TENANT_MAX = 1_000


class Projects:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(
        self, actor: Actor, tenant: str, name: str, *, queue: str | None = None, idempotency_key: str | None = None
    ) -> Project:
        """Raises Unknown (tenant, queue), Forbidden, BadName, AlreadyExists, TooMany, IdempotencyConflict."""
        request = {"noun": "project", "tenant": tenant, "name": name, "queue": queue}
        with self._store.write() as unit:
            check_tenant(unit, Scope(unit, actor), tenant, Verb.PROJECT_WRITE)
            project = ProjectId(f"{tenant}/{check_name('project', name)}")
            found = unit.projects.get(project)
            if made_before(unit, actor, idempotency_key, request) is not None and found is not None:
                return found
            if found is not None:
                raise AlreadyExists("project", project)
            if queue is not None and unit.queues.get(QueueName(queue)) is None:
                raise Unknown("queue", queue)
            now_us = self._clock.now_us()
            created = new_project(unit, project, QueueName(queue) if queue else None, now_us)
            unit.projects.put(created)
            facts = {"uid": created.uid, "queue": queue}
            unit.events.append(
                EventDraft("project.created", project, actor.user, now_us, tenant=tenant, project=project, facts=facts)
            )
            keep_receipt(unit, actor, idempotency_key, request, project, now_us)
            return created

    def list(self, actor: Actor, *, tenant: str | None = None, after: str | None = None, limit: int = 100) -> list[Project]:
        """Those this actor sees, by id."""
        with self._store.read() as unit:
            visible = Scope(unit, actor).visible_projects()
            if visible is None:
                where = {"tenant": tenant} if tenant else None
                return unit.projects.find(where, after=ProjectId(after) if after else None, limit=limit)
            ids = sorted(project for project in visible if after is None or project > after)
            found = [project for project in map(unit.projects.get, ids) if project is not None]
            return [project for project in found if tenant in (None, project.tenant)][:limit]

    def get(self, actor: Actor, name: str) -> Project:
        """Raises Unknown, AmbiguousName."""
        with self._store.read() as unit:
            return Scope(unit, actor).project(name)


def check_tenant(unit: Unit, scope: Scope, tenant: str, verb: Verb) -> None:
    """Raises Unknown where the tenant does not exist for this actor, Forbidden where it may not do `verb` to it."""
    if not scope.sees_all or unit.tenants.get(TenantId(tenant)) is not None:
        scope.require(verb, tenant=TenantId(tenant))
    if unit.tenants.get(TenantId(tenant)) is None:
        raise Unknown("tenant", tenant)


def new_project(unit: Unit, project: ProjectId, queue: QueueName | None, now_us: int) -> Project:
    """A project with the next uid. Raises TooMany. Projects stay for good, so a uid is never given twice."""
    tenant = TenantId(project.partition("/")[0])
    if len(unit.projects.find({"tenant": tenant}, limit=PROJECTS_PER_TENANT_MAX)) >= PROJECTS_PER_TENANT_MAX:
        raise TooMany(f"projects in {tenant}", PROJECTS_PER_TENANT_MAX, "Use a project that exists.")
    uids = [other.uid for other in unit.projects.find()]
    if len(uids) >= PROJECTS_MAX:
        raise TooMany("projects", PROJECTS_MAX, "Use a project that exists.")
    return Project(project, tenant, max([FIRST_UID - 1, *uids]) + 1, now_us, queue)
