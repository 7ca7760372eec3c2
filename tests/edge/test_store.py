"""The SQL store against real files, real servers and real deaths; its tables, migrations and backups."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, UniqueConstraint, text
from tests.postgres import fresh_database, postgres_server
from tests.samples import JOB, LEASE, put_all

from xingliu.adapters.sql import engines, schema
from xingliu.adapters.sql.backup import dump, load
from xingliu.adapters.sql.errors import BrokenBackup, StoreNotEmpty, StoreTooNew
from xingliu.adapters.sql.migrate import migrate
from xingliu.adapters.sql.store import open_store
from xingliu.adapters.sql.tables import REVISION, table_of
from xingliu.control.errors import StoreUnavailable
from xingliu.control.nouns import ID_PREFIX, NOUNS
from xingliu.kernel.errors import BadValue
from xingliu.workloads.model import JobSpec

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.engine)]


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return empty_url(request, request.param, tmp_path)


def empty_url(request: pytest.FixtureRequest, kind: str, folder: Path, name: str = "store.db") -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / name}"
    return fresh_database(request.getfixturevalue("postgres_url"))


def fill(url: str) -> None:
    store = open_store(url)
    store.seize("first")
    with store.write() as unit:
        put_all(unit)
    store.close()


# Deaths ---------------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from xingliu.adapters.sql.store import open_store
from xingliu.kernel.events import EventDraft
from xingliu.tenancy.model import Tenant
store = open_store(sys.argv[1])
store.seize("writer")
while True:
    number = store.version() + 1
    with store.write() as unit:
        unit.tenants.put(Tenant(f"{number:06}a", 1))
        unit.events.append(EventDraft("tenant.created", str(number), "xingliu", 1))
        unit.tenants.put(Tenant(f"{number:06}b", 1))
    print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_before_a_kill_is_there_whole(url: str, acknowledged: int) -> None:
    for _ in range(2):
        last = killed_writer(url, acknowledged)
        store = open_store(url)
        with store.read() as unit:
            tenants, events = len(unit.tenants.find()), len(unit.events.find())
        assert tenants == 2 * events
        assert store.version() == events
        assert last <= events <= last + 1
        store.close()


def killed_writer(url: str, acknowledged: int) -> int:
    """The last number that a writer had said was committed when it was killed, in the middle of whatever it then did."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(acknowledged)]
    os.kill(writer.pid, signal.SIGKILL)
    said += writer.stdout.readlines()
    writer.stdout.close()
    assert writer.wait(30) == -signal.SIGKILL
    return int([line for line in said if line.endswith("\n")][-1])


@pytest.mark.engine
def test_a_server_that_went_away_is_said_plainly_and_used_again_when_back(postgres_url: str) -> None:
    url = fresh_database(postgres_url)
    store = open_store(url)
    store.seize("first")
    with store.write() as unit:
        put_all(unit)
    other = engines.writer(engines.read_url(url))
    with other.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    other.dispose()
    with pytest.raises(StoreUnavailable), store.write() as unit:
        unit.cursors.delete("x")
    with store.write() as unit:
        unit.leases.delete(LEASE.id)
    with store.read() as unit:
        assert unit.leases.find() == []
        assert unit.jobs.find() == [JOB]
    store.close()


@pytest.mark.engine
def test_a_server_that_does_not_run_is_said_plainly() -> None:
    with postgres_server() as url:
        store = open_store(url)
        store.seize("first")
    with pytest.raises(StoreUnavailable), store.write() as unit:
        put_all(unit)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        open_store(url)
    store.close()


def test_a_place_where_no_store_can_be_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database, but long enough to be looked at" * 100)
    for where, sentence in {tmp_path / "none" / "store.db": "folder exist", tmp_path / "notes": "not a SQLite database"}.items():
        with pytest.raises(StoreUnavailable, match=sentence):
            open_store(f"sqlite:///{where}")


def test_a_full_disk_changes_nothing_and_is_said_plainly(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    script = f"""
import resource
from tests.samples import put_all
from xingliu.adapters.sql.store import open_store
from xingliu.control.errors import StoreUnavailable
from xingliu.tenancy.model import Tenant
store = open_store("sqlite:///{tmp_path / "store.db"}")
store.seize("first")
with store.write() as unit:
    put_all(unit)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, -1))
try:
    with store.write() as unit:
        unit.tenants.put(*(Tenant(f"{{number:0500}}", 1) for number in range(10_000)))
except StoreUnavailable as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
with store.write() as unit:
    unit.tenants.put(Tenant("later", 1))
with store.read() as unit:
    print(len(unit.tenants.find()), store.version())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    sentence, counts = done.stdout.splitlines()
    assert sentence.startswith("The store did not answer: the disk it is on")
    assert counts == "2 2"


# Tables ---------------------------------------------------------------------------------------------------------------


REFERENCE = re.compile(r",? CONSTRAINT fk_\w+( FOREIGN KEY\(\w+\))? REFERENCES \w+ \(\w+\) DEFERRABLE INITIALLY DEFERRED")
"""As a constraint of its own or with its column: SQLite can add the second only, and treats them alike."""
FOREIGN = re.compile(r"CONSTRAINT (fk_\w+) ")


def described(connection: Connection) -> list[tuple[Any, ...]]:
    """Every column, constraint and index as the database itself tells them."""
    if connection.dialect.name == "sqlite":
        told = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE name <> 'alembic_version' ORDER BY name")).all()
        written = [(name, " ".join((sql or "").split())) for name, sql in told if "alembic_version" not in name]
        named = [(name, sorted(map(tuple, connection.execute(text(f"PRAGMA foreign_key_list({name})"))))) for name, _ in written]
        return [(name, REFERENCE.sub("", sql), sorted(FOREIGN.findall(sql))) for name, sql in written] + [
            (name, sorted(row[2:] for row in rows)) for name, rows in named if rows
        ]
    questions = (
        "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    )
    rows = [tuple(row) for question in questions for row in connection.execute(text(question))]
    return sorted(row for row in rows if row[0] != "alembic_version")


@pytest.mark.parametrize("kind", BOTH)
def test_migrations_lead_to_the_declared_tables(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    told = []
    for name, prepare in (("declared", schema.create), ("migrated", lambda connection: migrate(connection, None))):
        engine = engines.writer(engines.read_url(empty_url(request, kind, tmp_path, name)))
        with engine.begin() as connection:
            prepare(connection)
        with engine.begin() as connection:
            told.append(described(connection))
            assert schema.found_revision(connection) == REVISION
            assert connection.execute(text("SELECT id, version, epoch, owner FROM world")).all() == [(1, 0, 0, "")]
        engine.dispose()
    declared, migrated = told
    assert len(declared) > 60
    assert declared == migrated


def test_a_migrated_store_works_as_any(url: str) -> None:
    engine = engines.writer(engines.read_url(url))
    with engine.begin() as connection:
        migrate(connection, None)
    engine.dispose()
    fill(url)


OLD_JOB = {
    "id": "j1", "tenant": "acme", "project": "acme/vision", "user": "ada", "queue": "default", "name": "train",
    "spec": '{"name":"train","run":"true"}', "spec_document": '{"run": "true", "name": "train"}', "state": "PENDING",
    "submitted_us": 9, "held": False, "attempt": 0, "running_us": 0, "restarts": "{}", "message": "", "generation": 0,
}  # fmt: skip


def test_files_of_jobs_move_out_of_their_rows_and_are_kept_once(url: str) -> None:
    engine = engines.writer(engines.read_url(url))
    with engine.begin() as connection:
        migrate(connection, None, "0003")
        found = MetaData()
        found.reflect(connection)
        for table, row in (
            ("tenants", {"id": "acme", "created_us": 1}),
            ("projects", {"id": "acme/vision", "tenant": "acme", "uid": 1, "created_us": 1}),
            ("users", {"id": "ada", "tenant": "acme", "bindings": "[]", "created_us": 1}),
        ):
            connection.execute(found.tables[table].insert(), row)
        other = '{"name":"train","run":"false"}'
        for number in range(1_001):
            job = {**OLD_JOB, "id": f"j{number:04}", "spec": other} if number % 500 == 0 else {**OLD_JOB, "id": f"j{number:04}"}
            connection.execute(found.tables["workloads"].insert(), job)
    engine.dispose()
    store = open_store(url)
    with store.read() as unit:
        jobs = unit.jobs.find()
        assert len(unit.specs.find()) == 2
    assert [job.id for job in jobs if job.spec.run == "false"] == ["j0000", "j0500", "j1000"]
    assert {job.kept.document["name"] for job in jobs} == {"train"} and len({id(job.kept) for job in jobs}) == 2
    assert jobs[1].spec == JobSpec("train", "true")
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    fill(url)
    engine = engines.writer(engines.read_url(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match="9999"):
        open_store(url)
    with engine.begin() as connection:
        assert schema.found_revision(connection) == "9999"
    engine.dispose()


@pytest.mark.parametrize("noun", NOUNS.values(), ids=list(NOUNS))
def test_tables_hold_the_rules_that_the_port_declares(noun: Any) -> None:
    table = table_of(noun.name)
    constraints = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    assert {tuple(column.name for column in each.columns) for each in constraints} == set(noun.unique)
    keys = [each for each in table.constraints if isinstance(each, ForeignKeyConstraint)]
    named = {each.columns[0].name: each.elements[0].column for each in keys}
    targets = {attribute: table_of(target).c[NOUNS[target].key] for attribute, target in noun.references.items()}
    assert named == targets
    assert all(each.deferrable and each.initially == "DEFERRED" for each in keys)


def test_whatever_can_be_searched_by_has_an_index() -> None:
    """But what is only asked for beside something else, which comes after that in an index. Keys have their own."""
    for noun in NOUNS.values():
        table = table_of(noun.name)
        first = {next(iter(index.columns)).name for index in table.indexes}
        first |= {next(iter(each.columns)).name for each in table.constraints if isinstance(each, UniqueConstraint)}
        partial = {"released_us"} if noun.name == "leases" else set()
        groups = [*table.indexes, *(each for each in table.constraints if isinstance(each, UniqueConstraint))]
        beside = {column.name for group in groups for column in list(group.columns)[1:]} & {"number", "array_index"}
        assert noun.searchable - {ID_PREFIX, noun.key} - beside - partial <= first, noun.name


def test_open_leases_are_found_by_an_index_of_their_own(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path / 'store.db'}")
    engine = engines.reader(engines.read_url(f"sqlite:///{tmp_path / 'store.db'}"))
    with engine.connect() as connection:
        plan = connection.execute(text("EXPLAIN QUERY PLAN SELECT * FROM leases WHERE released_us IS NULL ORDER BY id")).all()
    engine.dispose()
    assert "ix_leases_open" in str(plan)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.seize("first")
    with store.write() as unit:
        put_all(unit)
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    store.close()


def test_opening_a_store_that_is_up_to_date_imports_no_migrations(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path / 'store.db'}")
    script = (
        "import sys; from xingliu.adapters.sql.store import open_store;"
        f"open_store('sqlite:///{tmp_path / 'store.db'}').close();"
        "print([name for name in ('alembic', 'psycopg', 'sqlalchemy.orm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("bad", ["", "store.db", "mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:", "http://[", "x"])
def test_a_url_that_is_no_stores_is_refused_without_repeating_it(bad: str) -> None:
    with pytest.raises(BadValue) as refused:
        open_store(bad)
    assert "hunter2" not in str(refused.value) + refused.value.advice()


# Backups --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", BOTH)
@pytest.mark.parametrize("target", BOTH)
def test_a_backup_moves_between_databases(request: pytest.FixtureRequest, source: str, target: str, tmp_path: Path) -> None:
    old, new = empty_url(request, source, tmp_path, "old.db"), empty_url(request, target, tmp_path, "new.db")
    fill(old)
    lines = list(dump(old))
    assert load(new, lines) == len(lines) - 2
    assert list(dump(new)) == lines
    store = open_store(new)
    assert store.version() == 1
    store.seize("restored")
    with store.read() as unit:
        assert unit.jobs.find() == [JOB]
    store.close()


def test_a_backup_is_one_instant_while_others_write(url: str) -> None:
    fill(url)
    lines = dump(url)
    begun = [next(lines), next(lines)]
    store = open_store(url)
    store.seize("second")
    with store.write() as unit:
        unit.leases.delete(LEASE.id)
        unit.attempts.delete(LEASE.attempt)
    store.close()
    rows = [json.loads(line) for line in [*begun, *lines]][1:-1]
    assert [row["id"] for name, row in rows if name == "leases"] == [LEASE.id]
    assert [row["id"] for name, row in rows if name == "attempts"] == [LEASE.attempt]


def test_nothing_is_restored_over_a_store(url: str) -> None:
    fill(url)
    with pytest.raises(StoreNotEmpty):
        load(url, list(dump(url)))


def test_there_is_no_backup_of_nothing(url: str) -> None:
    with pytest.raises(StoreUnavailable):
        list(dump(url))


def test_a_row_written_before_a_field_was_thought_of_takes_its_default(url: str, tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path / 'source.db'}")
    field = rb",\"notify\":null"
    lines = list(dump(f"sqlite:///{tmp_path / 'source.db'}"))
    assert sum(field in line for line in lines) == 1
    load(url, [line.replace(field, b"") for line in lines])
    store = open_store(url)
    with store.read() as unit:
        assert unit.jobs.find() == [JOB]
    store.close()


def damaged(lines: list[bytes]) -> Iterator[list[bytes]]:
    yield []
    yield lines[1:]
    yield lines[:-1]
    yield [*lines, lines[-2]]
    yield [*lines[:5], *lines[6:]]
    yield [lines[0], b"rubbish\n"]
    yield [lines[0], b'["nowhere",{}]\n', *lines[1:]]
    yield [b'{"form":"something else"}\n', *lines[1:]]
    yield [*lines[:5], lines[5][:-9] + b"\n", *lines[6:]]


def test_a_damaged_backup_is_refused_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path / 'source.db'}")
    lines = list(dump(f"sqlite:///{tmp_path / 'source.db'}"))
    for broken in damaged(lines):
        with pytest.raises(BrokenBackup):
            load(url, broken)
    newer = [lines[0].replace(REVISION.encode(), b"9999"), *lines[1:]]
    with pytest.raises(StoreTooNew):
        load(url, newer)
    assert load(url, lines) == len(lines) - 2
