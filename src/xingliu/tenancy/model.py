"""Tenant > project > user, their keys and secrets."""

from dataclasses import dataclass
from enum import StrEnum

from xingliu.kernel.ids import KeyId, ProjectId, QueueName, SecretId, TenantId, UserId


class Role(StrEnum):
    ADMIN = "admin"
    OPERATOR = "operator"
    FINANCE = "finance"
    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"


CLOUD_ROLES = frozenset({Role.ADMIN, Role.OPERATOR, Role.FINANCE})
TENANT_ROLES = frozenset({Role.OWNER})
PROJECT_ROLES = frozenset({Role.MEMBER, Role.VIEWER})


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who is invoiced."""

    id: TenantId
    created_us: int


@dataclass(frozen=True, slots=True)
class Project:
    """Who owns and pays inside a tenant. `id` is `tenant/name`; `uid` runs its replicas and no other project's."""

    id: ProjectId
    tenant: TenantId
    uid: int
    created_us: int
    queue: QueueName | None = None

    @property
    def name(self) -> str:
        return self.id.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Binding:
    """A role and where it holds: `""` the whole cloud, a tenant's id, or a project's id."""

    role: Role
    scope: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Who acts. `tenant` is None for those of the whole cloud; `revoked_us` ends every key at once."""

    id: UserId
    tenant: TenantId | None
    bindings: tuple[Binding, ...]
    created_us: int
    revoked_us: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A credential of a user; only its SHA-256 is stored, and `prefix` to recognise it by."""

    id: KeyId
    user: UserId
    sha256: str
    prefix: str
    created_us: int
    revoked_us: int | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A value a project's jobs may ask for; `sealed` is ciphertext, never shown again."""

    id: SecretId
    project: ProjectId
    sealed: bytes
    created_us: int

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, whatever the credential was. The one seam: keys make it now, web sessions and OIDC may later."""

    user: UserId
    tenant: TenantId | None
    bindings: tuple[Binding, ...]
