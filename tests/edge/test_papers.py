"""`bench/papers.py` as a process: a folder of traces in, a table out, and an exit code that says whether it is as published."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "papers.py"
# Two jobs that take all 64 GPUs: one of 1,015 s, one of 101.5 s that comes 100 s later.
TRACE = "job_id,num_gpu,submit_time,iterations,iteration_time\n7,64,0,1000,1000\n8,64,100000,100,1000\n"
HEAD = "trace,schedule_flag,avg_jct_s,makespan_s,p99_jct_s\n"
BY_HAND = (
    "trace9,shortest,609.0,1116.5,1116.5\n"
    "trace9,shortest-gpu,609.0,1116.5,1116.5\n"
    "trace9,dlas-gpu,615.5,1116.5,1116.5\n"
    "trace9_pr,shortest,609.0,1116.5,1116.5\n"
    "trace9_pr,shortest-gpu,609.0,1116.5,1116.5\n"
    "trace9_pr,dlas-gpu,665.5,1116.5,1116.5\n"
)


def bench(folder: Path, trace: str | bytes | None = TRACE, reference: str | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "muri").mkdir()
    (folder / "reference").mkdir()
    if trace is not None:
        packed = trace if isinstance(trace, bytes) else gzip.compress(trace.encode())
        (folder / "muri" / "trace9.csv.gz").write_bytes(packed)
    if reference is not None:
        (folder / "reference" / "muri_rerun_no_overhead.csv").write_text(reference)
    return subprocess.run([sys.executable, BENCH, folder], capture_output=True, text=True, check=False)


def last(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_reference_worked_out_by_hand_is_met_to_the_last_digit(tmp_path: Path) -> None:
    done = bench(tmp_path, reference=HEAD + BY_HAND)
    assert (done.returncode, done.stderr) == (0, "")
    assert "615.5           1,116.5           1,116.5   at most 0.0000% off" in done.stdout
    expected = {"name": "papers", "unit": "%", "ours": 0.0, "peer": None, "ratio": None, "runs": 6, "compared": 6}
    assert last(done) == expected


def test_a_figure_that_is_off_is_named_and_fails_it(tmp_path: Path) -> None:
    done = bench(tmp_path, reference=HEAD + BY_HAND.replace("665.5", "666.5"))
    assert done.returncode == 1
    assert "trace9_pr dlas-gpu avg_jct_s is 0.150% off" in done.stdout and last(done)["ours"] == 0.15004


def test_a_reference_with_less_is_compared_where_it_says_something(tmp_path: Path) -> None:
    done = bench(tmp_path, reference="trace,schedule_flag,makespan_s\ntrace9,dlas-gpu,1116.5\ntrace9,shortest,\ntrace2,fifo,1\n")
    assert done.returncode == 0
    assert "1 of 6 runs have a figure" in done.stdout and last(done)["compared"] == 1


def test_without_a_reference_the_table_stands_alone(tmp_path: Path) -> None:
    done = bench(tmp_path)
    assert done.returncode == 0 and done.stdout.count("trace9") == 6
    assert "nothing was compared" in done.stdout and last(done)["ours"] is None


BAD: dict[str, tuple[str | bytes | None, str | None, list[str]]] = {
    "a folder without traces": (None, None, ["there is no muri/trace*.csv.gz in it", "Name the folder that has `muri` in it."]),
    "more GPUs than there are": (TRACE + "9,72,0,1,1\n", None, ["line 4: column 2, num_gpu: 72 GPUs cannot be had of 64"]),
    "no GPUs": (TRACE.replace("7,64", "7,0"), None, ["line 2: column 2, num_gpu: 0 GPUs cannot be had of 64"]),
    "no whole nodes": (
        TRACE.replace("7,64", "7,12"),
        None,
        ["line 2: column 2, num_gpu: 12 GPUs are no whole nodes of 8", "Above 8,"],
    ),
    "no run time": (
        TRACE.replace("1000,1000", "0,1000"),
        None,
        ["line 2: column 4, iterations: with 0 it would run for no time"],
    ),
    "words for numbers": (TRACE.replace("100000", "soon"), None, ["line 3: column 3, submit_time: 'soon' is not a number"]),
    "a line cut off": (TRACE + "9,1\n", None, ["line 4: it has 2 cells, and the header has 5", "Is the line cut off"]),
    "a header without a column": (TRACE.replace("num_gpu", "gpus"), None, ["line 1: the column num_gpu is missing"]),
    "no jobs": (TRACE.splitlines()[0] + "\n", None, ["line 1: it has no jobs"]),
    "an empty file": ("", None, ["line 1: the columns num_gpu, submit_time, iterations, iteration_time are missing"]),
    "no gzip": (TRACE.encode(), None, ["it cannot be unpacked: Not a gzipped file", "Copy it again"]),
    "half a gzip": (gzip.compress(TRACE.encode())[:-9], None, ["it cannot be unpacked"]),
    "a reference row twice": (
        TRACE,
        HEAD + BY_HAND + BY_HAND,
        ["no_overhead.csv line 8: column 1, trace: trace9 under shortest is there twice"],
    ),
    "a reference of 0": (
        TRACE,
        HEAD + BY_HAND.replace("665.5", "0"),
        ["line 7: column 3, avg_jct_s: 0 is nothing to compare with"],
    ),
    "both files": (
        TRACE.replace("7,64", "7,0"),
        "x\n",
        ["line 2: column 2", "no_overhead.csv line 1: the columns trace, schedule_flag"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_told_with_its_place_and_runs_nothing(tmp_path: Path, case: str) -> None:
    trace, reference, expected = BAD[case]
    done = bench(tmp_path, trace, reference)
    assert done.returncode == 2 and not done.stdout and "Traceback" not in done.stderr
    assert not [words for words in expected if words not in done.stderr], done.stderr
