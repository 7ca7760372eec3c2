"""Documents in YAML or JSON, read strictly, with the line and column of every key.

Plain words follow YAML 1.2's core rules, narrowed: only `true` and `false` are booleans (a key `on:` stays the text "on"),
only `null`, `~` and nothing are null, and a number is what JSON calls one. A number that would not come back as it was
written (`1.10`, `007`, `1e5`, more than 18 digits) stays text, so no digit of a version or a price is ever lost.

Nothing is run and nothing is built but JSON types. Tags, anchors and aliases, a key twice, a second document and whatever
is beyond the limits below are refused.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import yaml

from xingliu.kernel.problems import InvalidDocument, Path, Problem, shorten, show_path

DOCUMENT_BYTES_MAX = 256 * 1024
DEPTH_MAX = 20
WHOLE_MAX = 10**18
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?\Z")
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?\Z")
_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}

Place = tuple[int, int]


class _Refused(Exception):
    """The problem a document ends with."""

    def __init__(self, message: str, hint: str = "", *, path: Path = (), place: Place | None = None) -> None:
        super().__init__(message)
        line, column = place or (None, None)
        self.problem = Problem(line, column, show_path(path), message, hint)


@dataclass(frozen=True, slots=True)
class Document:
    """A value of JSON types (dict, list, str, int, finite float, bool, None) and where its parts stood.

    Attributes:
        source: what people call it, such as the file's name.
        places: line and column, from 1, by path; empty for a document that did not come as text.
    """

    value: object
    source: str
    places: Mapping[Path, Place] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, source: str = "the document") -> "Document":
        """A document that arrived as JSON types already, checked to be no more than those. Raises InvalidDocument."""
        try:
            return cls(_Copy().of(value, ()), source)
        except _Refused as refused:
            raise InvalidDocument(source, (refused.problem,)) from None

    def place(self, path: Path) -> tuple[int | None, int | None]:
        """Line and column of the part at `path`, else of the nearest part around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return None, None

    def problem(self, path: Path, message: str, hint: str = "") -> Problem:
        """A problem with the part at `path`."""
        line, column = self.place(path)
        return Problem(line, column, show_path(path), message, hint)


def parse(text: str, source: str) -> Document:
    """The document `text` holds, YAML or JSON. Raises InvalidDocument, and nothing else whatever the text is."""
    try:
        return _parse(text, source)
    except _Refused as refused:
        raise InvalidDocument(source, (refused.problem,)) from None
    except yaml.YAMLError as error:
        raise InvalidDocument(source, (_syntax(error),)) from None
    except (ValueError, OverflowError) as error:  # an escape beyond Unicode, a directive's endless number
        raise InvalidDocument(source, (Problem(None, None, "", f"this is not YAML: {shorten(str(error))}"),)) from None


def _parse(text: str, source: str) -> Document:
    if len(text) > DOCUMENT_BYTES_MAX or len(text.encode("utf-8", "surrogatepass")) > DOCUMENT_BYTES_MAX:
        raise _Refused(
            f"it is larger than {DOCUMENT_BYTES_MAX // 1024} KiB", "Keep data and long scripts in files of the workdir."
        )
    builder = _Builder(yaml.parse(text, Loader=yaml.SafeLoader))
    return Document(builder.document(), source, builder.places)


def _syntax(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Problem(
        line, column, "", f"this is not YAML: {shorten(str(what))}", "Look at the indentation, quotes and colons there."
    )


class _Builder:
    """Builds one value out of YAML's events."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self.places: dict[Path, Place] = {}

    def document(self) -> object:
        """The one document. Raises _Refused, YAMLError."""
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Refused("it is empty", "The smallest job: kind: job, name: hello, run: echo hello.")
        value = self._value(next(self._events), ())
        next(self._events)  # the document's end
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise _Refused("there is a second document", "Put each into a file of its own.", place=_place(more))
        return value

    def _value(self, event: yaml.Event, path: Path) -> object:
        place = _place(event)
        self.places.setdefault(path, place)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused("anchors (&) and aliases (*) are not read here", "Write the value out.", path=path, place=place)
        if getattr(event, "tag", None):
            raise _Refused("tags (!) are not read here", "Leave the tag out.", path=path, place=place)
        if isinstance(event, yaml.ScalarEvent):
            return _plain(event.value) if event.style is None else _clean(event.value, path, place)
        if len(path) >= DEPTH_MAX:
            raise _Refused(f"it is nested deeper than {DEPTH_MAX} levels", path=path[:3], place=place)
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)

    def _mapping(self, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = _place(event)
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise _Refused("a key has to be a plain word", path=path, place=place)
            key = _clean(event.value, path, place)
            if key in found:
                first = self.places[(*path, key)][0]
                hint = f"It stands on line {first} already; keep one of them."
                raise _Refused(f"the key '{shorten(key)}' is there twice", hint, path=(*path, key), place=place)
            self.places[(*path, key)] = place
            found[key] = self._value(next(self._events), (*path, key))
        return found

    def _list(self, path: Path) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found))))
        return found


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _plain(text: str) -> object:
    """What a word without quotes means."""
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.match(text)
    if number is None or len(text) > 20:
        return text
    if number.group(2) is None:
        return int(text) if abs(int(text)) < WHOLE_MAX and text != "-0" else text
    return float(text) if repr(float(text)) == text else text


def _clean(text: str, path: Path = (), place: Place | None = None) -> str:
    """The text with JSON's surrogate pairs joined. Raises _Refused for NUL and lone surrogates."""
    if "\0" in text:
        raise _Refused("it holds a NUL character", "Nothing that runs can be given one; leave it out.", path=path, place=place)
    try:
        return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise _Refused("it holds half of a character (a lone surrogate)", "Save it as UTF-8.", path=path, place=place) from None


def plain_number(value: object) -> Decimal | None:
    """A number, or text that is one in plain decimal digits; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(repr(value))
    if isinstance(value, str) and _DECIMAL.match(value):
        return Decimal(value)
    return None


class _Copy:
    """Copies a value of JSON types, within the limits."""

    def __init__(self) -> None:
        self._left_bytes = DOCUMENT_BYTES_MAX

    def of(self, value: object, path: Path) -> object:
        """Raises _Refused."""
        self._spend(1)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int | float):
            return _number(value, path)
        return self._nested(value, path)

    def _nested(self, value: object, path: Path) -> object:
        if len(path) >= DEPTH_MAX:
            raise _Refused(f"it is nested deeper than {DEPTH_MAX} levels", path=path[:3])
        if isinstance(value, Mapping):
            return {self._key(key, path): self.of(part, (*path, key)) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(part, (*path, number)) for number, part in enumerate(value)]
        raise _Refused(f"{type(value).__name__} is not a JSON type", path=path)

    def _key(self, key: object, path: Path) -> str:
        if not isinstance(key, str):
            raise _Refused("a key has to be text", path=path)
        return self._text(key, path)

    def _text(self, text: str, path: Path) -> str:
        self._spend(len(text))
        return _clean(text, path)

    def _spend(self, amount_bytes: int) -> None:
        self._left_bytes -= amount_bytes
        if self._left_bytes < 0:
            raise _Refused(f"it is larger than {DOCUMENT_BYTES_MAX // 1024} KiB")


def _number(value: int | float, path: Path) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise _Refused("it is not a finite number", path=path)
    if isinstance(value, int) and abs(value) >= WHOLE_MAX:
        raise _Refused("it is too large a number", path=path)
    return value
