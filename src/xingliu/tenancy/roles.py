"""Which role may do what: a table. `may` and `sees` are the only readers."""

from enum import StrEnum

from xingliu.kernel.ids import ProjectId, TenantId
from xingliu.tenancy.model import CLOUD_ROLES, Actor, Role


class Verb(StrEnum):
    JOB_READ = "job.read"
    JOB_OUTPUT = "job.output"
    JOB_SUBMIT = "job.submit"
    JOB_STOP = "job.stop"
    JOB_ATTACH = "job.attach"
    SECRET_READ = "secret.read"
    SECRET_WRITE = "secret.write"
    PROJECT_READ = "project.read"
    PROJECT_WRITE = "project.write"
    USER_READ = "user.read"
    USER_WRITE = "user.write"
    TENANT_READ = "tenant.read"
    TENANT_WRITE = "tenant.write"
    QUEUE_READ = "queue.read"
    QUEUE_WRITE = "queue.write"
    NODE_READ = "node.read"
    NODE_WRITE = "node.write"
    CLOUD_APPLY = "cloud.apply"
    USAGE_READ = "usage.read"
    CONSERVATION_READ = "conservation.read"
    SNAPSHOT_READ = "snapshot.read"


V = Verb
_VIEWER = frozenset({V.JOB_READ, V.JOB_OUTPUT, V.SECRET_READ, V.PROJECT_READ, V.QUEUE_READ, V.NODE_READ, V.USAGE_READ})
_MEMBER = _VIEWER | {V.JOB_SUBMIT, V.JOB_STOP, V.JOB_ATTACH, V.SECRET_WRITE}
_OWNER = _MEMBER | {V.PROJECT_WRITE, V.USER_READ, V.USER_WRITE, V.TENANT_READ}
_FINANCE = frozenset(
    {
        V.JOB_READ,
        V.PROJECT_READ,
        V.USER_READ,
        V.TENANT_READ,
        V.QUEUE_READ,
        V.NODE_READ,
        V.USAGE_READ,
        V.CONSERVATION_READ,
    }
)
_OPERATOR = _FINANCE | {V.JOB_STOP, V.QUEUE_WRITE, V.NODE_WRITE, V.CLOUD_APPLY, V.SNAPSHOT_READ}

TABLE: dict[Role, frozenset[Verb]] = {
    Role.ADMIN: frozenset(Verb),
    Role.OPERATOR: _OPERATOR,
    Role.FINANCE: _FINANCE,
    Role.OWNER: _OWNER,
    Role.MEMBER: _MEMBER,
    Role.VIEWER: _VIEWER,
}


def may(actor: Actor, verb: Verb, *, tenant: TenantId | None = None, project: ProjectId | None = None) -> bool:
    """Whether the actor may do `verb` to what belongs to that project or tenant; neither = the whole cloud."""
    return any(verb in TABLE[binding.role] and _covers(binding.scope, tenant, project) for binding in actor.bindings)


def sees(actor: Actor, *, tenant: TenantId | None = None, project: ProjectId | None = None) -> bool:
    """Whether that project or tenant exists as far as this actor can tell."""
    if any(_covers(binding.scope, tenant, project) for binding in actor.bindings):
        return True
    return project is None and tenant is not None and tenant == actor.tenant


def sees_all(actor: Actor) -> bool:
    return any(binding.role in CLOUD_ROLES for binding in actor.bindings)


def _covers(scope: str, tenant: TenantId | None, project: ProjectId | None) -> bool:
    if not scope:
        return True
    if project is not None:
        return scope == project or scope == project.partition("/")[0]
    return tenant is not None and scope == tenant
