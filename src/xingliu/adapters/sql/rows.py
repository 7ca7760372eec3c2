"""How each noun's values become rows and come back, and the statements for it, made once for each database kind."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, get_type_hints

from sqlalchemy import ARRAY, Column, ColumnElement, Select, Table, and_, any_, bindparam, delete, func, or_, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Delete

from xingliu.adapters.sql.questions import Page
from xingliu.adapters.sql.tables import events, table_of
from xingliu.control.nouns import EVENT_SEARCHABLE, ID_PREFIX, NOUNS, Noun
from xingliu.kernel.coding import coding, is_scalar, of_text, to_text
from xingliu.kernel.events import Event

Values = dict[str, Any]


class Shape:
    """One table's rows as values of one type.

    Attributes:
        columns: in the order of the type's fields, so that a row is its arguments.
        held: the places among them of ids whose values, of another noun, a value holds whole.
    """

    def __init__(
        self,
        dialect: str,
        table: Table,
        kind: type,
        key: str,
        searchable: frozenset[str],
        *,
        holds: Mapping[str, str] | None = None,
        references: Mapping[str, str] | None = None,
        fixed: frozenset[str] = frozenset(),
    ) -> None:
        self.kind, self.key, self.searchable, self.table = kind, key, searchable, table
        self._dialect = dialect
        hints = get_type_hints(kind)
        stored_as, of = holds or {}, references or {}
        self.held = {place: of[stored_as[each.name]] for place, each in enumerate(fields(kind)) if each.name in stored_as}
        names = [stored_as.get(each.name, each.name) for each in fields(kind)]
        self.columns = [table.c[name] for name in names]
        self._encoders: list[tuple[str, Callable[[Any], Any] | None]] = []
        self._decoders: list[tuple[int, Callable[[Any], Any]]] = []
        for position, name in enumerate(names):
            if position in self.held:
                self._encoders.append((name, None))
                continue
            hint = hints[name]
            code = coding(hint)
            scalar = is_scalar(hint)
            self._encoders.append((name, code.encode if scalar else to_text(hint)))
            decode = code.decode if scalar else of_text(hint)
            if decode is not None:
                self._decoders.append((position, decode))
        self._encoders += [(name, None) for name in table.c.keys() if name not in names]  # noqa: SIM118 (not a dict)
        self.upsert = self._upsert({key, *fixed})
        self.select_one = select(*self.columns).where(table.c[key] == bindparam("key"))
        self.delete_one: Delete = delete(table).where(table.c[key] == bindparam("key"))
        self.page = lru_cache(maxsize=256)(self._page)
        self.counts = lru_cache(maxsize=64)(self._counts)

    def row(self, value: Any) -> Values:
        """The value as named columns, those that are only for searching (`jobs.name`) included."""
        row = {}
        for name, encode in self._encoders:
            item = getattr(value, name)
            row[name] = item if encode is None else encode(item)
        return row

    def value(self, row: Sequence[Any], whole: Mapping[str, Any]) -> Any:
        """The value of a row in the order of `columns`; `whole` has the values it holds, by id."""
        arguments = list(row)
        for position in self.held:
            arguments[position] = whole[arguments[position]]
        for position, decode in self._decoders:
            arguments[position] = decode(arguments[position])
        return self.kind(*arguments)

    def _upsert(self, fixed: Collection[str]) -> Any:
        """SQLite writes the index of every column that an update names, whether it changed or not."""
        statement = self._insert()
        rest = {column.name: statement.excluded[column.name] for column in self.table.c if column.name not in fixed}
        if not rest:
            return statement.on_conflict_do_nothing(index_elements=[self.key])
        return statement.on_conflict_do_update(index_elements=[self.key], set_=rest)

    def _insert(self) -> Any:
        if self._dialect == "postgresql":
            # Its dialect takes 40 ms to import, which a store on SQLite need not wait for.
            from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415

            return insert(self.table)
        return sqlite.insert(self.table)

    def _counts(self, by: str, page: Page) -> Select[Any]:
        column = self.table.c[by]
        counted = select(column, func.count()).group_by(column)
        return counted.where(*(self._condition(name, how) for name, how in page.conditions))

    def counted(self, by: str, rows: Iterable[Sequence[Any]]) -> dict[object, int]:
        """The values of the attribute `by`, each with its count."""
        hint = get_type_hints(self.kind).get(by)
        decode = coding(hint).decode if hint is not None and is_scalar(hint) else None
        return {value if decode is None else decode(value): count for value, count in rows}

    def _page(self, page: Page) -> Select[Any]:
        key = self.table.c[self.key]
        statement = select(*self.columns).order_by(key.desc() if page.newest_first else key)
        for name, how in page.conditions:
            statement = statement.where(self._condition(name, how))
        if page.above:
            statement = statement.where(key > bindparam("above"))
        if page.below:
            statement = statement.where(key < bindparam("below"))
        return statement.limit(bindparam("limit")) if page.limit else statement

    def _condition(self, name: str, how: str) -> ColumnElement[bool]:
        if name == ID_PREFIX:
            key = self.table.c[self.key]
            return and_(key >= bindparam(f"w_{name}"), key < bindparam(f"w_{name}_end"))
        column = self.table.c[name]
        if how == "none":
            return column.is_(None)
        if how == "is":
            return column == bindparam(f"w_{name}")
        among = self._among(column, f"w_{name}")
        return or_(among, column.is_(None)) if how == "in-or-none" else among

    def _among(self, column: Column[Any], name: str) -> ColumnElement[bool]:
        """One statement however many values there are: they travel as one array."""
        if self._dialect == "postgresql":
            return column == any_(bindparam(name, type_=ARRAY(column.type)))
        return column.in_(select(func.json_each(bindparam(name)).table_valued("value").c.value))


def shapes(dialect: str) -> dict[str, Shape]:
    """Every noun's shape, and that of events under `events`."""
    made = {noun.name: _shape(dialect, noun) for noun in NOUNS.values()}
    made["events"] = Shape(dialect, events, Event, "seq", EVENT_SEARCHABLE)
    return made


def _shape(dialect: str, noun: Noun) -> Shape:
    return Shape(
        dialect,
        table_of(noun.name),
        noun.type,
        noun.key,
        noun.searchable,
        holds=noun.holds,
        references=noun.references,
        fixed=noun.fixed,
    )
