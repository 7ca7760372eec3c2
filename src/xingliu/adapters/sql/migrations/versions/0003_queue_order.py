"""A queue may have an order of its own for its jobs.

Stage: expand. Old code never reads the column; NULL is the order of the queue above it, and fair where none says one, which
is what there was. Safe while both run.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("queues", sa.Column("order", TEXT, nullable=True))
