"""`./dev soak [PART] [--minutes N]`: the long versions of the tests. Each part runs in rounds of new seeds and can go on later.

A round that passed is written down in `.soak/`, so the next call begins at the seeds after it. A round that fails prints
its seeds and what to run to see it again, and is not written down.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".soak"
PYTEST = Path(sys.executable).with_name("pytest")
SOAK = {"XL_PROFILE": "soak"}
LAWS = tuple(str(path) for path in sorted(ROOT.glob("tests/pure/test_*_laws.py")))
PROPERTIES = tuple(str(path) for path in sorted(ROOT.glob("tests/pure/test_*.py")) if str(path) not in LAWS)
END_WITHIN_S = 60


@dataclass(frozen=True)
class Part:
    """One kind of long test.

    Attributes:
        tests: what pytest is given.
        seeds: how many one round tries; a round that passed is not run again.
        rounds: how many a call without `--minutes` runs.
        count: the environment variable that takes this number, if the tests count by themselves.
    """

    what: str
    tests: tuple[str, ...]
    seeds: int = 1
    rounds: int = 1
    count: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


PARTS: Mapping[str, Part] = {
    "sim": Part("the simulated cloud with faults", ("tests/sim",), seeds=500, rounds=4, count="XL_SEEDS"),
    "kills": Part("SIGKILL of the control plane, shims, ranks", ("tests/edge/test_kills.py",), 10, 5, "XL_KILLS"),
    "preemption-kills": Part("the same while jobs make room", ("tests/edge/test_preemption_kills.py",), 5, 3, "XL_KILLS"),
    "laws": Part("the laws of the scheduler, 20,000 examples each", LAWS, env=SOAK),
    "training": Part("a DDP rank killed at random moments", ("tests/edge/test_ddp.py",), 5, 2, "XL_KILLS"),
    "properties": Part("every other property, 20,000 examples each", PROPERTIES, env=SOAK),
    "specs": Part(
        "malformed job and cloud files", ("tests/pure/test_documents.py", "tests/pure/test_spec.py"), rounds=3, env=SOAK
    ),
    "ports": Part("the contracts of stores and launchers", ("tests/contract",), env=SOAK),
    "api-fuzz": Part("the API under malformed requests", ("tests/edge/test_api_fuzz.py",), rounds=2, env=SOAK),
    "logs-flood": Part("a gigabyte of output", ("tests/edge/test_misbehaviour.py", "-k", "flood"), env={"XL_FLOOD_MB": "1000"}),
}


@dataclass
class Sum:
    """What a part has done in this call."""

    rounds: int = 0
    first: int = 0
    last: int = 0
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass
class Round:
    """One run of pytest over one range of seeds."""

    part: str
    first: int

    @property
    def last(self) -> int:
        return self.first + PARTS[self.part].seeds - 1

    @property
    def changes(self) -> dict[str, str]:
        """What the environment has beside the usual."""
        part = PARTS[self.part]
        counted = {part.count: str(part.seeds)} if part.count else {}
        return {**part.env, **counted, "XL_SEED": str(self.first)}

    def command(self) -> list[str]:
        seed = [] if PARTS[self.part].count else [f"--hypothesis-seed={self.first}"]
        return [str(PYTEST), "-q", "-x", f"--junitxml={self._report}", *seed, *PARTS[self.part].tests]

    @property
    def _report(self) -> Path:
        return KEPT / f"{self.part}.xml"

    def run(self) -> tuple[int, int]:
        """(passed, failed)."""
        KEPT.mkdir(exist_ok=True)
        self._report.unlink(missing_ok=True)
        process = subprocess.Popen(self.command(), cwd=ROOT, env={**os.environ, **self.changes}, process_group=0)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_WITHIN_S)
            raise
        passed, failed = self._counts()
        return passed, max(failed, int(status != 0))

    def _counts(self) -> tuple[int, int]:
        passed = failed = 0
        with contextlib.suppress(OSError, ElementTree.ParseError):
            for suite in ElementTree.parse(self._report).iter("testsuite"):
                bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                passed += int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) - bad
                failed += bad
        return passed, failed

    def again(self) -> str:
        """What a person types to see it again."""
        words = self.command()
        shown = [word for word in words[1:] if not word.startswith("--junitxml")]
        return " ".join([*(f"{name}={value}" for name, value in self.changes.items()), ".venv/bin/pytest", *shown])


class Progress:
    """The seed each part goes on from."""

    def __init__(self) -> None:
        self._file = KEPT / "progress.json"

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._file.read_text()))
        return {}

    def next_seed(self, part: str) -> int:
        return int(self._read().get(part, 1))

    def passed(self, round_: Round) -> None:
        KEPT.mkdir(exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({**self._read(), round_.part: round_.last + 1}, indent=1))
        new.replace(self._file)


def soak(name: str, until: float | None, progress: Progress, sums: dict[str, Sum]) -> None:
    """Rounds of one part until one fails, its time is over (one round at least), or, without a time, its number is full."""
    total = sums.setdefault(name, Sum(first=progress.next_seed(name)))

    def full() -> bool:
        return total.rounds >= PARTS[name].rounds if until is None else total.rounds > 0 and time.monotonic() >= until

    while not total.failed and not full():
        round_ = Round(name, progress.next_seed(name))
        print(f"-- {name}: {PARTS[name].what}, seeds {round_.first} to {round_.last} ...", flush=True)
        began = time.monotonic()
        passed, failed = round_.run()
        total.rounds, total.last = total.rounds + 1, round_.last
        total.passed, total.failed = total.passed + passed, total.failed + failed
        total.seconds += time.monotonic() - began
        if failed:
            print(f"-- {name} FAILED. To see it again:\n   {round_.again()}", flush=True)
        else:
            progress.passed(round_)


def report(sums: Mapping[str, Sum]) -> int:
    """The table at the end; the exit status."""
    print(f"\n{'part':<16} {'rounds':>6} {'seeds':>16} {'passed':>8} {'failed':>7} {'minutes':>8}")
    for name, total in sums.items():
        seeds = f"{total.first}-{total.last}" if total.rounds else "-"
        print(f"{name:<16} {total.rounds:>6} {seeds:>16} {total.passed:>8} {total.failed:>7} {total.seconds / 60:>8.1f}")
    failed = sum(total.failed for total in sums.values())
    print(f"{sum(total.passed for total in sums.values())} passed, {failed} failed")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./dev soak", description="The long versions of the tests, going on where the last call ended."
    )
    parser.add_argument("part", nargs="?", choices=list(PARTS), help="only this one; default: all")
    parser.add_argument("--minutes", type=float, help="go on with new rounds for so long, shared by the parts")
    asked = parser.parse_args(arguments)
    names = [asked.part] if asked.part else list(PARTS)
    sums: dict[str, Sum] = {}
    progress, began = Progress(), time.monotonic()
    try:
        for number, name in enumerate(names, start=1):
            until = None if asked.minutes is None else began + asked.minutes * 60 * number / len(names)
            soak(name, until, progress, sums)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from the last round that passed.")
        report(sums)
        return 130
    return report(sums)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
