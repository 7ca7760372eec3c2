"""Users and their roles."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from xingliu.api.asking import Asker, Control, Once, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.control.users import BINDINGS_MAX
from xingliu.tenancy.model import Binding, Role, User

router = APIRouter(tags=["users"])


class BindingIn(In):
    """A role and where it holds: empty for the whole cloud, a tenant, or TENANT/PROJECT."""

    role: Role
    scope: Text = ""


class UserIn(In):
    """`tenant` null makes a user of the whole cloud."""

    name: Text
    tenant: Text | None = None
    bindings: Annotated[list[BindingIn], Field(max_length=BINDINGS_MAX)] = []


class BindingOut(Out):
    role: str
    scope: str


class UserOut(Out):
    """Who acts. `id` is TENANT/NAME, or a name alone for users of the whole cloud."""

    id: str
    tenant: str | None
    bindings: list[BindingOut]
    created_us: int
    revoked_us: int | None


def binding_out(binding: Binding) -> BindingOut:
    return BindingOut(role=binding.role.value, scope=binding.scope)


def _out(user: User) -> UserOut:
    return UserOut(
        id=user.id,
        tenant=user.tenant,
        bindings=[binding_out(binding) for binding in user.bindings],
        created_us=user.created_us,
        revoked_us=user.revoked_us,
    )


@router.get("/v1/users")
def list_users(
    control: Control,
    asker: Asker,
    tenant: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[UserOut]:
    """Yourself, and the users of tenants you own; by id."""
    found = control.users.list(asker, tenant=tenant, after=after, limit=limit + 1)
    return page_of(found, limit, lambda user: user.id, _out)


@router.post("/v1/users", status_code=201)
def create_user(control: Control, asker: Asker, body: UserIn, once: Once = None) -> UserOut:
    """Admins, and owners in their tenant. Nobody gives a role wider than their own."""
    bindings = [Binding(binding.role, binding.scope) for binding in body.bindings]
    return _out(control.users.create(asker, body.name, tenant=body.tenant, bindings=bindings, idempotency_key=once))


@router.get("/v1/users/{user:path}")
def show_user(control: Control, asker: Asker, user: str) -> UserOut:
    """One user."""
    return _out(control.users.get(asker, user))


@router.post("/v1/users/{user:path}:revoke")
def revoke_user(control: Control, asker: Asker, user: str) -> UserOut:
    """End a user and every key of it, at once and for good."""
    return _out(control.users.revoke(asker, user))
