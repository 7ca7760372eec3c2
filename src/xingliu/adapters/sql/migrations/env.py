"""Alembic's entry: the connection, already inside a transaction, comes from `migrate`."""

from alembic import context

from xingliu.adapters.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
