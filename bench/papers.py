"""Published schedules, reproduced: every DIR/muri/trace*.csv.gz under SRTF, SRSF and 2D-LAS, as is and all submitted at 0.

64 GPUs: under SRTF and SRSF 8 nodes of 8, as that simulator places; 2D-LAS only counts free GPUs, so there they are one node.
`forecast` places everyone anew at each event, and what places them is `scheduling.decide`, the one that production runs.
Beside it what the authors' own simulator gave without its restart overhead, where DIR/reference has a row for it.
Exit code 1 when a figure is off by more than 0.1%, 2 when a file cannot be used. What it does not show: restart overhead,
which that simulator takes from every running job at every event, and packing several jobs on one GPU, its authors' idea.
"""

import argparse
import gzip
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from muri import GPUS, GPUS_PER_NODE, METRICS, MuriTrace, Reference, read_muri_trace, read_reference
from report import Result

from xingliu.forecast.estate import Estate, lay_out_estate
from xingliu.forecast.playing import Played
from xingliu.forecast.replacing import LAS_2D, SRSF, SRTF, Anew, play_anew
from xingliu.forecast.shaping import arrivals_of
from xingliu.kernel.documents import parse
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.problems import InvalidDocument, Problem

WITHIN_PERCENT = 0.1
REFERENCE = Path("reference") / "muri_rerun_no_overhead.csv"
TELL_EVERY_S = 10.0
SECOND_US = 1_000_000
Read = TypeVar("Read")


def fleet(nodes: int) -> Estate:
    text = f"""kind: cloud
flavors: [{{name: gpu, gpu: GPU, gpus_per_node: {GPUS // nodes}, price: 1/gpu-hour}}]
pools: [{{name: all, flavor: gpu, nodes: "n[1-{nodes}]"}}]
"""
    return lay_out_estate(f"{GPUS} GPUs", parse(text, "the published cluster"))


@dataclass(frozen=True)
class Published:
    """A policy as the reference names it, and the fleet it was published on."""

    flag: str
    policy: Anew
    fleet: Estate


POLICIES = (
    Published("shortest", SRTF, fleet(GPUS // GPUS_PER_NODE)),
    Published("shortest-gpu", SRSF, fleet(GPUS // GPUS_PER_NODE)),
    Published("dlas-gpu", LAS_2D, fleet(1)),
)


def read(path: Path, reader: Callable[[str, list[str]], Read]) -> Read:
    """What `reader` makes of a file, packed with gzip or not. Raises InvalidDocument."""
    try:
        packed = path.suffix == ".gz"
        with gzip.open(path, "rt", errors="replace") if packed else path.open(errors="replace") as text:
            return reader(str(path), list(text))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        problem = Problem(None, None, "", f"it cannot be unpacked: {error}", f"Copy it again; `gzip -t {path}` tests it.")
    except OSError as error:
        problem = Problem(None, None, "", f"it cannot be read: {error.strerror}", "Is it a file that you may read?")
    raise InvalidDocument(str(path), (problem,))


def read_folder(folder: Path) -> tuple[list[MuriTrace], Reference | None]:
    """All traces, and the reference where there is one. Raises SystemExit with code 2, having told all that is wrong."""
    paths = sorted((folder / "muri").glob("trace*.csv.gz"))
    wrong: list[XingliuError] = []
    traces, reference = [], None
    if not paths:
        nothing = Problem(None, None, "", "there is no muri/trace*.csv.gz in it", "Name the folder that has `muri` in it.")
        wrong.append(InvalidDocument(str(folder), (nothing,)))
    for path in paths:
        name = path.name.removesuffix(".csv.gz")
        try:
            traces.append(read(path, lambda source, lines, name=name: read_muri_trace(name, source, lines)))  # type: ignore[misc]
        except InvalidDocument as error:
            wrong.append(error)
    try:
        reference = read(folder / REFERENCE, read_reference) if (folder / REFERENCE).exists() else None
    except InvalidDocument as error:
        wrong.append(error)
    for each in wrong:
        print(f"{each}\n{each.advice()}", file=sys.stderr)
    if wrong:
        sys.exit(2)
    return traces, reference


def figures_of(played: Played) -> dict[str, int]:
    """In microseconds; p99 is the value of that rank."""
    jct_us = sorted(stay.ended_us - stay.submitted_us for stay in played.stays if stay.ended_us is not None)
    if len(jct_us) != len(played.stays):
        sys.exit("a job never ended")
    last_us = max(stay.ended_us or 0 for stay in played.stays)
    return dict(zip(METRICS, (sum(jct_us) // len(jct_us), last_us, jct_us[int(0.99 * len(jct_us))]), strict=True))


class Progress:
    """How far one run is: on a terminal in place, else a line now and then, so that nobody wonders."""

    def __init__(self, label: str) -> None:
        self._label, self._told_s, self._shown = label, time.monotonic(), sys.stderr.isatty()

    def __call__(self, done: int, of: int) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= (0.2 if self._shown else TELL_EVERY_S):
            self._told_s = now_s
            print(f"{self._label}: {100 * done // of}%", end="\r" if self._shown else "\n", file=sys.stderr, flush=True)

    def over(self) -> None:
        if self._shown:
            print("\x1b[2K", end="\r", file=sys.stderr, flush=True)


def run(trace: MuriTrace, of: Published, *, primed: bool) -> dict[str, int]:
    jobs = [replace(job, submitted_us=0) for job in trace.jobs] if primed else trace.jobs
    progress = Progress(f"{trace.name}{' primed' if primed else ''}, {of.policy.name}")
    played = play_anew(arrivals_of(jobs, of.fleet), of.fleet, of.policy, progress)
    progress.over()
    return figures_of(played)


def errors_of(figures: Mapping[str, int], expected: Mapping[str, int]) -> dict[str, float]:
    """How far off each figure is that there is one to compare with, percent."""
    return {metric: abs(figures[metric] - us) / us * 100 for metric, us in expected.items()}


def row(trace: str, primed: bool, policy: str, figures: Mapping[str, int], beside: str) -> str:
    seconds = "".join(f"{figures[metric] / SECOND_US:>18,.1f}" for metric in METRICS)
    return f"{trace:<12} {'all at 0' if primed else 'as is':<9} {policy:<7}{seconds}   {beside}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="with muri/trace*.csv.gz and, where there is one, a reference")
    folder = parser.parse_args().folder
    traces, reference = read_folder(folder)
    heads = "".join(f"{head:>18}" for head in ("average JCT, s", "makespan, s", "p99 JCT, s"))
    print(f"{'trace':<12} {'submitted':<9} {'policy':<7}{heads}   beside the reference", flush=True)
    errors: dict[str, float] = {}
    compared = 0
    for trace, primed, of in ((trace, primed, of) for trace in traces for primed in (False, True) for of in POLICIES):
        begun = time.monotonic()
        figures = run(trace, of, primed=primed)
        key = f"{trace.name}{'_pr' if primed else ''}", of.flag
        off = errors_of(figures, (reference or {}).get(key, {}))
        compared += bool(off)
        errors |= {f"{' '.join(key)} {metric}": percent for metric, percent in off.items()}
        beside = f"at most {max(off.values()):.4f}% off" if off else "no row"
        print(row(trace.name, primed, of.policy.name, figures, f"{beside}; took {time.monotonic() - begun:.1f} s"), flush=True)
    return judge(errors, compared, 6 * len(traces), None if reference is None else len(reference))


def judge(errors: Mapping[str, float], compared: int, runs: int, rows: int | None) -> int:
    """Say what was compared and what is off; the exit code."""
    if rows is None:
        print(f"there is no {REFERENCE}: nothing was compared")
    else:
        print(f"{compared} of {runs} runs have a figure to compare with; {REFERENCE} has {rows} rows")
    for name, percent in errors.items():
        if percent > WITHIN_PERCENT:
            print(f"{name} is {percent:.3f}% off")
    worst = max(errors.values(), default=None)
    Result("papers", "%", None if worst is None else round(worst, 5), None, None, {"runs": runs, "compared": compared}).print()
    return 1 if worst is not None and worst > WITHIN_PERCENT else 0


if __name__ == "__main__":
    sys.exit(main())
