"""What people may not be called, and what they may not be given."""

from dataclasses import dataclass
from typing import ClassVar

from xingliu.kernel.errors import XingliuError


@dataclass(eq=False)
class BadName(XingliuError):
    """{name!r} cannot name a {noun}: {rule}."""

    code: ClassVar[str] = "bad_name"
    hint: ClassVar[str] = "Such as: {example}"
    noun: str
    name: str
    rule: str
    example: str


@dataclass(eq=False)
class WrongScope(XingliuError):
    """The role {role} holds for {expected}, not for {scope!r}."""

    code: ClassVar[str] = "wrong_scope"
    hint: ClassVar[str] = "admin, operator, finance: scope is empty; owner: a tenant; member, viewer: TENANT/PROJECT."
    role: str
    expected: str
    scope: str


@dataclass(eq=False)
class OutsideTenant(XingliuError):
    """A user of tenant {tenant} cannot have a role on {scope!r}."""

    code: ClassVar[str] = "outside_tenant"
    hint: ClassVar[str] = "Give roles inside {tenant}, or create a user of the whole cloud."
    tenant: str
    scope: str


@dataclass(eq=False)
class RoleTooWide(XingliuError):
    """{user} cannot give the role {role}: nobody gives a role wider than their own."""

    code: ClassVar[str] = "role_too_wide"
    hint: ClassVar[str] = "Ask somebody who holds {role} there, or the cloud's admin."
    user: str
    role: str
