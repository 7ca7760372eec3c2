"""`xl simulate` as a process: no cloud, files in, a table, JSON and a page out."""

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.edge.living import XL

TRACE = "cluster,job_id,submit_s,duration_s,num_gpus\n" + "".join(
    f"{'red' if number % 3 else 'blue'},j{number},{number * 60},{600 + number},{1 + number % 4}\n" for number in range(300)
)
FLEET = """
kind: cloud
flavors:
  - {name: h100, gpu: H100, gpus_per_node: 4, price: 1/gpu-hour}
pools:
  - {name: train, flavor: h100, nodes: "g[1-4]"}
"""


def xl(*words: object) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("XL_")} | {"HOME": "/nonexistent"}
    return subprocess.run([str(XL), *map(str, words)], env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs.csv").write_text(TRACE)
    (tmp_path / "now.yaml").write_text(FLEET)
    (tmp_path / "more.yaml").write_text(FLEET.replace("1-4", "1-8"))
    return tmp_path


def test_a_trace_is_played_on_fleets_side_by_side_and_drawn(folder: Path) -> None:
    page = folder / "out.html"
    done = xl(
        "simulate",
        "--jobs",
        folder / "jobs.csv",
        "--fleet",
        folder / "now.yaml",
        "--compare",
        folder / "more.yaml",
        folder / "now.yaml",
        "--report",
        page,
    )
    assert done.returncode == 0, done.stderr
    assert "jobs that ran" in done.stdout and f"pictures are in {page}" in done.stdout
    assert "300 jobs, read as itp" in done.stderr and "%" in done.stderr
    assert page.read_text().startswith("<!doctype html>") and not list(folder.glob("*.new"))


def test_scripts_get_all_numbers_as_json_from_a_packed_trace(folder: Path) -> None:
    packed = folder / "jobs.csv.gz"
    packed.write_bytes(gzip.compress(TRACE.encode()))
    words = ("simulate", "--jobs", packed, "--fleet", folder / "now.yaml", "--tenant", "red", "--first", "50", "--json")
    done = xl(*words)
    found = json.loads(done.stdout)
    assert found["trace"] == {"source": "jobs.csv.gz", "format": "itp", "jobs": 50, "notes": []}
    (fleet,) = found["fleets"]
    assert fleet["waits"]["jobs"] == 50 and fleet["capacity"] == 16 and fleet["worst_tenant"] == "red"
    assert xl(*words).stdout == done.stdout


def test_orders_of_the_line_are_compared(folder: Path) -> None:
    words = ("--fleet", folder / "now.yaml", "--order", "first-come", "--order", "shortest-first", "--json")
    fleets = json.loads(xl("simulate", "--jobs", folder / "jobs.csv", *words).stdout)["fleets"]
    assert [fleet["name"] for fleet in fleets] == ["now, first-come", "now, shortest-first"]
    assert fleets[0]["waits"]["mean_s"] > fleets[1]["waits"]["mean_s"]


REFUSED = {
    "a bad cell": (TRACE + "red,x,1,2,many\n", FLEET, [], "jobs.csv:302: column 5, num_gpus: 'many' is not a number from 0 up"),
    "an unknown trace": ("a,b\n1,2\n", FLEET, [], "jobs.csv:1: no trace format that is known has these columns: a, b"),
    "a fleet without GPUs said": (TRACE, FLEET.replace("gpus_per_node: 4, ", ""), [], "now.yaml:4: flavors[0]: how many GPUs"),
    "a tenant that is not there": (TRACE, FLEET, ["--tenant", "green"], "of green.\nIts tenants: blue, red."),
    "a report into nowhere": (TRACE, FLEET, ["--report", "/nowhere/out.html"], "There is no folder /nowhere for the report."),
    "files without --compare": (TRACE, FLEET, ["more.yaml"], "put --compare before it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_simulated_is_refused_with_file_line_and_column(folder: Path, case: str) -> None:
    trace, fleet, more, message = REFUSED[case]
    (folder / "jobs.csv").write_text(trace)
    (folder / "now.yaml").write_text(fleet)
    more = [str(folder / word) if word.endswith(".yaml") else word for word in more]
    done = xl("simulate", "--jobs", folder / "jobs.csv", "--fleet", folder / "now.yaml", *more)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) >= 2


def test_a_packed_trace_that_is_cut_off_is_refused(folder: Path) -> None:
    (folder / "jobs.csv").write_bytes(gzip.compress(TRACE.encode())[:-20])
    done = xl("simulate", "--jobs", folder / "jobs.csv", "--fleet", folder / "now.yaml")
    assert done.returncode == 1 and "cannot be unpacked" in done.stderr and "Traceback" not in done.stderr
