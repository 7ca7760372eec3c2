"""Alembic, forward only, on a connection that is already inside a transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from xingliu.adapters.sql.errors import StoreTooNew
from xingliu.adapters.sql.tables import REVISION

FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: Connection, found: str | None, to: str = REVISION) -> None:
    """Take the store from revision `found` (None: empty) to revision `to`. Raises StoreTooNew."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in (found, to):
        if revision is not None and revision not in known:
            raise StoreTooNew(revision, REVISION)
    command.upgrade(config, to)
