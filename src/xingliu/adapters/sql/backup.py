"""The whole store as lines of JSON, the same for every database, so that a backup of one is restored into another.

The first line names the revision, then each line is a table's name and one row, and the last line counts the rows, so that
a backup that was cut short is known as such. Bytes are base64. Sealed secrets are in it; the key they need is not.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, MetaData, Row, Table, exc, insert, select

from xingliu.adapters.sql import engines
from xingliu.adapters.sql.errors import BrokenBackup, StoreNotEmpty, in_words, plain
from xingliu.adapters.sql.schema import be_alone, found_revision
from xingliu.adapters.sql.tables import REVISION, metadata, world
from xingliu.control.errors import StoreUnavailable

FORM = "xingliu store"
BATCH_ROWS = 500


def dump(url: str) -> Iterator[bytes]:
    """The store's lines, from one consistent read, also while a control plane writes, and also of an older revision.

    Raises BadValue, StoreUnavailable.
    """
    engine = engines.reader(engines.read_url(url))
    try:
        with in_words(), engine.connect() as connection:
            revision = found_revision(connection)
            if revision is None:
                raise StoreUnavailable("there is nothing to back up: it has no tables")
            yield _line({"form": FORM, "revision": revision})
            count = 0
            for table in _tables(connection, revision).sorted_tables:
                ordered = select(table).order_by(*table.primary_key.columns)
                for row in connection.execution_options(yield_per=BATCH_ROWS).execute(ordered):
                    yield _line([table.name, _packed(row)])
                    count += 1
            yield _line({"rows": count})
    finally:
        engine.dispose()


def load(url: str, lines: Iterable[bytes]) -> int:
    """Make a store of what `dump` gave, at this version's revision, and give the number of rows. All of it or nothing.

    Raises BadValue, StoreUnavailable, StoreNotEmpty, StoreTooNew, BrokenBackup.
    """
    # Alembic takes 0.2 s to import, and this module is imported wherever `xl` may be asked for a backup.
    from xingliu.adapters.sql.migrate import migrate  # noqa: PLC0415

    where = engines.read_url(url)
    with in_words():
        engines.create_file(where)
        engine = engines.writer(where)
        try:
            with engine.begin() as connection:
                be_alone(connection)
                if found_revision(connection) is not None:
                    raise StoreNotEmpty(where.render_as_string(hide_password=True))
                documents = _documents(lines)
                revision = _revision(next(documents, None))
                migrate(connection, None, revision)
                rows = _fill(connection, revision, documents)
                migrate(connection, revision)
                return rows
        except exc.IntegrityError as error:
            raise BrokenBackup(f"its rows do not belong together: {plain(error)}") from error
        finally:
            engine.dispose()


def _tables(connection: Connection, revision: str) -> MetaData:
    """The tables of that revision: as declared, or, of an older one, as found."""
    if revision == REVISION:
        return metadata
    found = MetaData()
    found.reflect(connection)
    found.remove(found.tables["alembic_version"])
    return found


def _fill(connection: Connection, revision: str, documents: Iterator[Any]) -> int:
    """Insert every row; references are checked at commit, so their order is free."""
    tables = _tables(connection, revision).tables
    connection.execute(world.delete())
    count = 0
    counted: list[Any] = []
    for name, group in groupby(documents, key=_table_named):
        if name is None:
            counted += map(_counted, group)
        elif name in tables and not counted:
            count += _insert(connection, tables[name], (_unpacked(row) for _, row in group))
        else:
            raise BrokenBackup(f"it has rows of {name} where there can be none")
    if counted != [count]:
        raise BrokenBackup("it does not end where it should")
    return count


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    while batch := list(islice(rows, BATCH_ROWS)):
        connection.execute(insert(table), batch)
        count += len(batch)
    return count


def _documents(lines: Iterable[bytes]) -> Iterator[Any]:
    try:
        for line in lines:
            yield json.loads(line)
    except ValueError as error:
        raise BrokenBackup("it is not lines of JSON") from error


def _revision(head: Any) -> str:
    if not isinstance(head, dict) or head.get("form") != FORM:
        raise BrokenBackup("it is not a backup of a xingliu store")
    return str(head.get("revision"))


def _table_named(document: Any) -> str | None:
    """The table a line belongs to; None for what is no row."""
    match document:
        case [str(name), dict()]:
            return name
        case _:
            return None


def _counted(document: Any) -> Any:
    return document.get("rows") if isinstance(document, dict) else None


def _line(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _packed(row: Row[Any]) -> dict[str, Any]:
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row._mapping.items()
    }


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    return {name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value for name, value in row.items()}
