"""Tenants."""

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control, Once, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.tenancy.model import Tenant

router = APIRouter(tags=["tenants"])


class TenantIn(In):
    name: Text


class TenantOut(Out):
    """Who is invoiced."""

    id: str
    created_us: int


def _out(tenant: Tenant) -> TenantOut:
    return TenantOut(id=tenant.id, created_us=tenant.created_us)


@router.get("/v1/tenants")
def list_tenants(control: Control, asker: Asker, limit: Limit = 100, after: After = None) -> Page[TenantOut]:
    """Those you know of, by name."""
    return page_of(control.tenants.list(asker, after=after, limit=limit + 1), limit, lambda tenant: tenant.id, _out)


@router.post("/v1/tenants", status_code=201)
def create_tenant(control: Control, asker: Asker, body: TenantIn, once: Once = None) -> TenantOut:
    """Admins only."""
    return _out(control.tenants.create(asker, body.name, idempotency_key=once))


@router.get("/v1/tenants/{tenant}")
def show_tenant(control: Control, asker: Asker, tenant: str) -> TenantOut:
    """One tenant."""
    return _out(control.tenants.get(asker, tenant))
