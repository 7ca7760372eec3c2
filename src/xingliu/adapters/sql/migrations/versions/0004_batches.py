"""Job files are kept once however many jobs they are of; arrays.

Stage: expand and contract in one: a job's file moves from its row to `specs`. Code of revision 0003 cannot run on it.
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
JOBS = sa.table("workloads", *map(sa.column, ("id", "spec", "spec_document", "spec_id")))
BATCH_ROWS = 500


def _of(name: str, target: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, sa.ForeignKey(f"{target}.id", deferrable=True, initially="DEFERRED"), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute("SET LOCAL lock_timeout = '5s'")
    tables = sa.MetaData(naming_convention=NAMES)
    for there in ("tenants", "projects", "users"):
        sa.Table(there, tables, sa.Column("id", TEXT, primary_key=True))
    new = [
        specs := sa.Table("specs", tables, sa.Column("id", TEXT, primary_key=True), _text("document"), _text("spec")),
        sa.Table(
            "arrays",
            tables,
            sa.Column("id", TEXT, primary_key=True),
            *(_of(owner, f"{owner}s") for owner in ("tenant", "project", "user")),
            *map(_text, ("queue", "name", "indices")),
            sa.Column("size", sa.BigInteger, nullable=False),
            sa.Column("submitted_us", sa.BigInteger, nullable=False),
            sa.Column("max_parallel", sa.BigInteger, nullable=True),
            *(sa.Index(None, column, "id") for column in ("tenant", "project", "user", "queue", "name")),
        ),
    ]
    tables.create_all(op.get_bind(), tables=new, checkfirst=False)
    _refer("spec_id", "specs")
    _refer("array_id", "arrays")
    op.add_column("workloads", sa.Column("array_index", sa.BigInteger, nullable=True))
    op.add_column("workloads", sa.Column("array", TEXT, nullable=True))
    op.create_index("ix_workloads_spec_id", "workloads", ["spec_id"])
    op.create_index("ix_workloads_array_id_state", "workloads", ["array_id", "state"])
    op.create_index("ix_workloads_array_id_array_index", "workloads", ["array_id", "array_index"])
    _move(op.get_bind(), specs)
    if postgresql:
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or rows that still wait for their check keep columns from being dropped
    op.drop_column("workloads", "spec")
    op.drop_column("workloads", "spec_document")


def _refer(column: str, target: str) -> None:
    """A column that names a row of `target`, which SQLite can add in one statement only."""
    collation = ' COLLATE "C"' if op.get_bind().dialect.name == "postgresql" else ""
    reference = f"CONSTRAINT fk_workloads_{column} REFERENCES {target} (id) DEFERRABLE INITIALLY DEFERRED"
    op.execute(f"ALTER TABLE workloads ADD COLUMN {column} TEXT{collation} {reference}")


def _move(connection: sa.Connection, specs: sa.Table) -> None:
    """Each job's file into `specs`, once for each content."""
    known: set[str] = set()
    after = ""
    page = sa.select(JOBS.c.id, JOBS.c.spec, JOBS.c.spec_document).order_by(JOBS.c.id).limit(BATCH_ROWS)
    while rows := connection.execute(page.where(JOBS.c.id > after)).all():
        names = {row.id: _named(row.spec_document, row.spec) for row in rows}
        new = {names[row.id]: row for row in rows if names[row.id] not in known}
        if new:
            files = [{"id": name, "document": row.spec_document, "spec": row.spec} for name, row in new.items()]
            connection.execute(specs.insert(), files)
        known |= new.keys()
        moved = sa.update(JOBS).where(JOBS.c.id == sa.bindparam("job")).values(spec_id=sa.bindparam("file"))
        connection.execute(moved, [{"job": job, "file": name} for job, name in names.items()])
        after = rows[-1].id


def _named(document: str, spec: str) -> str:
    """The SHA-256 of a file, its keys in order, and of its meaning as it was written."""
    written = json.dumps(json.loads(document), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{written}\n{spec}".encode()).hexdigest()
