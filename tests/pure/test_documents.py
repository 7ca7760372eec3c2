"""Documents: what words mean, what is refused, and where."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xingliu.fleet.cloudfile import read_cloud
from xingliu.kernel.documents import DEPTH_MAX, DOCUMENT_BYTES_MAX, Document, parse
from xingliu.kernel.problems import InvalidDocument
from xingliu.workloads.spec import read_job

MEANINGS = {
    "true": True,
    "false": False,
    "True": "True",
    "yes": "yes",
    "on": "on",
    "null": None,
    "~": None,
    "": None,
    "7": 7,
    "-7": -7,
    "007": "007",
    "0o17": "0o17",
    "0x1f": "0x1f",
    "1_000": "1_000",
    "12:30:45": "12:30:45",
    "2026-11-21": "2026-11-21",
    "0.5": 0.5,
    "1.10": "1.10",
    "1e5": "1e5",
    ".inf": ".inf",
    ".nan": ".nan",
    "9" * 18: int("9" * 18),
    "9" * 19: "9" * 19,
    "9" * 5000: "9" * 5000,
    '"true"': "true",
    "'7'": "7",
    '"\\ud83d\\ude00"': "\U0001f600",
}


@pytest.mark.parametrize(("word", "meaning"), MEANINGS.items())
def test_a_word_means_what_yaml_12_says_and_no_digit_is_lost(word: str, meaning: object) -> None:
    value = parse(f"key: {word}", "a.yaml").value
    assert value == {"key": meaning}
    assert type(value["key"]) is type(meaning)  # type: ignore[index]


def test_the_key_on_stays_a_word() -> None:
    assert parse("on: [started]\n1: one\nnull: no\n", "a").value == {"on": ["started"], "1": "one", "null": "no"}


def test_json_is_read_too() -> None:
    assert parse('{"a": [1, 2.5, "x", null, true], "b": {"c": "\\/"}}', "a.json").value == {
        "a": [1, 2.5, "x", None, True],
        "b": {"c": "/"},
    }


REFUSED = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is there twice"),
    "an alias": ("a: &x 1\nb: *x\n", 1, "anchors"),
    "a bomb": ("a: &a [1]\nb: &b [*a, *a]\n", 1, "anchors"),
    "a tag that would run code": ("a: !!python/object/apply:os.system [ls]\n", 1, "tags"),
    "a tag": ("a: !!str 1\n", 1, "tags"),
    "an anchored key": ("a: 1\n&b b: 2\n", 2, "a key has to be a plain word"),
    "a list as a key": ("a: 1\n? [x]\n: 2\n", 2, "a key has to be a plain word"),
    "a second document": ("a: 1\n---\nb: 2\n", 2, "there is a second document"),
    "nothing": ("# only a comment\n", None, "it is empty"),
    "too deep": ("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), 1, "nested deeper"),
    "far too deep": ("[" * 100_000, 1, "nested deeper"),
    "too large": ("a: " + "x" * DOCUMENT_BYTES_MAX, None, "larger than 256 KiB"),
    "NUL": ('a: 1\nb: "\\0"\n', 2, "NUL"),
    "half a character": ('a: "\\ud800"\n', 1, "half of a character"),
    "half a character, unescaped": ("a: \ud800\n", None, "not YAML"),
    "beyond Unicode": ('a: "\\UFFFFFFFF"\n', None, "not YAML"),
    "bad indentation": ("a: 1\n b: 2\n", 2, "not YAML"),
    "a tab": ("a:\n\tb: 1\n", 2, "not YAML"),
}


@pytest.mark.parametrize(("text", "line", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_plain_data_is_refused_with_its_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse(text, "a.yaml")
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.line == line
    assert str(caught.value).startswith("a.yaml line" if line else "a.yaml:")


NOT_JSON = {
    "NaN": (float("nan"), "finite"),
    "infinity": ({"a": [float("inf")]}, "finite"),
    "a huge number": ({"a": 10**5000}, "too large"),
    "bytes": ({"a": b"x"}, "not a JSON type"),
    "a key that is no text": ({1: 2}, "key has to be text"),
    "NUL in a key": ({"a\0": 2}, "NUL"),
    "half a character": (["\udfff"], "half of a character"),
    "size": (["x" * DOCUMENT_BYTES_MAX], "larger"),
    "many small parts": ([0] * DOCUMENT_BYTES_MAX, "larger"),
}


@pytest.mark.parametrize(("value", "words"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_more_than_json_is_refused(value: object, words: str) -> None:
    with pytest.raises(InvalidDocument, match=words):
        Document.of(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidDocument, match="nested deeper"):
        Document.of(value)


def test_places_are_those_of_the_keys() -> None:
    document = parse("a: 1\nb:\n  c:\n    - x\n    - y\n", "a")
    assert document.place(("b", "c")) == (3, 3)
    assert document.place(("b", "c", 1)) == (5, 7)
    assert document.place(("b", "c", 1, "gone")) == (5, 7)
    assert Document.of({"a": 1}).place(("a",)) == (None, None)


# 10,000 malformed specs ------------------------------------------------------------------------------------------------

ODD = (
    float("nan"),
    float("inf"),
    -0.0,
    1e308,
    10**30,
    -(10**400),
    "\ud800",
    "a\0b",
    "1" * 5000,
    "",
    " ",
    None,
    True,
    "..",
    "[",
    "٣",
)
KEY_WORDS = """
    name run project queue nodes resources gpu cpu memory shm python workdir env secrets setup time_limit priority checkpoint path
    every signal grace restart on_events max notify url events version currency flavors price pools quota queues share topology
    interpreters default_queue emulated gpus_per_node core-hour gpu-hour overcommit flavor volumes num_nodes on
"""
VALUE_WORDS = """
    kind job cloud h100 n[1-2] a[5-1] b[1-999999999] 2.40/gpu-hour 36h 64GB H100:8 exit:3 SIGKILL /a/b ../x http://[ https://h:99999/
    XL_A RANK 0.5 96.. 1..2 EUR 9e99h 0.0000000001s
"""
MARKS = """
    { } [ ] , &a *a !!x | > ? % --- ... " ' \\u \\U # @ ` <<: - : kind:
"""
WORDS = (*KEY_WORDS.split(), *VALUE_WORDS.split())
PIECES = (
    *WORDS,
    *MARKS.split(),
    " ",
    "  ",
    "\n",
    "\n  ",
    "\t",
    ": ",
    "- ",
    "\ufeff",
    "\x85",
    f"%YAML 9{'9' * 5000}.1\n",
    "%TAG ! !\n",
)
LEAVES = st.one_of(st.sampled_from(WORDS), st.sampled_from(ODD), st.integers(), st.floats(), st.text(max_size=8))
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=6))
VALUES = st.recursive(
    LEAVES, lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(KEYS, part, max_size=4)), max_leaves=6
)
FILES = st.tuples(
    st.sampled_from(["job", "cloud", "service"]), st.dictionaries(st.sampled_from(KEY_WORDS.split()), VALUES, max_size=6)
).map(lambda made: {"kind": made[0], **made[1]})
SNIPPETS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
INPUTS = st.one_of(
    FILES,
    VALUES,
    SNIPPETS,
    st.text(max_size=60),
    st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape")),
)


def _read(value: object, reader: Callable[[Document], object]) -> None:
    document = parse(value, "a.yaml") if isinstance(value, str) else Document.of(value)
    reader(document)


@settings(max_examples=10_000)
@given(INPUTS)
def test_ten_thousand_malformed_documents_are_refused_or_read_and_nothing_else(value: object) -> None:
    for reader in (read_job, read_cloud):
        try:
            _read(value, reader)
        except InvalidDocument as error:
            assert error.problems
            assert str(error).isascii() or str(error).encode()
            error.advice().encode()
            assert all(problem.message and problem.facts() for problem in error.problems)
