"""Keys: credentials of users. Shown once, when they are made; only a hash is kept."""

from dataclasses import replace

from xingliu.control.actors import actor_of, key_of, new_credential
from xingliu.control.errors import TooMany
from xingliu.control.ports import Store, Unit
from xingliu.control.receipts import keep_receipt, made_before
from xingliu.control.scope import Scope
from xingliu.control.users import visible_user
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import Ids, KeyId
from xingliu.tenancy.grants import check_grant
from xingliu.tenancy.model import Actor, Key, User
from xingliu.tenancy.roles import Verb

KEYS_PER_USER_MAX = 100


class Keys:
    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    def create(self, actor: Actor, user: str | None = None, *, idempotency_key: str | None = None) -> tuple[Key, str | None]:
        """A key for `user` (None: oneself) and its credential, for the only time: repeated with the same idempotency
        key, the credential is None.

        Raises Unknown, Forbidden, RoleTooWide, TooMany, IdempotencyConflict.
        """
        with self._store.write() as unit:
            holder = _holder(unit, Scope(unit, actor), user)
            request = {"noun": "key", "user": holder.id}
            before = made_before(unit, actor, idempotency_key, request)
            found = unit.keys.get(KeyId(before)) if before else None
            if found is not None:
                return found, None
            live = [key for key in unit.keys.find({"user": holder.id}) if key.revoked_us is None]
            if len(live) >= KEYS_PER_USER_MAX:
                raise TooMany(f"keys of {holder.id}", KEYS_PER_USER_MAX, "Revoke one: `xl key ls`, `xl key revoke ID`.")
            now_us = self._clock.now_us()
            credential = new_credential(self._ids)
            key = key_of(credential, holder.id, now_us)
            unit.keys.put(key)
            unit.events.append(_event("key.created", key, holder, actor, now_us))
            keep_receipt(unit, actor, idempotency_key, request, key.id, now_us)
            return key, credential

    def list(self, actor: Actor, *, user: str | None = None, after: str | None = None, limit: int = 100) -> list[Key]:
        """The actor's own keys, and those of users it may read; by id. Raises Unknown for a `user` it does not see."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            start = KeyId(after) if after else None
            owned = scope.owned_tenants(Verb.USER_READ)
            if user is not None:
                return unit.keys.find({"user": visible_user(unit, scope, user).id}, after=start, limit=limit)
            if owned is None:
                return unit.keys.find(after=start, limit=limit)
            users = {one.id for one in unit.users.find({"tenant": owned})} if owned else set()
            return unit.keys.find({"user": frozenset(users | {actor.user})}, after=start, limit=limit)

    def revoke(self, actor: Actor, key_id: str) -> Key:
        """Refuse it from now on. Raises Unknown, Forbidden."""
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            key = unit.keys.get(KeyId(key_id))
            holder = unit.users.get(key.user) if key else None
            owned = scope.owned_tenants(Verb.USER_READ)
            if key is None or holder is None or not (owned is None or holder.tenant in owned or holder.id == actor.user):
                raise Unknown("key", key_id)
            if holder.id != actor.user:
                scope.require(Verb.USER_WRITE, tenant=holder.tenant)
            if key.revoked_us is not None:
                return key
            now_us = self._clock.now_us()
            revoked = replace(key, revoked_us=now_us)
            unit.keys.put(revoked)
            unit.events.append(_event("key.revoked", revoked, holder, actor, now_us))
            return revoked


def _holder(unit: Unit, scope: Scope, name: str | None) -> User:
    """Whose key it is to be: oneself, or a user one may write, who can do nothing that one cannot."""
    holder = visible_user(unit, scope, name or scope.actor.user)
    if holder.id != scope.actor.user:
        scope.require(Verb.USER_WRITE, tenant=holder.tenant)
        for binding in actor_of(holder).bindings:
            check_grant(scope.actor, binding)
    if holder.revoked_us is not None:
        raise Unknown("user", holder.id)
    return holder


def _event(type_: str, key: Key, holder: User, actor: Actor, now_us: int) -> EventDraft:
    return EventDraft(type_, key.id, actor.user, now_us, tenant=holder.tenant or "", facts={"user": holder.id})
