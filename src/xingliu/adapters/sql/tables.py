"""The tables as this version wants them; `migrations` makes them so, and a test compares the two.

Instants and sizes are whole numbers of 64 bits. What is composite is JSON text (`kernel.coding`). Text sorts by code point
everywhere. References are checked at commit, so that a transaction may write in any order. There are none from history
(jobs, leases) to the operator's configuration (queues, pools, nodes): configuration may go while history stays.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.sql.schema import SchemaItem

REVISION = "0007"

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
metadata = MetaData(naming_convention=NAMES)


def _text(name: str, *items: SchemaItem, optional: bool = False) -> Column[str]:
    return Column(name, TEXT, *items, nullable=optional)


def _whole(name: str, *, optional: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=optional)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _id(name: str = "id") -> Column[str]:
    return Column(name, TEXT, primary_key=True)


def _of(name: str, target: str, *, optional: bool = False, key: str = "id") -> Column[str]:
    reference = ForeignKey(f"{target}.{key}", deferrable=True, initially="DEFERRED")
    return Column(name, TEXT, reference, nullable=optional)


def _exit() -> tuple[Column[int], Column[int], CheckConstraint]:
    never_both = CheckConstraint("exit_code IS NULL OR signal IS NULL", name="exit_code_or_signal")
    return _whole("exit_code", optional=True), _whole("signal", optional=True), never_both


world = Table(
    "world",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    _whole("version"),
    _whole("epoch"),
    _text("owner"),
    CheckConstraint("id = 1", name="one_row"),
)

Table("tenants", metadata, _id(), _whole("created_us"))
Table("flavors", metadata, _id("name"), _text("core_price"), _text("gpu_price"), _text("gpu", optional=True), _flag("emulated"))
Table(
    "queues",
    metadata,
    _id("name"),
    _text("quota", optional=True),
    _flag("held"),
    _whole("generation"),
    _text("parent", optional=True),
    *(_text(limit, optional=True) for limit in ("borrow_limit", "lend_limit", "user_limit", "project_limit")),
    Column("weight", BigInteger, nullable=False, server_default="1"),
    Column("min_runtime_us", BigInteger, nullable=False, server_default="0"),
    _text("order", optional=True),
)
Table(
    "projects",
    metadata,
    _id(),
    _of("tenant", "tenants"),
    _whole("uid"),
    _whole("created_us"),
    _of("queue", "queues", optional=True, key="name"),
    UniqueConstraint("uid"),
    Index(None, "tenant"),
    Index(None, "queue"),
)
Table(
    "users",
    metadata,
    _id(),
    _of("tenant", "tenants", optional=True),
    _text("bindings"),
    _whole("created_us"),
    _whole("revoked_us", optional=True),
    Index(None, "tenant"),
)
Table(
    "keys",
    metadata,
    _id(),
    _of("user", "users"),
    _text("sha256"),
    _text("prefix"),
    _whole("created_us"),
    _whole("revoked_us", optional=True),
    UniqueConstraint("sha256"),
    Index(None, "user"),
)
Table(
    "secrets",
    metadata,
    _id(),
    _of("project", "projects"),
    Column("sealed", LargeBinary, nullable=False),
    _whole("created_us"),
    Index(None, "project"),
)
Table("pools", metadata, _id("name"), _of("flavor", "flavors", key="name"), Index(None, "flavor"))
Table(
    "nodes",
    metadata,
    _id("name"),
    _of("pool", "pools", key="name"),
    _of("flavor", "flavors", key="name"),
    _text("capacity"),
    _text("state"),
    _whole("since_us"),
    _text("devices"),
    _text("topology"),
    _flag("emulated"),
    _text("reason"),
    _text("actor"),
    _whole("generation"),
    _text("facts"),
    Index(None, "pool"),
    Index(None, "flavor"),
    Index(None, "state"),
)
Table("specs", metadata, _id(), _text("document"), _text("spec"))
Table(
    "arrays",
    metadata,
    _id(),
    _of("tenant", "tenants"),
    _of("project", "projects"),
    _of("user", "users"),
    _text("queue"),
    _text("name"),
    _text("indices"),
    _whole("size"),
    _whole("submitted_us"),
    _whole("max_parallel", optional=True),
    *(Index(None, column, "id") for column in ("tenant", "project", "user", "queue", "name")),
)
Table(
    "schedules",
    metadata,
    _id(),
    _of("tenant", "tenants"),
    _of("project", "projects"),
    _of("user", "users"),
    _text("name"),
    _text("timetable"),
    _of("spec_id", "specs"),
    _whole("created_us"),
    _whole("next_us", optional=True),
    _text("blob", optional=True),
    _flag("held"),
    _whole("last_us", optional=True),
    _text("message"),
    _whole("submitted"),
    _text("unfinished"),
    UniqueConstraint("project", "name"),
    *(Index(None, column, "id") for column in ("tenant", "user", "name", "spec_id")),
)
Table(
    "workloads",
    metadata,
    _id(),
    _of("tenant", "tenants"),
    _of("project", "projects"),
    _of("user", "users"),
    _text("queue"),
    _text("name"),
    _text("state"),
    _whole("submitted_us"),
    _text("blob", optional=True),
    _flag("held"),
    _text("stop_why", optional=True),
    _whole("stop_us", optional=True),
    _whole("kill_at_us", optional=True),
    _whole("attempt"),
    _whole("started_us", optional=True),
    _whole("finished_us", optional=True),
    _whole("running_us"),
    _text("restarts"),
    _text("wait", optional=True),
    *_exit()[:2],
    _text("message"),
    _whole("generation"),
    _text("stopped_for", optional=True),
    _text("claim", optional=True),
    _of("spec_id", "specs", optional=True),  # never NULL; SQLite can add no other column to a table that has rows
    _of("array_id", "arrays", optional=True),
    _whole("array_index", optional=True),
    _text("array", optional=True),
    Column("after", TEXT, nullable=False, server_default="[]"),
    _whole("not_before_us", optional=True),
    _text("scheduled", optional=True),
    Index(None, "spec_id"),
    Index(None, "array_id", "state"),
    Index(None, "array_id", "array_index"),
    CheckConstraint("state <> 'STOPPING' OR stop_why IS NOT NULL", name="stopping_says_why"),
    *(Index(None, column, "id") for column in ("tenant", "project", "user", "queue", "name", "state", "blob")),
)
Table(
    "roles",
    metadata,
    _id(),
    _of("job", "workloads"),
    _text("name"),
    _whole("replicas"),
    _flag("gang"),
    UniqueConstraint("job", "name"),
    CheckConstraint("replicas > 0", name="has_replicas"),
)
Table(
    "replicas",
    metadata,
    _id(),
    _of("role", "roles"),
    _of("job", "workloads"),
    _whole("rank"),
    UniqueConstraint("role", "rank"),
    Index(None, "job"),
    CheckConstraint("rank >= 0", name="counted_from_zero"),
)
Table(
    "attempts",
    metadata,
    _id(),
    _of("replica", "replicas"),
    _of("job", "workloads"),
    _whole("rank"),
    _whole("number"),
    _text("main_address"),
    _whole("main_port"),
    _text("outcome", optional=True),
    *_exit(),
    _text("message"),
    _whole("cpu_us", optional=True),
    _whole("memory_peak_bytes", optional=True),
    _text("saved", optional=True),
    UniqueConstraint("replica", "number"),
    Index(None, "job", "number"),
    Index(None, "outcome"),
)
leases = Table(
    "leases",
    metadata,
    _id(),
    _of("attempt", "attempts"),
    _of("job", "workloads"),
    _of("tenant", "tenants"),
    _of("project", "projects"),
    _text("queue"),
    _text("pool"),
    _text("flavor"),
    _text("node"),
    _text("resources"),
    _whole("opened_us"),
    _text("gpus"),
    _whole("started_us", optional=True),
    _whole("ended_us", optional=True),
    _whole("released_us", optional=True),
    _text("fault", optional=True),
    UniqueConstraint("attempt"),
    *(Index(None, column, "id") for column in ("job", "tenant", "project", "queue", "pool", "node")),
)
Index(
    "ix_leases_open",
    leases.c.id,
    sqlite_where=leases.c.released_us.is_(None),
    postgresql_where=leases.c.released_us.is_(None),
)
held_gpus = Table(
    "held_gpus",
    metadata,
    _id("node"),
    Column("gpu", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "lease",
        TEXT,
        ForeignKey("leases.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    Index(None, "lease"),
    comment="The GPUs of open leases: its key is why no device can be leased twice.",
)
Table(
    "fair_uses",
    metadata,
    _id("key"),
    _text("queue"),
    _text("user"),
    _text("amounts"),
    _whole("as_of_us"),
    Index(None, "queue"),
    comment="What a user held in a queue lately and lets go of: faded until as_of_us.",
)
Table("settings", metadata, _id("key"), _text("value"))
Table("cursors", metadata, _id("key"), _whole("seq"))
Table("receipts", metadata, _id("key"), _text("request_sha256"), _text("subject"), _whole("at_us"))
Table(
    "blobs",
    metadata,
    _id("key"),
    _of("project", "projects"),
    _text("blob"),
    _whole("bytes"),
    _whole("at_us"),
    Index(None, "project"),
    Index(None, "blob"),
)
events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _whole("at_us"),
    _text("type"),
    _text("noun"),
    _text("subject"),
    _text("actor"),
    _text("tenant"),
    _text("project"),
    _text("cause"),
    _text("facts"),
    *(Index(None, column, "seq") for column in ("noun", "type", "subject", "actor", "tenant", "project")),
)

TABLE_OF = {"jobs": "workloads"}


def table_of(noun: str) -> Table:
    """The table of a noun: of the same name, but for jobs, which are one kind of workload."""
    return metadata.tables[TABLE_OF.get(noun, noun)]
