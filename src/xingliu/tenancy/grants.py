"""Which roles somebody may give, and to whom."""

from xingliu.kernel.ids import ProjectId, TenantId
from xingliu.tenancy.errors import OutsideTenant, RoleTooWide, WrongScope
from xingliu.tenancy.model import CLOUD_ROLES, TENANT_ROLES, Actor, Binding
from xingliu.tenancy.roles import TABLE, may


def check_binding(binding: Binding, tenant: TenantId | None) -> None:
    """Whether a user of `tenant` (None: of the whole cloud) can hold it at all. Raises WrongScope, OutsideTenant."""
    expected, fits = _fits(binding)
    if not fits:
        raise WrongScope(binding.role, expected, binding.scope)
    if tenant is not None and binding.scope.partition("/")[0] != tenant:
        raise OutsideTenant(tenant, binding.scope)


def check_grant(actor: Actor, binding: Binding) -> None:
    """Every verb of the role must be the actor's own, there. Raises RoleTooWide."""
    tenant, project = scope_of(binding)
    if not all(may(actor, verb, tenant=tenant, project=project) for verb in TABLE[binding.role]):
        raise RoleTooWide(actor.user, binding.role)


def scope_of(binding: Binding) -> tuple[TenantId | None, ProjectId | None]:
    """The tenant and the project a binding is about; None where it is about neither."""
    tenant, _, project = binding.scope.partition("/")
    return TenantId(tenant) if tenant else None, ProjectId(binding.scope) if project else None


def _fits(binding: Binding) -> tuple[str, bool]:
    parts = binding.scope.split("/") if binding.scope else []
    if binding.role in CLOUD_ROLES:
        return "the whole cloud", not parts
    if binding.role in TENANT_ROLES:
        return "a tenant", len(parts) == 1
    return "a project", len(parts) == 2 and all(parts)
