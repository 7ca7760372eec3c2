"""The one seam between a credential and an Actor. Keys now; web sessions and OIDC would resolve here too.

A key is shown once as `xlk_<id>_<secret>`; the store has its SHA-256.
"""

import hashlib
import hmac
import threading

from xingliu.control.errors import BadCredentials
from xingliu.control.ports import Delta, Store
from xingliu.kernel.ids import Ids, KeyId, UserId
from xingliu.tenancy.model import Actor, Key, User

PREFIX = "xlk"
_LONGEST = 512
_KEPT_MAX = 10_000


def new_credential(ids: Ids) -> str:
    """A credential that nobody has seen yet. Its id tells keys apart, its secret proves."""
    return f"{PREFIX}_{ids.short()}_{ids.secret()}"


def key_of(credential: str, user: UserId, now_us: int) -> Key:
    """What the store keeps of a credential. Raises BadCredentials when it has not the form of one."""
    key_id = _key_id(credential)
    return Key(key_id, user, _digest(credential), f"{PREFIX}_{key_id}", now_us)


def actor_of(user: User) -> Actor:
    return Actor(user.id, user.tenant, user.bindings)


class Actors:
    """Resolves credentials. Keeps what it resolved until a commit touches a key or a user."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: dict[str, Actor] = {}
        self._era = 0
        store.subscribe(self._forget)

    def known(self, credential: str) -> Actor | None:
        """The actor, if this credential was resolved lately; never waits."""
        return self._kept.get(_digest(credential)) if len(credential) <= _LONGEST else None

    def resolve(self, credential: str) -> Actor:
        """Who this is. Raises BadCredentials."""
        known = self.known(credential)
        if known is not None:
            return known
        key_id, digest, era = _key_id(credential), _digest(credential), self._era
        actor = self._load(key_id, digest)
        with self._lock:
            if era == self._era and len(self._kept) < _KEPT_MAX:
                self._kept[digest] = actor
        return actor

    def _load(self, key_id: KeyId, digest: str) -> Actor:
        with self._store.read() as unit:
            key = unit.keys.get(key_id)
            if key is None or key.revoked_us is not None or not hmac.compare_digest(key.sha256, digest):
                raise BadCredentials()
            user = unit.users.get(key.user)
        if user is None or user.revoked_us is not None:
            raise BadCredentials()
        return actor_of(user)

    def _forget(self, delta: Delta) -> None:
        if delta.deleted or any(isinstance(value, Key | User) for value in delta.put):
            with self._lock:
                self._era += 1
                self._kept = {}


def _key_id(credential: str) -> KeyId:
    parts = credential.split("_", 2)
    if len(credential) > _LONGEST or len(parts) != 3 or parts[0] != PREFIX or not parts[1].isalnum() or not parts[2]:
        raise BadCredentials()
    return KeyId(parts[1])


def _digest(credential: str) -> str:
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()
