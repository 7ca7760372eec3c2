"""What users held in queues lately is on record, so that turns have a memory.

Stage: expand. Old code never reads the table; what it releases meanwhile is not remembered. Safe while both run.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "fair_uses",
        sa.Column("key", TEXT, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("queue", "user", "amounts")),
        sa.Column("as_of_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_fair_uses"),
        comment="What a user held in a queue lately and lets go of: faded until as_of_us.",
    )
    op.create_index("ix_fair_uses_queue", "fair_uses", ["queue"])
