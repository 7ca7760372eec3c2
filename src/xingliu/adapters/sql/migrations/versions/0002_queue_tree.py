"""Queues are a tree that lends and borrows; jobs are stopped for others, and replicas are seen to save their state.

Stage: expand. Old code never reads the columns; every queue there is stays one under the root that borrows without bound,
which only preemptible work could do, and there is none. No job is stopped for another yet. Safe while both run.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("workloads", sa.Column("stopped_for", TEXT, nullable=True))
    op.add_column("workloads", sa.Column("claim", TEXT, nullable=True))
    op.add_column("attempts", sa.Column("saved", TEXT, nullable=True))
    for name in ("parent", "borrow_limit", "lend_limit", "user_limit", "project_limit"):
        op.add_column("queues", sa.Column(name, TEXT, nullable=True))
    op.add_column("queues", sa.Column("weight", sa.BigInteger, nullable=False, server_default="1"))
    op.add_column("queues", sa.Column("min_runtime_us", sa.BigInteger, nullable=False, server_default="0"))
