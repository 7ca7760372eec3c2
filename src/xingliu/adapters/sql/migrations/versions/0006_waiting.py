"""Jobs may wait for others' ends and for an instant.

Stage: expand. Old code never reads the columns; what was there waits for nothing. Old code would start what waits: stop it
before jobs with `after` or `not_before` are submitted.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("workloads", sa.Column("after", TEXT, nullable=False, server_default="[]"))
    op.add_column("workloads", sa.Column("not_before_us", sa.BigInteger, nullable=True))
