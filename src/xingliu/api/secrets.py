"""Secrets of projects. A value goes in and never comes out."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import SecretStr

from xingliu.api.asking import Asker, Control, Once, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.tenancy.model import Secret

router = APIRouter(tags=["secrets"])


class SecretIn(In):
    """`project` null means your default one."""

    name: Text
    value: SecretStr
    project: Text | None = None


class SecretOut(Out):
    """That there is one, and since when it has its value."""

    name: str
    project: str
    created_us: int


def _out(secret: Secret) -> SecretOut:
    return SecretOut(name=secret.name, project=secret.project, created_us=secret.created_us)


@router.get("/v1/secrets")
def list_secrets(
    control: Control,
    asker: Asker,
    project: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[SecretOut]:
    """Their names, by project and name."""
    found = control.secrets.list(asker, project=project, after=after, limit=limit + 1)
    return page_of(found, limit, lambda secret: secret.id, _out)


@router.post("/v1/secrets", status_code=201)
def put_secret(control: Control, asker: Asker, body: SecretIn, once: Once = None) -> SecretOut:
    """Create it, or give it a new value for attempts that start from now on."""
    return _out(control.secrets.put(asker, body.project, body.name, body.value.get_secret_value(), idempotency_key=once))


@router.delete("/v1/secrets/{tenant}/{project}/{name}", status_code=204, response_class=Response)
def delete_secret(control: Control, asker: Asker, tenant: str, project: str, name: str) -> None:
    """Forget it."""
    control.secrets.delete(asker, f"{tenant}/{project}", name)
