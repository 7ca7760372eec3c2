"""Keys of users."""

from typing import Annotated

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control, Once, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.tenancy.model import Key

router = APIRouter(tags=["keys"])


class KeyIn(In):
    """`user` null means yourself."""

    user: Text | None = None


class KeyOut(Out):
    """A key without what makes it one; `prefix` is how it begins."""

    id: str
    user: str
    prefix: str
    created_us: int
    revoked_us: int | None


class NewKeyOut(KeyOut):
    """`key` is shown this once; null where the request was repeated with its idempotency key."""

    key: str | None


def _facts(key: Key) -> dict[str, object]:
    return {"id": key.id, "user": key.user, "prefix": key.prefix, "created_us": key.created_us, "revoked_us": key.revoked_us}


def _out(key: Key) -> KeyOut:
    return KeyOut.model_validate(_facts(key))


@router.get("/v1/keys")
def list_keys(
    control: Control,
    asker: Asker,
    user: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[KeyOut]:
    """Your own, and those of users in tenants you own; by id."""
    return page_of(control.keys.list(asker, user=user, after=after, limit=limit + 1), limit, lambda key: key.id, _out)


@router.post("/v1/keys", status_code=201)
def create_key(control: Control, asker: Asker, body: KeyIn, once: Once = None) -> NewKeyOut:
    """For yourself, or for a user in a tenant you own."""
    key, credential = control.keys.create(asker, body.user, idempotency_key=once)
    return NewKeyOut.model_validate({**_facts(key), "key": credential})


@router.post("/v1/keys/{key}:revoke")
def revoke_key(control: Control, asker: Asker, key: str) -> KeyOut:
    """Refuse it from now on."""
    return _out(control.keys.revoke(asker, key))
