"""Bringing a store to this version's tables: an empty one gets them, an older one is migrated, a newer one is refused."""

from sqlalchemy import Connection, column, func, insert, inspect, select, table, text

from xingliu.adapters.sql.tables import REVISION, metadata, world
from xingliu.control.errors import StoreUnavailable

_PREPARING = 7_810_413
_REVISIONS = table("alembic_version", column("version_num"))


def found_revision(connection: Connection) -> str | None:
    """The revision the store is at; None where it has no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(_REVISIONS.c.version_num)).scalar()


def prepare(connection: Connection) -> None:
    """Inside one transaction: all of it or nothing. Raises StoreTooNew, StoreUnavailable."""
    be_alone(connection)
    found = found_revision(connection)
    if found is None:
        create(connection)
    elif found != REVISION:
        # Alembic takes 0.2 s to import, and almost no start needs it.
        from xingliu.adapters.sql.migrate import migrate  # noqa: PLC0415

        migrate(connection, found)


def create(connection: Connection) -> None:
    """All tables at once, as the migrations would have made them."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(world), {"id": 1, "version": 0, "epoch": 0, "owner": ""})
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(insert(_REVISIONS), {"version_num": REVISION})


def be_alone(connection: Connection) -> None:
    """On PostgreSQL, wait for others that prepare this database; SQLite's transaction is alone anyway.

    Raises StoreUnavailable where the database cannot keep every text.
    """
    if connection.dialect.name == "postgresql":
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            raise StoreUnavailable(f"the database keeps text as {encoding}; create it with ENCODING 'UTF8'")
        connection.execute(select(func.pg_advisory_xact_lock(_PREPARING)))
