"""50,000 workloads over 1,000 queues in the shape of Kueue's large-scale performance test, to their recorded end.

The shape, as its repository has it (`test/performance/scheduler/configs/large-scale`): 10 cohorts of 100 queues, each of
quota 20 and borrowing limit 100, reclaim from any, lower priorities preempted in the queue; per queue 35 small workloads
(1 CPU, priority 50, one every 60 ms, running 150 ms), 11 medium (5, 100, 300 ms, 350 ms) and 4 large (20, 200, 700 ms,
700 ms). Here a cohort is a queue above 100 others, and the priorities are low, normal and high.
Ours: each workload is a job, submitted through the control plane (those that are due together in one transaction), placed,
started, ended and settled by its cycle, all of it in one SQLite file with synchronous=FULL, all in one process and thread.
Time is the wall's. Only running is virtual: machines are pretended, and a job ends by itself when its time has passed.
What is not alike: Kueue's figure (1,179 s, mean of 19 runs of its CI on another machine) goes through a real API server
and etcd, several writes and watches a workload; ours calls the control plane without HTTP. Neither starts a process. What a
queue of ours borrows has to be preemptible work, so all jobs are; a job that was preempted is run again from its start.
Exit code 1 where a job did not succeed, or a queue, a cohort or a node came to hold more than it may.
"""

import argparse
import heapq
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from plane import BenchPlane
from report import Result, spread

from xingliu.kernel.resources import CPU
from xingliu.workloads.model import JobState, Outcome

PEER_S = 1_179.0
COHORTS, QUEUES = 10, 100
QUOTA, BORROW = 20, 100
NODES = 500


@dataclass(frozen=True)
class Kind:
    name: str
    cores: int
    priority: str
    count: int
    every_us: int
    run_us: int


KINDS = (
    Kind("small", 1, "low", 35, 60_000, 150_000),
    Kind("medium", 5, "normal", 11, 300_000, 350_000),
    Kind("large", 20, "high", 4, 700_000, 700_000),
)

Arrival = tuple[int, Kind, str]


def estate() -> dict[str, object]:
    """More nodes than all quotas add up to: the quotas decide, as in Kueue's test, which has no nodes."""
    share = {"cpu": 96, "memory": "384GB"}
    queue = {"quota": {"cpu": QUOTA}, "borrow_limit": {"cpu": BORROW}}
    cohort = {"quota": {"cpu": QUEUES * QUOTA}, "borrow_limit": {"cpu": 0}}
    return {
        "kind": "cloud",
        "flavors": [{"name": "cpu", "price": "0.05/core-hour"}],
        "pools": [{"name": "cores", "flavor": "cpu", "nodes": f"n[001-{NODES}]", "share": share, "overcommit": True}],
        "queues": [
            {"name": "default"},
            *(
                {
                    "name": f"cohort{of}",
                    **cohort,
                    "children": [{"name": name_of(of, number), **queue} for number in range(QUEUES)],
                }
                for of in range(COHORTS)
            ),
        ],
    }


def name_of(cohort: int, queue: int) -> str:
    return f"cohort{cohort}-q{queue}"


def arrivals(share: float) -> Iterator[Arrival]:
    """When, what and into which queue, in order of time; `share` of the whole."""
    streams = [
        [
            ((number + 1) * kind.every_us, kind, name_of(cohort, queue))
            for number in range(round(kind.count * share))
            for cohort in range(COHORTS)
            for queue in range(QUEUES)
        ]
        for kind in KINDS
    ]
    return heapq.merge(*streams, key=lambda arrival: arrival[0])


def document(kind: Kind, queue: str) -> dict[str, object]:
    resources = {"cpu": kind.cores, "memory": "100MB"}
    job = {"kind": "job", "name": kind.name, "run": "true", "queue": queue, "resources": resources}
    return {**job, "priority": kind.priority, "preemptible": True}


@dataclass
class Run:
    """Seconds: `took` of wall time, `cpu` of this process, `submitting` of the wall's; what was wrong."""

    jobs: int
    took_s: float
    cpu_s: float
    submitting_s: float
    cycles: int
    preempted: int
    problems: list[str]


def run(share: float, together: int) -> Run:
    """Submit what is due, run a cycle, and so on until all have ended."""
    with BenchPlane(estate()) as bench:
        todo = deque(arrivals(share))
        count, cycles, submitting_s, looking_s, problems = len(todo), 0, 0.0, 0.0, set[str]()
        begun_us, begun, begun_cpu = bench.clock.now_us(), time.monotonic(), time.process_time()
        while todo or bench.plane.world.jobs:
            started = time.monotonic()
            due = islice(takewhile(lambda arrival: begun_us + arrival[0] <= bench.clock.now_us(), todo), together)
            submit(bench, [todo.popleft() for _ in list(due)])
            submitting_s += time.monotonic() - started
            plan = bench.plane.scheduling.run_cycle()
            cycles += 1
            started = time.monotonic()
            problems |= look(bench)
            looking_s += time.monotonic() - started
            if plan is not None and not plan.placements:
                sleep_until_next(bench, begun_us + todo[0][0] if todo else None)
        took_s, cpu_s = time.monotonic() - begun - looking_s, time.process_time() - begun_cpu - looking_s
        with bench.plane.store.read() as unit:
            states = unit.jobs.tally("state")
            preempted = unit.attempts.tally("outcome").get(Outcome.PREEMPTED, 0)
        if states != {JobState.SUCCEEDED: count}:
            problems.add(f"of {count} jobs: {states}")
        return Run(count, took_s, cpu_s, submitting_s, cycles, preempted, sorted(problems))


def submit(bench: BenchPlane, due: Sequence[Arrival]) -> None:
    documents = [document(kind, queue) for _, kind, queue in due]
    jobs = bench.plane.submissions.submit_together(bench.actor, documents, project=bench.project.id) if due else []
    for job, (_, kind, _) in zip(jobs, due, strict=True):
        bench.machines.run_us[job.id] = kind.run_us


def sleep_until_next(bench: BenchPlane, arrival_us: int | None) -> None:
    """The next arrival or end, if that is not due yet."""
    times_us = [at_us for at_us in (arrival_us, bench.machines.next_end_us) if at_us is not None]
    if times_us:
        time.sleep(max(0, min(times_us) - bench.clock.now_us()) / 1e6)


def look(bench: BenchPlane) -> set[str]:
    """What holds more than it may."""
    world, on_node, in_cohort = bench.plane.world, Counter[str](), Counter[str]()
    for lease in world.open_leases():
        on_node[lease.node] += lease.resources[CPU]
    for name, held in world.held().items():
        in_cohort[name.partition("-")[0]] += held["cpu.cpu"]
    found = {f"node {name} gave {amount}" for name, amount in on_node.items() if amount > world.nodes[name].capacity[CPU]}
    found |= {f"{name} held {amount}" for name, amount in in_cohort.items() if amount > QUEUES * QUOTA * 1000}
    return found | {f"{name} held {of}" for name, of in world.held().items() if of["cpu.cpu"] > (QUOTA + BORROW) * 1000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the workloads of each kind; less than 1 has no peer")
    parser.add_argument("--together", type=int, default=500, help="of those due, at most so many submitted in one transaction")
    asked = parser.parse_args()
    runs = []
    for number in range(asked.runs):
        runs.append(run(asked.share, asked.together))
        last = runs[-1]
        print(
            f"run {number + 1} of {asked.runs}: {last.jobs} jobs in {last.took_s:.1f} s ({last.jobs / last.took_s:.0f}/s), "
            f"{last.cpu_s:.1f} s of CPU, {last.submitting_s:.1f} s of it submitting, {last.cycles} cycles, "
            f"{last.preempted} preempted",
            flush=True,
        )
    problems = [problem for one in runs for problem in one.problems]
    print("\n".join(problems[:20]) or "all succeeded; nothing held more than it may")
    print(f"from the first submission to the last recorded end, s: {spread([one.took_s for one in runs])}")
    mine, cpu_s = statistics.median(one.took_s for one in runs), statistics.median(one.cpu_s for one in runs)
    peer = PEER_S if asked.share == 1.0 else None
    more = {
        "aim": 60,
        "jobs": runs[0].jobs,
        "jobs_per_s": round(runs[0].jobs / mine, 1),
        "cpu_s": round(cpu_s, 1),
        "submitting_s": round(statistics.median(one.submitting_s for one in runs), 1),
    }
    Result("kueue_generator", "s", round(mine, 1), peer, None if peer is None else round(peer / mine, 1), more).print()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
