"""Secrets of projects: sealed before they are stored, never shown again."""

from xingliu.control.errors import CannotUnseal, IdempotencyConflict, TooMany
from xingliu.control.ports import Sealer, Store, Unit
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import BadValue, Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import SecretId
from xingliu.tenancy.model import Actor, Project, Secret
from xingliu.tenancy.names import check_secret_name
from xingliu.tenancy.roles import Verb

VALUE_LARGEST_BYTES = 32_768
SECRETS_PER_PROJECT_MAX = 1_000


class Secrets:
    def __init__(self, store: Store, clock: Clock, sealer: Sealer) -> None:
        self._store = store
        self._clock = clock
        self._sealer = sealer

    def put(self, actor: Actor, project: str | None, name: str, value: str, *, idempotency_key: str | None = None) -> Secret:
        """Create it, or give it a new value. Raises Unknown, Forbidden, BadName, BadValue, TooMany, IdempotencyConflict."""
        with self._store.write() as unit:
            owner = _owner(unit, actor, project, Verb.SECRET_WRITE)
            secret_id = SecretId(f"{owner.id}/{check_secret_name(name)}")
            _check_value(value)
            request = {"noun": "secret", "id": secret_id}
            found = unit.secrets.get(secret_id)
            if made_before(unit, actor, idempotency_key, request) and found is not None:
                return self._unchanged(found, value, idempotency_key or "")
            if found is None and len(unit.secrets.find({"project": owner.id})) >= SECRETS_PER_PROJECT_MAX:
                raise TooMany(f"secrets in {owner.id}", SECRETS_PER_PROJECT_MAX, "Delete one: `xl secret delete NAME`.")
            now_us = self._clock.now_us()
            secret = Secret(secret_id, owner.id, self._sealer.seal(secret_id, value), now_us)
            unit.secrets.put(secret)
            unit.events.append(_event("secret.replaced" if found else "secret.created", secret, owner, actor, now_us))
            keep_receipt(unit, actor, idempotency_key, request, secret_id, now_us)
            return secret

    def list(self, actor: Actor, *, project: str | None = None, after: str | None = None, limit: int = 100) -> list[Secret]:
        """Those of the projects whose secrets' names this actor may read; without a project, of all such."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            start = SecretId(after) if after else None
            if project is not None:
                where: dict[str, object] = {"project": _owner(unit, actor, project, Verb.SECRET_READ).id}
                return unit.secrets.find(where, after=start, limit=limit)
            return unit.secrets.find(scope.narrow_by(Verb.SECRET_READ), after=start, limit=limit)

    def delete(self, actor: Actor, project: str, name: str) -> None:
        """Raises Unknown, Forbidden."""
        with self._store.write() as unit:
            owner = _owner(unit, actor, project, Verb.SECRET_WRITE)
            secret = unit.secrets.get(SecretId(f"{owner.id}/{name}"))
            if secret is None:
                raise Unknown("secret", f"{owner.id}/{name}")
            unit.secrets.delete(secret.id)
            unit.events.append(_event("secret.deleted", secret, owner, actor, self._clock.now_us()))

    def _unchanged(self, found: Secret, value: str, key: str) -> Secret:
        """A repeated request must carry the same value; no hash of a value is ever stored to compare it with."""
        try:
            same = self._sealer.unseal(found.id, found.sealed) == value
        except CannotUnseal:
            same = False
        if not same:
            raise IdempotencyConflict(key)
        return found


def _owner(unit: Unit, actor: Actor, project: str | None, verb: Verb) -> Project:
    scope = Scope(unit, actor)
    owner = scope.project(project)
    scope.require(verb, project=owner.id)
    return owner


def _check_value(value: str) -> None:
    """Raises BadValue, which never repeats the value."""
    if not value or "\0" in value or len(value.encode("utf-8", "surrogatepass")) > VALUE_LARGEST_BYTES:
        example = f"A value is 1 to {VALUE_LARGEST_BYTES} bytes of text without NUL; put larger things in a file of the job."
        raise BadValue("(not shown)", "a secret's value", example)


def _event(type_: str, secret: Secret, owner: Project, actor: Actor, now_us: int) -> EventDraft:
    return EventDraft(type_, secret.id, actor.user, now_us, tenant=owner.tenant, project=owner.id)
