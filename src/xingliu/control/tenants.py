"""Tenants: who is invoiced."""

from xingliu.control.errors import TooMany
from xingliu.control.ports import Store
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import AlreadyExists, Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import TenantId
from xingliu.tenancy.model import Actor, Tenant
from xingliu.tenancy.names import check_name
from xingliu.tenancy.roles import Verb

TENANTS_MAX = 10_000


class Tenants:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(self, actor: Actor, name: str, *, idempotency_key: str | None = None) -> Tenant:
        """Raises Forbidden, BadName, AlreadyExists, TooMany, IdempotencyConflict."""
        request = {"noun": "tenant", "name": name}
        with self._store.write() as unit:
            Scope(unit, actor).require(Verb.TENANT_WRITE)
            tenant = TenantId(check_name("tenant", name))
            found = unit.tenants.get(tenant)
            if made_before(unit, actor, idempotency_key, request) is not None and found is not None:
                return found
            if found is not None:
                raise AlreadyExists("tenant", tenant)
            if len(unit.tenants.find(limit=TENANTS_MAX)) >= TENANTS_MAX:
                raise TooMany("tenants", TENANTS_MAX, "Use a project in a tenant that exists.")
            now_us = self._clock.now_us()
            created = Tenant(tenant, now_us)
            unit.tenants.put(created)
            unit.events.append(EventDraft("tenant.created", tenant, actor.user, now_us, tenant=tenant))
            keep_receipt(unit, actor, idempotency_key, request, tenant, now_us)
            return created

    def list(self, actor: Actor, *, after: str | None = None, limit: int = 100) -> list[Tenant]:
        """Those this actor knows of, by name."""
        with self._store.read() as unit:
            visible = Scope(unit, actor).visible_tenants()
            if visible is None:
                return unit.tenants.find(after=TenantId(after) if after else None, limit=limit)
            names = sorted(name for name in visible if after is None or name > after)
            return [tenant for tenant in map(unit.tenants.get, names) if tenant is not None][:limit]

    def get(self, actor: Actor, name: str) -> Tenant:
        """Raises Unknown."""
        with self._store.read() as unit:
            visible = Scope(unit, actor).visible_tenants()
            tenant = unit.tenants.get(TenantId(name))
            if tenant is None or (visible is not None and tenant.id not in visible):
                raise Unknown("tenant", name)
            return tenant
