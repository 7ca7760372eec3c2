"""Users and what they may do where. An owner makes them inside the own tenant; nobody gives a role wider than their own."""

from collections.abc import Sequence
from dataclasses import replace

from xingliu.control.errors import LastAdmin, TooMany
from xingliu.control.ports import Store, Unit
from xingliu.control.projects import check_tenant
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import AlreadyExists, Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import TenantId, UserId
from xingliu.tenancy.grants import check_binding, check_grant, scope_of
from xingliu.tenancy.model import Actor, Binding, Role, User
from xingliu.tenancy.names import check_name
from xingliu.tenancy.roles import Verb

USERS_PER_TENANT_MAX = 10_000
BINDINGS_MAX = 50


class Users:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(
        self,
        actor: Actor,
        name: str,
        *,
        tenant: str | None,
        bindings: Sequence[Binding],
        idempotency_key: str | None = None,
    ) -> User:
        """A user `tenant/name`, or `name` for one of the whole cloud.

        Raises Unknown, Forbidden, BadName, WrongScope, OutsideTenant, RoleTooWide, AlreadyExists, TooMany,
        IdempotencyConflict.
        """
        granted = tuple(dict.fromkeys(bindings))
        shown = [[binding.role.value, binding.scope] for binding in granted]
        request = {"noun": "user", "tenant": tenant, "name": name, "bindings": shown}
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            _check_home(unit, scope, tenant)
            user = user_id(tenant, check_name("user", name))
            found = unit.users.get(user)
            if made_before(unit, actor, idempotency_key, request) is not None and found is not None:
                return found
            if found is not None:
                raise AlreadyExists("user", user)
            self._check_bindings(unit, scope, tenant, granted)
            now_us = self._clock.now_us()
            created = User(user, TenantId(tenant) if tenant else None, granted, now_us)
            unit.users.put(created)
            unit.events.append(_event("user.created", created, actor, now_us, {"bindings": shown}))
            keep_receipt(unit, actor, idempotency_key, request, user, now_us)
            return created

    def list(self, actor: Actor, *, tenant: str | None = None, after: str | None = None, limit: int = 100) -> list[User]:
        """Those of the tenants whose users this actor may read, and always itself, by id."""
        with self._store.read() as unit:
            owned = Scope(unit, actor).owned_tenants(Verb.USER_READ)
            start = UserId(after) if after else None
            if owned is None:
                return unit.users.find({"tenant": tenant} if tenant else None, after=start, limit=limit)
            asked = owned if tenant is None else owned & {TenantId(tenant)}
            found = unit.users.find({"tenant": asked}, after=start, limit=limit) if asked else []
            own = unit.users.get(actor.user) if tenant in (None, actor.tenant) else None
            if own is not None and own not in found and (after is None or own.id > after):
                found = sorted([*found, own], key=lambda user: user.id)[:limit]
            return found

    def get(self, actor: Actor, name: str) -> User:
        """Raises Unknown."""
        with self._store.read() as unit:
            return visible_user(unit, Scope(unit, actor), name)

    def revoke(self, actor: Actor, name: str) -> User:
        """End a user, and with it every key of its, at once. Raises Unknown, Forbidden, LastAdmin."""
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            user = visible_user(unit, scope, name)
            scope.require(Verb.USER_WRITE, tenant=user.tenant)
            if user.revoked_us is not None:
                return user
            if _is_admin(user) and not any(
                other.id != user.id and _is_admin(other) for other in unit.users.find({"tenant": None})
            ):
                raise LastAdmin(user.id)
            now_us = self._clock.now_us()
            revoked = replace(user, revoked_us=now_us)
            unit.users.put(revoked)
            unit.events.append(_event("user.revoked", revoked, actor, now_us, {}))
            return revoked

    def _check_bindings(self, unit: Unit, scope: Scope, tenant: str | None, bindings: Sequence[Binding]) -> None:
        if len(bindings) > BINDINGS_MAX:
            raise TooMany("roles in this request", BINDINGS_MAX, f"Give at most {BINDINGS_MAX} to one user.")
        for binding in bindings:
            check_binding(binding, TenantId(tenant) if tenant else None)
            _check_exists(unit, scope, binding)
            check_grant(scope.actor, binding)
        if len(unit.users.find({"tenant": tenant}, limit=USERS_PER_TENANT_MAX)) >= USERS_PER_TENANT_MAX:
            raise TooMany("users in this tenant", USERS_PER_TENANT_MAX, "Give keys to users that exist.")


def user_id(tenant: str | None, name: str) -> UserId:
    return UserId(f"{tenant}/{name}" if tenant else name)


def visible_user(unit: Unit, scope: Scope, name: str) -> User:
    """By id, or, for those of a tenant, by name alone inside it. Raises Unknown."""
    own = scope.actor.tenant
    ids = [UserId(name)] if "/" in name or own is None else [UserId(name), user_id(own, name)]
    owned = scope.owned_tenants(Verb.USER_READ)
    for user in map(unit.users.get, ids):
        if user is not None and (owned is None or user.tenant in owned or user.id == scope.actor.user):
            return user
    raise Unknown("user", name)


def _check_home(unit: Unit, scope: Scope, tenant: str | None) -> None:
    if tenant is None:
        scope.require(Verb.USER_WRITE)
    else:
        check_tenant(unit, scope, tenant, Verb.USER_WRITE)


def _check_exists(unit: Unit, scope: Scope, binding: Binding) -> None:
    tenant, project = scope_of(binding)
    if project is not None:
        scope.project(project)
    elif tenant is not None and unit.tenants.get(tenant) is None:
        raise Unknown("tenant", tenant)


def _is_admin(user: User) -> bool:
    return user.revoked_us is None and any(binding.role is Role.ADMIN for binding in user.bindings)


def _event(type_: str, user: User, actor: Actor, now_us: int, facts: dict[str, object]) -> EventDraft:
    return EventDraft(type_, user.id, actor.user, now_us, tenant=user.tenant or "", facts=facts)
