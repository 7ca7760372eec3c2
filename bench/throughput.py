"""How many `true` jobs a second go from request to recorded end, beside Debian's Slurm with as many slots.

Ours: one HTTP request a job from N clients, each job durable before its answer, run in its sandbox (uid, namespaces,
cgroups) as by default, and again without one. Slurm: one `sbatch` a job from the same N clients, then one array of as
many tasks; several slurmd share this machine. Equal slots on both sides. The peer is Slurm's faster way.
What it does not show: Slurm's steps have no sandbox and no cgroup here (proctrack/linuxproc), and its state is saved
every few seconds rather than before the answer; `sbatch` is a process a job, ours a request on a kept connection, so the
time of one `xl run` and one `sbatch` as processes is printed beside it.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ours import Cloud
from peers.slurm import Slurm
from report import Result, spread

SPEC = {"kind": "job", "name": "true", "run": "true", "resources": {"cpu": 1, "memory": "64MB"}}


def in_threads(clients: int, jobs: int, work: Callable[[int], None]) -> None:
    """`work(count)` in each of `clients` threads, the jobs shared out evenly."""
    shares = [jobs // clients + (number < jobs % clients) for number in range(clients)]
    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def slots_file(slots: int) -> str:
    return f"""kind: cloud
flavors:
  - {{name: cpu, price: 0.05/core-hour}}
pools:
  - {{name: bench, flavor: cpu, nodes: "n[1-4]", share: {{cpu: {slots // 4}, memory: 4GB}}, overcommit: true}}
queues:
  - {{name: default}}
"""


def ours(jobs: int, clients: int, slots: int, *, sandbox: bool) -> float:
    """Jobs a second, all of them succeeded."""
    with Cloud(sandbox=sandbox) as cloud:
        file = cloud.home / "bench.yaml"
        file.write_text(slots_file(slots))
        cloud.xl("apply", str(file), "-y")
        client = cloud.client()
        client.wait(client.submit(SPEC))
        begun = time.monotonic()

        def submit(count: int) -> None:
            mine = cloud.client()
            for _ in range(count):
                mine.submit(SPEC)

        in_threads(clients, jobs, submit)
        submitted = time.monotonic() - begun
        while client.request("GET", "/v1/jobs?active=true&limit=1")["items"]:
            time.sleep(0.02)
        took = time.monotonic() - begun
        check_all_succeeded(client, jobs + 1)
        print(f"    {jobs} jobs: submitted in {submitted:.2f} s, done in {took:.2f} s", flush=True)
        return jobs / took


def check_all_succeeded(client: object, jobs: int) -> None:
    count, after = 0, None
    while True:
        page = client.request("GET", "/v1/jobs?limit=500" + (f"&after={after}" if after else ""))  # type: ignore[attr-defined]
        count += sum(job["state"] == "SUCCEEDED" for job in page["items"])
        after = page["next"]
        if after is None:
            break
    if count != jobs:
        sys.exit(f"{count} of {jobs} jobs succeeded")


def slurm(jobs: int, clients: int, slots: int, *, array: bool) -> float:
    with tempfile.TemporaryDirectory(prefix="slurm-bench-") as folder:
        script = Path(folder) / "true.sh"
        with Slurm(Path(folder), nodes=4, cpus=slots // 4) as peer:
            script.write_text("#!/bin/sh\ntrue\n")
            begun = time.monotonic()
            if array:
                peer.command("sbatch", "-o", "/dev/null", f"--array=1-{jobs}", str(script))
            else:

                def submit(count: int) -> None:
                    for _ in range(count):
                        peer.command("sbatch", "-o", "/dev/null", str(script))

                in_threads(clients, jobs, submit)
            while peer.command("squeue", "-h", "-t", "PD,R,CF,CG").strip():
                time.sleep(0.05)
            return jobs / (time.monotonic() - begun)


def single_run_s(runs: int) -> tuple[float, float]:
    """Wall time of one `xl run` and of one `sbatch`, each a process, up to the answer."""
    with Cloud() as cloud:
        mine = [timed(lambda: cloud.xl("run", "-y", "--", "true")) for _ in range(runs)]
    with tempfile.TemporaryDirectory(prefix="slurm-bench-") as folder, Slurm(Path(folder), nodes=1, cpus=2) as peer:
        theirs = [timed(lambda: peer.command("sbatch", "-o", "/dev/null", "--wrap", "true")) for _ in range(runs)]
    return statistics.median(mine), statistics.median(theirs)


def timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--slots", type=int, default=16, help="a multiple of 4: four nodes on both sides")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    size = (asked.jobs, asked.clients, asked.slots)
    rates: dict[str, list[float]] = {name: [] for name in ("xl", "xl without sandbox", "sbatch", "array")}
    for number in range(asked.runs):
        print(f"run {number + 1} of {asked.runs}", flush=True)
        rates["xl"].append(ours(*size, sandbox=True))
        rates["xl without sandbox"].append(ours(*size, sandbox=False))
        rates["sbatch"].append(slurm(*size, array=False))
        rates["array"].append(slurm(*size, array=True))
    for name, values in rates.items():
        print(f"{name}, jobs/s: {spread(values)}")
    run_s, sbatch_s = single_run_s(10)
    print(f"one `xl run` {run_s * 1000:.0f} ms, one `sbatch` {sbatch_s * 1000:.0f} ms (medians of 10 processes)")
    mine = statistics.median(rates["xl"])
    peer = max(statistics.median(rates["sbatch"]), statistics.median(rates["array"]))
    more = {"without_sandbox": round(statistics.median(rates["xl without sandbox"]), 1), "xl_run_s": round(run_s, 3)}
    Result("throughput", "jobs/s", round(mine, 1), round(peer, 1), round(mine / peer, 2), more).print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
