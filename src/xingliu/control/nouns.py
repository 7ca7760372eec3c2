"""What the store keeps, as data: the words in which the `Store` port's adapters agree.

A reference is checked when the transaction commits; a rule of uniqueness at once. Breaking one raises BrokenRule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache

from xingliu.control.errors import BrokenRule
from xingliu.control.ports import Blob, Cursor, Receipt, Settings
from xingliu.fleet.model import Flavor, Node, Pool, Queue
from xingliu.kernel.errors import BadValue
from xingliu.scheduling.model import Used
from xingliu.tenancy.model import Key, Project, Secret, Tenant, User
from xingliu.workloads.arrays import Array
from xingliu.workloads.model import Attempt, Job, JobState, KeptSpec, Lease, Replica, Role
from xingliu.workloads.schedules import Schedule

ID_PREFIX = "id_prefix"
EVENT_SEARCHABLE = frozenset({"type", "subject", "actor", "tenant", "project", "noun"})
DEVICE_RULE = "a device is in at most one open lease"


@dataclass(frozen=True, slots=True)
class Noun:
    """One collection of the store.

    Attributes:
        name: as on `Unit`, and in `Delta.deleted`.
        key: the attribute that is its id; ids sort by code point.
        searchable: what `find` may name; `id_prefix` stands for ids that begin so.
        references: attribute -> the noun whose id it is; None refers to nothing.
        holds: attribute that is another noun's value, whole -> the attribute that is its id, which is what is stored.
        unique: attributes that no two values have alike.
        fixed: attributes that never change: a store need not write them, nor their indexes, when a value is put again.
    """

    name: str
    type: type
    key: str = "id"
    searchable: frozenset[str] = frozenset()
    references: Mapping[str, str] = field(default_factory=dict)
    holds: Mapping[str, str] = field(default_factory=dict)
    unique: tuple[tuple[str, ...], ...] = ()
    fixed: frozenset[str] = frozenset()


def _named(*names: str) -> frozenset[str]:
    return frozenset(names)


_OWNED = {"tenant": "tenants", "project": "projects"}
_SUBMITTED = ("tenant", "project", "user", "blob", "array_id", "array_index")

NOUNS: dict[str, Noun] = {
    noun.name: noun
    for noun in (
        Noun("tenants", Tenant),
        Noun("flavors", Flavor, "name"),
        Noun("queues", Queue, "name"),
        Noun("projects", Project, "id", _named("tenant", "queue"), {"tenant": "tenants", "queue": "queues"}, unique=(("uid",),)),
        Noun("users", User, "id", _named("tenant"), {"tenant": "tenants"}),
        Noun("keys", Key, "id", _named("user", "sha256"), {"user": "users"}, unique=(("sha256",),)),
        Noun("secrets", Secret, "id", _named("project"), {"project": "projects"}),
        Noun("pools", Pool, "name", _named("flavor"), {"flavor": "flavors"}),
        Noun("nodes", Node, "name", _named("name", "pool", "flavor", "state"), {"pool": "pools", "flavor": "flavors"}),
        Noun("specs", KeptSpec, "id", _named("id")),
        Noun(
            "arrays",
            Array,
            "id",
            _named("id", "tenant", "project", "queue", "user", "name", ID_PREFIX),
            {**_OWNED, "user": "users"},
        ),
        Noun(
            "jobs",
            Job,
            "id",
            _named(
                "id",
                "state",
                "tenant",
                "project",
                "queue",
                "user",
                "blob",
                "name",
                "spec_id",
                "array_id",
                "array_index",
                ID_PREFIX,
            ),
            {**_OWNED, "user": "users", "spec_id": "specs", "array_id": "arrays"},
            holds={"kept": "spec_id"},
            fixed=_named(*_SUBMITTED, "submitted_us", "array"),
        ),
        Noun(
            "schedules",
            Schedule,
            "id",
            _named("tenant", "project", "user", "name", "spec_id"),
            {"tenant": "tenants", "project": "projects", "user": "users", "spec_id": "specs"},
            holds={"kept": "spec_id"},
            unique=(("project", "name"),),
        ),
        Noun("roles", Role, "id", _named("job"), {"job": "jobs"}, unique=(("job", "name"),)),
        Noun("replicas", Replica, "id", _named("job", "role"), {"job": "jobs", "role": "roles"}, unique=(("role", "rank"),)),
        Noun(
            "attempts",
            Attempt,
            "id",
            _named("job", "replica", "number", "outcome"),
            {"job": "jobs", "replica": "replicas"},
            unique=(("replica", "number"),),
            fixed=_named("replica", "job", "rank", "number", "main_address", "main_port"),
        ),
        Noun(
            "leases",
            Lease,
            "id",
            _named("job", "attempt", "node", "tenant", "project", "queue", "pool", "released_us"),
            {**_OWNED, "job": "jobs", "attempt": "attempts"},
            unique=(("attempt",),),
            fixed=_named(
                *("attempt", "job", "tenant", "project", "queue", "pool", "flavor", "node"),
                *("resources", "gpus", "opened_us"),
            ),
        ),
        Noun("fair_uses", Used, "key", _named("key", "queue")),
        Noun("settings", Settings, "key"),
        Noun("cursors", Cursor, "key"),
        Noun("receipts", Receipt, "key"),
        Noun("blobs", Blob, "key", _named("project", "blob"), {"project": "projects"}),
    )
}


@cache
def _by_type() -> dict[type, Noun]:
    return {noun.type: noun for noun in NOUNS.values()}


def noun_of(value: object) -> Noun:
    """The collection a value belongs to, so that a reader of a `Delta` can tell."""
    return _by_type()[type(value)]


def storable(text: str) -> bool:
    """Whether every database can keep it: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def checked_text(text: str) -> str:
    """The text, if it can be stored. Raises BadValue."""
    if not storable(text):
        raise BadValue(text, "text that can be stored", "Leave out NUL characters and broken Unicode.")
    return text


def check_values(noun: Noun, values: Iterable[object]) -> None:
    """What holds for every value on its own. Raises BrokenRule, BadValue."""
    names = [each.name for each in fields(noun.type)]
    for value in values:
        if type(value) is not noun.type:
            raise TypeError(f"{noun.name} keeps {noun.type.__name__}, not {type(value).__name__}")
        for name in names:
            if isinstance(text := getattr(value, name), str):
                checked_text(text)
        if isinstance(value, Job) and value.state is JobState.STOPPING and value.stop_why is None:
            raise BrokenRule("a job that is STOPPING says why")
        if isinstance(value, Attempt) and value.exit_code is not None and value.signal is not None:
            raise BrokenRule("an attempt ends with an exit code or a signal, not both")
