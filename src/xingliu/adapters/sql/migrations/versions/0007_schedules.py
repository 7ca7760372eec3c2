"""Schedules, and which of them submitted a job.

Stage: expand. Old code reads neither; while it runs nothing is submitted by schedules. Safe while both run.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0007", "0006"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def _of(name: str, target: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, sa.ForeignKey(f"{target}.id", deferrable=True, initially="DEFERRED"), nullable=False)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
    tables = sa.MetaData(naming_convention=NAMES)
    for there in ("tenants", "projects", "users", "specs"):
        sa.Table(there, tables, sa.Column("id", TEXT, primary_key=True))
    schedules = sa.Table(
        "schedules",
        tables,
        sa.Column("id", TEXT, primary_key=True),
        *(_of(owner, f"{owner}s") for owner in ("tenant", "project", "user")),
        *(sa.Column(name, TEXT, nullable=False) for name in ("name", "timetable")),
        _of("spec_id", "specs"),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=True),
        sa.Column("blob", TEXT, nullable=True),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=True),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("submitted", sa.BigInteger, nullable=False),
        sa.Column("unfinished", TEXT, nullable=False),
        sa.UniqueConstraint("project", "name"),
        *(sa.Index(None, column, "id") for column in ("tenant", "user", "name", "spec_id")),
    )
    tables.create_all(op.get_bind(), tables=[schedules], checkfirst=False)
    op.add_column("workloads", sa.Column("scheduled", TEXT, nullable=True))
