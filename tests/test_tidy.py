"""What no linter knows about this house."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "xingliu"
FILES = sorted(path for path in SRC.rglob("*.py"))
PURE = {"kernel", "workloads", "fleet", "tenancy", "metering", "drawing", "scheduling", "training", "forecast"}
EXACT = PURE | {"control"}
JUNK = {"utils", "util", "common", "helpers", "helper", "base", "misc", "manager", "managers", "stuff"}
UNITS = ("_us", "_minor", "_milli", "_bytes", "nano_per_hour")
FUNCTION_LINES = 60
FILE_LINES_WARN, FILE_LINES = 400, 600


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def nodes(rooms: set[str]) -> Iterator[tuple[str, ast.AST]]:
    for path in FILES:
        if room(path) in rooms:
            for node in ast.walk(ast.parse(path.read_text())):
                yield f"{path.relative_to(SRC)}:{getattr(node, 'lineno', 0)}", node


def name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_pure_rooms_take_time_as_a_parameter_and_touch_no_file() -> None:
    clocks, dates, hands = {"now", "utcnow", "today"}, {"datetime", "date"}, {"open", "print", "input", "exec", "eval"}
    found = [
        f"{where} calls {name(node.func)}"
        for where, node in nodes(PURE)
        if isinstance(node, ast.Call)
        if (isinstance(node.func, ast.Attribute) and name(node.func) in clocks and name(node.func.value) in dates)
        or (isinstance(node.func, ast.Name) and node.func.id in hands)
    ]
    assert not found


def test_no_float_comes_near_money_or_time() -> None:
    """`/` on a quantity in whole units makes a float; `//` and Fraction do not."""
    found = [
        f"{where} divides a quantity"
        for where, node in nodes(EXACT)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if any(name(side).endswith(UNITS) for side in (node.left, node.right))
    ]
    found += [
        f"{where} has a float"
        for where, node in nodes({"kernel", "metering"})
        if not where.startswith("kernel/documents")
        if isinstance(getattr(node, "value", None), float) or name(node) == "float"
    ]
    assert not found


def test_no_file_is_named_for_nothing() -> None:
    assert not [path for path in FILES if path.stem in JUNK or path.parent.name in JUNK]


def test_files_and_functions_can_be_read_in_one_go(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = {path.relative_to(SRC): path.read_text().count("\n") for path in FILES}
    with capsys.disabled():
        for path, lines in lengths.items():
            if lines > FILE_LINES_WARN:
                print(f"\nlong file: {path} has {lines} lines")
    assert not {path: lines for path, lines in lengths.items() if lines > FILE_LINES}
    functions = [
        f"{where} {node.name}"
        for where, node in nodes({room(path) for path in FILES})
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]
    assert not functions


def test_every_room_says_in_thirty_lines_what_it_is() -> None:
    rooms = [path.parent for path in SRC.glob("*/__init__.py")]
    readmes = {path.name: path / "README.md" for path in rooms}
    assert not [name for name, readme in readmes.items() if not readme.exists()]
    assert not [name for name, readme in readmes.items() if readme.read_text().count("\n") > 30]


def test_a_bench_of_schedules_has_no_event_loop_of_its_own() -> None:
    """`forecast` moves time on, and `decide` places; what reads files and prints a table does neither."""
    for path in (SRC.parents[1] / "bench" / name for name in ("papers.py", "muri.py")):
        tree = list(ast.walk(ast.parse(path.read_text())))
        assert not [node.lineno for node in tree if isinstance(node, ast.While)]
        assert "heapq" not in {name.name for node in tree if isinstance(node, ast.Import) for name in node.names}


def test_every_package_that_is_pinned_says_what_it_is_for() -> None:
    project = tomllib.loads((SRC.parents[1] / "pyproject.toml").read_text())["project"]
    pinned = [text.partition("==") for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]
    said = (SRC.parents[1] / "docs" / "decisions" / "dependencies.md").read_text()
    assert not [name for name, _, version in pinned if not version or name not in said]
