"""Tables in text, read cell by cell: what is wrong is told with its line and column, many problems at once."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.problems import InvalidDocument, Problem, show_value

PROBLEMS_MAX = 20
_LONGEST_S = 10**11


class BadCell(Exception):
    """A cell that does not hold what its column should."""

    def __init__(self, column: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.column, self.hint = column, hint


@dataclass(frozen=True, slots=True)
class Row:
    """One line. Its readers raise BadCell, which `Table.rows` turns into problems with their places."""

    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Without blanks around it; empty where the column is absent."""
        return self.cells.get(column, "").strip()

    def whole(self, column: str) -> int:
        """A whole number, zero or more."""
        number = self._number(column)
        if number != number.to_integral_value():
            raise BadCell(column, f"{show_value(self.text(column))} is not a whole number")
        return int(number)

    def seconds_us(self, column: str) -> int:
        """Seconds, with or without a fraction, as microseconds."""
        return int(self._number(column) * SECOND_US)

    def instant_us(self, column: str) -> int:
        """A date and time, in UTC unless it names another zone, as microseconds since 1970."""
        return read_instant_us(self.text(column), column)

    def _number(self, column: str) -> Decimal:
        text = self.text(column)
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or not 0 <= number <= _LONGEST_S:
            what = show_value(text) if text else "nothing"
            raise BadCell(column, f"{what} is not a number from 0 up", "Is the file cut off, or a column shifted?")
        return number


def read_instant_us(text: str, column: str) -> int:
    """`2017-09-04 10:30:41` as microseconds since 1970, in UTC unless it names another zone. Raises BadCell."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadCell(
            column, f"{show_value(text)} is not a date and time", "Such as 2017-09-04 10:30:41, or 2017-09-04T10:30:41."
        ) from None
    dated = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(dated.timestamp()) * SECOND_US + dated.microsecond


class Table:
    """Text of one header line and rows under it, cells parted by `|` where the header has one, else by commas."""

    def __init__(self, source: str, lines: Iterable[str]) -> None:
        self.source = source
        self._lines = iter(lines)
        header = next(self._lines, "").lstrip("\ufeff")
        self.piped = "|" in header
        self.columns = tuple(cell.strip() for cell in next(self._split([header]), []))

    def rows(self, problems: list[Problem]) -> Iterator["Placed"]:
        """Each row with its line, from 2. A row of another width is a problem."""
        line = 1
        reader = self._split(self._counted())
        for cells in reader:
            line = 1 + reader.line_num
            if not any(cells):
                continue
            if len(cells) != len(self.columns):
                message = f"it has {len(cells)} cells, and the header has {len(self.columns)}"
                self._note(problems, Problem(line, None, "", message, "Is the line cut off, or a separator inside a cell?"))
                continue
            yield Placed(self, line, Row(dict(zip(self.columns, cells, strict=True))), problems)

    def _counted(self) -> Iterator[str]:
        return (line.replace("\0", "") for line in self._lines)

    def _split(self, lines: Iterable[str]) -> Any:
        if self.piped:
            return csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
        return csv.reader(lines)

    def note(self, problems: list[Problem], line: int, bad: BadCell) -> None:
        column = self.columns.index(bad.column) + 1 if bad.column in self.columns else None
        message = f"column {column or '?'}, {bad.column}: {bad}"
        self._note(problems, Problem(line, column, bad.column, message, bad.hint))

    def _note(self, problems: list[Problem], problem: Problem) -> None:
        """Raises InvalidDocument once there are too many to go on."""
        problems.append(problem)
        if len(problems) >= PROBLEMS_MAX:
            raise InvalidDocument(self.source, tuple(problems))


@dataclass(frozen=True, slots=True)
class Placed:
    """A row that knows where it stands; as a context it notes a bad cell and goes on with the next row."""

    table: Table
    line: int
    row: Row
    problems: list[Problem]

    def __enter__(self) -> Row:
        return self.row

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, BadCell):
            return False
        self.table.note(self.problems, self.line, error)
        return True


def missing(columns: Sequence[str], needed: Iterable[str]) -> list[str]:
    """Those of `needed` that are not among `columns`."""
    return [column for column in needed if column not in columns]
