"""Keys as data: one table says how a document's keys are read, written back, described and put into a JSON Schema.

A `Table` lists `Key`s; a `Shape` is what a key's value may look like. Every problem of a document is collected; the reader
of a part that has one raises `Bad`, which ends that part only.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xingliu.kernel.documents import Document
from xingliu.kernel.problems import PROBLEMS_MAX, InvalidDocument, Path, Problem, shorten, show_path, show_value


class Bad(Exception):
    """This part has a problem, which is noted already."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a document, where it is, and the list its problems join."""

    document: Document
    value: object
    path: Path
    problems: list[Problem]

    def at(self, step: str | int, value: object) -> "Entry":
        """A part of it."""
        return Entry(self.document, value, (*self.path, step), self.problems)

    def wrong(self, message: str, hint: str = "") -> Bad:
        """Note a problem with the value: `raise entry.wrong("2 is not ...")`."""
        key = show_path(self.path)
        self.note(f"{key}: {message}" if key else message, hint)
        return Bad()

    def not_a(self, what: str, hint: str = "") -> Bad:
        """Note that the value is something else than `what`."""
        return self.wrong(f"{show_value(self.value)} is not {what}", hint)

    def note(self, message: str, hint: str = "", *, step: str | None = None) -> None:
        """Note a problem with the value, or with its key `step`, and go on."""
        path = self.path if step is None else (*self.path, step)
        self.problems.append(self.document.problem(path, message, hint))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may look like.

    Attributes:
        read: the meaning of an entry's value; raises Bad.
        schema: the JSON Schema of what `read` takes.
        write: the document's form of a meaning, exact; the opposite of `read`.
        inner: the table of a value that has keys itself.
    """

    read: Callable[[Entry], object]
    schema: Mapping[str, object]
    write: Callable[[object], object] = lambda meaning: meaning
    inner: "Table | None" = None


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        doc: one line, for `--help` and the schema.
        into: the argument of the table's `make` it becomes, and the attribute it is written back from; "" is neither.
        unless: the key that stands for it: one of the two is required.
    """

    name: str
    shape: Shape
    doc: str
    into: str | None = None
    required: bool = False
    unless: str = ""

    @property
    def attribute(self) -> str:
        return self.name if self.into is None else self.into


@dataclass(frozen=True, slots=True)
class Table:
    """The keys one mapping may have.

    Attributes:
        make: builds the meaning from the arguments the keys name.
        check: looks at keys together, after each was read by itself; raises Bad.
        elsewhere: other systems' words, and words at the wrong place, to the key meant here.
        later: keys that will come, and are refused until then.
    """

    keys: tuple[Key, ...]
    make: Callable[..., object]
    check: Callable[[Entry, Mapping[str, object]], None] = lambda entry, read: None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    later: frozenset[str] = frozenset()

    def shape(self) -> Shape:
        """A value that is a mapping of these keys."""
        return Shape(lambda entry: read_table(self, entry), table_schema(self), lambda made: write_table(self, made), self)


def read_document(table: Table, document: Document) -> object:
    """What the whole document means. Raises InvalidDocument with every problem found."""
    problems: list[Problem] = []
    try:
        made = read_table(table, Entry(document, document.value, (), problems))
    except Bad:
        made = None
    refuse(document, problems)
    return made


def refuse(document: Document, problems: Sequence[Problem]) -> None:
    """Raise InvalidDocument where there are problems, with the first of them by line."""
    if problems:
        in_order = sorted(problems, key=lambda problem: problem.line or 0)
        raise InvalidDocument(document.source, tuple(in_order[:PROBLEMS_MAX]))


def read_table(table: Table, entry: Entry) -> object:
    """What a mapping means by this table. Raises Bad, with its problems noted."""
    if not isinstance(entry.value, Mapping):
        raise entry.not_a("a mapping of keys", f"It has the keys {_list_of(table)}.")
    before = len(entry.problems)
    keys = {key.name: key for key in table.keys}
    read: dict[str, object] = {}
    for name, value in entry.value.items():
        if name not in keys:
            _note_unknown(table, entry, name)
        else:
            _read_key(keys[name], entry.at(name, value), read)
    for key in table.keys:
        if key.required and entry.value.keys().isdisjoint((key.name, key.unless)):
            _note_missing(key, entry)
    if len(entry.problems) > before:
        raise Bad
    table.check(entry, read)
    return table.make(**{key.attribute: read[key.name] for key in table.keys if key.name in read and key.attribute})


def _read_key(key: Key, entry: Entry, read: dict[str, object]) -> None:
    try:
        if entry.value is None:
            raise entry.wrong("it has no value", "Give it one, or leave the key out.")
        read[key.name] = key.shape.read(entry)
    except Bad:
        return


def _note_missing(key: Key, entry: Entry) -> None:
    inside = f" in {show_path(entry.path)}" if entry.path else ""
    entry.note(f"there is no '{key.name}'{inside}", f"Add `{key.name}`: {key.doc}")


def _note_unknown(table: Table, entry: Entry, name: str) -> None:
    shown, inside = shorten(name), f" in {show_path(entry.path)}" if entry.path else ""
    if name in table.later:
        hint = "It belongs to a later version of Xingliu; leave it out for now."
        return entry.note(f"'{shown}'{inside} is not yet available", hint, step=name)
    if (ours := table.elsewhere.get(name.lower())) is not None:
        coming = ", which is not yet available" if ours in table.later else ""
        return entry.note(f"there is no key '{shown}'{inside}; it is '{ours}' here{coming}", step=name)
    known = [key.name for key in table.keys] if len(entry.problems) < PROBLEMS_MAX else []  # the search is not cheap
    close = difflib.get_close_matches(name[:100].lower().replace("-", "_"), known, n=1)
    if close:
        return entry.note(f"there is no key '{shown}'{inside}; did you mean '{close[0]}'?", step=name)
    margin = "; a key of the whole file starts at the left margin" if inside else ""
    return entry.note(f"there is no key '{shown}'{inside}", f"The keys here are {_list_of(table)}{margin}.", step=name)


def _list_of(table: Table) -> str:
    return ", ".join(key.name for key in table.keys)


def write_table(table: Table, made: object) -> dict[str, object]:
    """The document's form of a meaning; what equals the default of an optional key, or is None, is left out."""
    written: dict[str, object] = {}
    for key in table.keys:
        if not key.attribute:
            continue
        value = getattr(made, key.attribute)
        if (key.required and not key.unless) or (value is not None and value != _default(made, key.attribute)):
            written[key.name] = key.shape.write(value)
    return written


def _default(made: object, attribute: str) -> object:
    about = getattr(type(made), "__dataclass_fields__", {}).get(attribute)
    if about is None:
        return None
    return about.default_factory() if callable(about.default_factory) else about.default


def table_schema(table: Table) -> dict[str, object]:
    """The JSON Schema of a mapping with these keys."""
    either = [{"required": [name]} for key in table.keys if key.unless for name in (key.name, key.unless)]
    return {
        "type": "object",
        "properties": {key.name: {"description": key.doc, **key.shape.schema} for key in table.keys},
        "required": [key.name for key in table.keys if key.required and not key.unless],
        **({"anyOf": either} if either else {}),
        "additionalProperties": False,
    }


def describe(table: Table, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key with its one line, nested ones as `restart.max`, for help texts."""
    for key in table.keys:
        yield prefix + key.name, key.doc
        if key.shape.inner is not None:
            yield from describe(key.shape.inner, f"{prefix}{key.name}.")
