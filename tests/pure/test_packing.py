"""Which files go along with a job."""

import pytest

from xingliu.workloads.packing import BadIgnoreRule, IgnoreRules, read_rules, select

CASES = {
    "what every folder leaves behind": (
        "",
        ["train.py", ".git/config", "a/__pycache__/x.pyc", ".venv/bin/python", "node_modules/x/y.js", "pkg.pyc", ".gitignore"],
        [".gitignore", "train.py"],
    ),
    "a folder": ("data/\n", ["data/a", "data/b/c", "src/data/d", "datafile"], ["datafile"]),
    "a folder at the top only": ("/data/\n", ["data/a", "src/data/d"], ["src/data/d"]),
    "an ending, and one taken back": ("*.bin\n!keep.bin\n", ["a.bin", "x/keep.bin", "b.py"], ["b.py", "x/keep.bin"]),
    "the last that matches decides": ("!a.txt\na.txt\n", ["a.txt"], []),
    "a folder every job leaves behind, taken back": ("!venv/\n", ["venv/a"], ["venv/a"]),
    "nothing comes back out of an ignored folder": ("out/\n!out/keep\n", ["out/keep"], []),
    "two stars": ("logs/**/*.txt\n", ["logs/a/b/c.txt", "logs/a.txt", "logs/a.md"], ["logs/a.md"]),
    "comments and blanks": ("# data\n\n", ["data"], ["data"]),
}


@pytest.mark.parametrize(("rules", "paths", "kept"), CASES.values(), ids=CASES)
def test_the_rules_are_gits(rules: str, paths: list[str], kept: list[str]) -> None:
    assert select(paths, read_rules(rules)) == kept


def test_what_goes_along_is_sorted_whatever_the_order_it_was_found_in() -> None:
    assert select(["b", "a/c", "a-b", "a"], IgnoreRules()) == ["a", "a-b", "a/c", "b"]


def test_a_line_that_is_no_pattern_is_named() -> None:
    with pytest.raises(BadIgnoreRule, match=r"Line 2 of \.xlignore"):
        read_rules("data/\n!\n")
