"""The same backlog, nodes and policy beside Debian's Slurm: first come, first served on both sides, then each side's default.

(a) 1,024 nodes of 8 GPUs of which only the record exists (Slurm: State=CLOUD), and more jobs than fit. All are submitted
first, then scheduling begins: CPU per placed job of what schedules, until the last one is placed, and the GPUs filled. Ours is
the control plane's cycle, with each plan recorded durably in SQLite; Slurm's is slurmctld. Both keep their files in /dev/shm, so
that how long it takes does not hang on a busy disk; CPU does not. (b) 64 nodes of one core that this
machine pretends to be (Slurm: 64 slurmd), and gangs that sleep: from the first submission to the last end.

Not alike: Slurm writes its state every few seconds, ours before a job counts as placed; slurmctld is C and only there to
schedule, ours writes leases, events and why each other job waits. In (a) Slurm asks a program to power nodes up, ours a launcher
that pretends. In (b) ours starts each replica in a sandbox of its own (user, namespaces, cgroups), Slurm without (proctrack/
linuxproc), and both share these cores with what they start. By default Slurm backfills by time limit (sched/backfill), ours
passes who does not fit, and keeps room for one that has waited half an hour, which none does here.
Exit code 1 when a job was lost, a node overfilled, or two jobs had one node at once. Where Slurm is missing, apt installs it.
"""

import argparse
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from backlog import ON_GPUS, WHOLE_NODES, Asked, draw, overfilled, overlapping
from ours import Cloud
from peers.slurm import Slurm, SlurmMissing, install, names_in
from plane import BenchPlane
from report import Result, spread

from xingliu.adapters.sql.store import open_store
from xingliu.workloads.model import JobState

POLICIES = ("first-come", "default")
SCHEDULERS = {
    # Without guessing when each other job starts, which takes it more than placing does; and it looks at its line often.
    "first-come": {"scheduler": "builtin", "parameters": "SchedulerParameters=interval=3600,sched_interval=2"},
    "default": {"scheduler": "backfill"},
}
NODES, GPUS, CORES, MEMORY_GB = 1024, 8, 96, 1000
CORES_PER_GPU, MEMORY_GB_PER_GPU = 8, 100
LIMITS_S = (3600, 4 * 3600, 12 * 3600, 48 * 3600)
QUIET_S = 65.0  # Slurm looks at all of its queue once a minute
SMALL, SLEEPS_S = 64, (2, 4, 8, 16)
WITHIN_S = 1800.0
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass
class Placed:
    """(a): of one run, seconds of CPU to submit all and to place those that fit, how many, on how many GPUs."""

    submit_s: float
    schedule_s: float
    jobs: int
    gpus: int
    problems: list[str] = field(default_factory=list)

    @property
    def ms(self) -> float:
        return 1000 * self.schedule_s / self.jobs


@dataclass
class Ran:
    """(b): seconds from the first submission to the last end."""

    makespan_s: float
    problems: list[str] = field(default_factory=list)


@contextmanager
def in_memory() -> Iterator[None]:
    """Folders that are made meanwhile are in memory."""
    before, tempfile.tempdir = tempfile.tempdir, IN_MEMORY
    try:
        yield
    finally:
        tempfile.tempdir = before


# (a) ------------------------------------------------------------------------------------------------------------------


def estate(policy: str) -> dict[str, object]:
    """The operator file of (a)."""
    share = {"cpu": CORES, "memory": f"{MEMORY_GB}GB"}
    gpu = {"name": "h100", "gpu": "H100", "emulated": True, "gpus_per_node": GPUS, "price": "2.40/gpu-hour"}
    queue = {"name": "default"} | ({"order": policy} if policy != "default" else {})
    pool = {"name": "all", "flavor": "h100", "nodes": f"n[1-{NODES}]", "share": share, "overcommit": True}
    return {"kind": "cloud", "flavors": [gpu], "pools": [pool], "queues": [queue]}


def place_ours(backlog: list[Asked], policy: str) -> Placed:
    with in_memory(), BenchPlane(estate(policy)) as bench:
        plane = bench.plane
        begun = time.process_time()
        for asked in backlog:
            resources = {
                "gpu": asked.gpus,
                "cpu": asked.gpus * CORES_PER_GPU,
                "memory": f"{asked.gpus * MEMORY_GB_PER_GPU}GB",
            }
            document = {"kind": "job", "name": asked.name, "run": "sleep infinity", "nodes": asked.nodes, "resources": resources}
            limit = {"time_limit": f"{asked.seconds // 60}m"}
            plane.submissions.submit(bench.actor, document | limit, project=bench.project.id)
        submit_s = time.process_time() - begun
        placed, schedule_s, begun = 0, 0.0, time.process_time()
        while (plan := plane.scheduling.run_cycle()) is None or plan.placements:
            placed += len(plan.placements) if plan else 0
            schedule_s = time.process_time() - begun
        leases, live = plane.world.open_leases(), plane.world.live_jobs()
    held = [job for job in live if job.state is not JobState.PENDING]
    problems = overfilled([(lease.node, len(lease.gpus)) for lease in leases], GPUS)
    problems += [f"{len(backlog) - len(live)} jobs were lost"] if len(live) != len(backlog) else []
    problems += [f"{placed} jobs were placed, {len(held)} are on record"] if placed != len(held) else []
    return Placed(submit_s, schedule_s, placed, sum(len(lease.gpus) for lease in leases), problems)


def place_slurm(backlog: list[Asked], policy: str) -> Placed:
    with (
        tempfile.TemporaryDirectory(prefix="slurm-bench-", dir=IN_MEMORY) as folder,
        Slurm(Path(folder), NODES, CORES, GPUS, MEMORY_GB * 1000, **SCHEDULERS[policy]) as peer,
    ):
        peer.command("scontrol", "update", "PartitionName=all", "State=DOWN")
        begun_s = peer.controller_cpu_s()
        for asked in backlog:
            peer.command(
                "sbatch", "-o", "/dev/null", "-J", asked.name, f"--nodes={asked.nodes}", "--ntasks-per-node=1",
                f"--gpus-per-node={asked.gpus}", f"--cpus-per-task={asked.gpus * CORES_PER_GPU}",
                f"--mem={asked.gpus * MEMORY_GB_PER_GPU * 1000}", f"--time={asked.seconds // 60}", "--wrap", "sleep infinity",
            )  # fmt: skip
        submit_s = peer.controller_cpu_s() - begun_s
        begun_s = peer.controller_cpu_s()
        peer.command("scontrol", "update", "PartitionName=all", "State=UP")
        schedule_s = when_quiet(peer) - begun_s
        rows = [line.split() for line in peer.command("squeue", "-h", "-o", "%i %t %D %b %N").splitlines()]
    placed = [row for row in rows if row[1] in ("CF", "R")]
    given = [(node, int(row[3].rpartition(":")[2])) for row in placed for node in names_in(row[4])]
    problems = overfilled(given, GPUS)
    problems += [f"{len(backlog) - len(rows)} jobs were lost"] if len(rows) != len(backlog) else []
    return Placed(submit_s, schedule_s, len(placed), sum(gpus for _, gpus in given), problems)


def when_quiet(peer: Slurm) -> float:
    """CPU of slurmctld by the last start, once nothing more starts. Its own counters are read: a cheap request."""
    started, cpu_s, last = 0, peer.controller_cpu_s(), time.monotonic()
    until = time.monotonic() + WITHIN_S
    while time.monotonic() - last < QUIET_S:
        if time.monotonic() > until:
            raise TimeoutError(f"Slurm still places jobs after {WITHIN_S:.0f} s")
        time.sleep(1)
        told = re.search(r"Jobs started:\s*(\d+)", peer.command("sdiag"))
        now = int(told[1]) if told else 0
        if now != started:
            started, cpu_s, last = now, peer.controller_cpu_s(), time.monotonic()
    return cpu_s


# (b) ------------------------------------------------------------------------------------------------------------------


def run_ours(backlog: list[Asked], policy: str) -> Ran:
    order = "" if policy == "default" else f", order: {policy}"
    with Cloud() as cloud:
        file = cloud.home / "bench.yaml"
        file.write_text(
            f"""kind: cloud
flavors:
  - {{name: cpu, price: 0.05/core-hour}}
pools:
  - {{name: bench, flavor: cpu, nodes: "n[1-{SMALL}]", share: {{cpu: 1, memory: 1GB}}, overcommit: true}}
queues:
  - {{name: default{order}}}
"""
        )
        cloud.xl("apply", str(file), "-y")
        client = cloud.client()
        begun = time.monotonic()
        for asked in backlog:
            document = {"kind": "job", "name": asked.name, "run": f"sleep {asked.seconds}", "nodes": asked.nodes}
            client.submit({**document, "resources": {"cpu": 1, "memory": "64MB"}, "time_limit": "1m"})
        wait_until(lambda: not client.request("GET", "/v1/jobs?active=true&limit=1")["items"], "xl")
        makespan_s = time.monotonic() - begun
        cloud.xl("down")
        store = open_store(f"sqlite:///{cloud.home / 'store.db'}")
        with store.read() as unit:
            states = [job.state for job in unit.jobs.find()]
            leases = unit.leases.find()
        store.close()
    spans = [(lease.node, lease.opened_us / 1e6, (lease.released_us or lease.opened_us) / 1e6) for lease in leases]
    return Ran(makespan_s, overlapping(spans) + lost(len(backlog), states.count(JobState.SUCCEEDED)))


def run_slurm(backlog: list[Asked], policy: str) -> Ran:
    with tempfile.TemporaryDirectory(prefix="slurm-bench-") as name:
        folder = Path(name)
        parts = SCHEDULERS[policy]
        record = f"{parts.get('parameters', '')}\nJobCompType=jobcomp/filetxt\nJobCompLoc={folder}/ended"
        with Slurm(folder, SMALL, 1, scheduler=parts["scheduler"], parameters=record) as peer:
            begun = time.monotonic()
            for asked in backlog:
                size = (f"--nodes={asked.nodes}", "--ntasks-per-node=1", "--time=1")
                peer.command("sbatch", "-o", "/dev/null", "-J", asked.name, *size, "--wrap", f"srun sleep {asked.seconds}")
            wait_until(lambda: not peer.command("squeue", "-h", "-t", "PD,R,CF,CG").strip(), "Slurm")
            makespan_s = time.monotonic() - begun
        rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in (folder / "ended").read_text().splitlines()]
    spans = [(node, instant(row["StartTime"]), instant(row["EndTime"])) for row in rows for node in names_in(row["NodeList"])]
    return Ran(makespan_s, overlapping(spans) + lost(len(backlog), sum(row["JobState"] == "COMPLETED" for row in rows)))


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def lost(asked: int, done: int) -> list[str]:
    return [] if asked == done else [f"{done} of {asked} jobs succeeded"]


def wait_until(over: Callable[[], bool], who: str) -> None:
    until = time.monotonic() + WITHIN_S
    while not over():
        if time.monotonic() > until:
            raise TimeoutError(f"{who} is not through after {WITHIN_S:.0f} s")
        time.sleep(0.1)


# Both -----------------------------------------------------------------------------------------------------------------


def bound_s(backlog: list[Asked]) -> float:
    """No schedule of (b) is shorter."""
    return max(sum(asked.nodes * asked.seconds for asked in backlog) / SMALL, *(asked.seconds for asked in backlog))


def compare_placing(backlog: list[Asked], runs: int) -> dict[tuple[str, str], list[Placed]]:
    found: dict[tuple[str, str], list[Placed]] = {}
    wanted = sum(asked.nodes * asked.gpus for asked in backlog)
    print(f"(a) {len(backlog)} jobs that ask for {wanted:,} GPUs, {NODES} nodes with {NODES * GPUS:,}", flush=True)
    for number in range(runs):
        for policy in POLICIES:
            for side, place in (("xl", place_ours), ("Slurm", place_slurm)):
                placed = place(backlog, policy)
                found.setdefault((side, policy), []).append(placed)
                figures = f"{placed.jobs} jobs placed on {placed.gpus:,} GPUs, {placed.ms:.2f} ms each"
                submitted = f"{1000 * placed.submit_s / len(backlog):.2f} ms to take each in"
                print(f"run {number + 1} of {runs}, {policy}, {side}: {figures}; {submitted}", flush=True)
    return found


def compare_running(backlog: list[Asked], runs: int) -> dict[tuple[str, str], list[Ran]]:
    found: dict[tuple[str, str], list[Ran]] = {}
    print(f"(b) {len(backlog)} gangs that sleep on {SMALL} nodes: at least {bound_s(backlog):.1f} s", flush=True)
    for number in range(runs):
        for policy in POLICIES:
            for side, run in (("xl", run_ours), ("Slurm", run_slurm)):
                ran = run(backlog, policy)
                found.setdefault((side, policy), []).append(ran)
                print(f"run {number + 1} of {runs}, {policy}, {side}: {ran.makespan_s:.1f} s", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000, help="waiting in (a)")
    parser.add_argument("--gangs", type=int, default=60, help="that sleep in (b)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        install()
    except SlurmMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    placed = compare_placing(draw(asked.jobs, ON_GPUS, LIMITS_S, asked.seed), asked.runs)
    ran = compare_running(draw(asked.gangs, WHOLE_NODES, SLEEPS_S, asked.seed), asked.runs)
    for (side, policy), of in placed.items():
        print(f"CPU per placed job, {policy}, {side}, ms: {spread([one.ms for one in of])}")
    for (side, policy), times in ran.items():
        print(f"makespan, {policy}, {side}, s: {spread([one.makespan_s for one in times])}")
    problems = [
        f"{side}, {policy}: {problem}"
        for (side, policy), of in [*placed.items(), *ran.items()]
        for one in of
        for problem in one.problems
    ]
    print("\n".join(problems) or "no job lost, no node overfilled, none given twice at once")
    report(placed, ran)
    return 1 if problems else 0


def report(placed: dict[tuple[str, str], list[Placed]], ran: dict[tuple[str, str], list[Ran]]) -> None:
    more: dict[str, object] = {}
    for side, policy in placed:
        of = placed[side, policy]
        more[f"{side} {policy}"] = {
            "ms": round(statistics.median(one.ms for one in of), 2),
            "gpus": statistics.median(one.gpus for one in of),
            "makespan_s": round(statistics.median(one.makespan_s for one in ran[side, policy]), 1),
        }
    ours, peer = (statistics.median(one.ms for one in placed[side, "first-come"]) for side in ("xl", "Slurm"))
    Result("slurm_backlog", "ms", round(ours, 2), round(peer, 2), round(peer / ours, 2), more).print()


if __name__ == "__main__":
    sys.exit(main())
