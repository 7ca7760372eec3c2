"""How long one cycle takes where much runs and much waits: through control, with the plan recorded in a SQLite file.

A cloud of N nodes of 8 GPUs in 20 queues under 4, nearly full, and M jobs that wait: written into the store as the control
plane keeps them. Then the real control plane over it: a first cycle, which decides all of them and records why each waits;
then steady cycles, each after 10 jobs have ended and 10 were submitted. A cycle is what the control plane's thread does:
observe, settle, load, decide, record (durably), act. Each size runs in a process of its own.
Exit code 1 where a plan gave a device twice or more than a node has, or left a waiting job undecided.
What it does not show: starting processes (machines are pretended), requests that are served meanwhile. No peer ran.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from plane import BenchPlane
from report import Result, spread

from xingliu.control.placing import place_job
from xingliu.fleet.model import Node, NodeState
from xingliu.kernel.documents import Document
from xingliu.kernel.ids import QueueName, UserId, replica_id, role_id
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.model import Place, Plan, Seat, Snapshot
from xingliu.scheduling.policy import decide
from xingliu.scheduling.quota import charge
from xingliu.scheduling.room import Amount
from xingliu.tenancy.model import User
from xingliu.workloads.model import MAIN_ROLE, Job, JobState, Replica, Role
from xingliu.workloads.records import Phase, ReplicaRecord
from xingliu.workloads.spec import read_job
from xingliu.workloads.specs import keep_spec

SIZES = ((1_000, 1_000), (1_000, 10_000), (13_000, 1_000), (13_000, 10_000))
GPUS, CORES, MEMORY_GB = 8, 96, 1_000
FLAVORS = {"h100": 0.8, "a100": 0.2}
LABS, TEAMS, USERS = 4, 5, 40
CHANGES = 10
MISSES_MAX = 50
MINUTE_US = 60_000_000

Shape = tuple[int, int]
Size = tuple[int, int]
SHAPES: dict[Shape, int] = {
    (1, 1): 30,
    (1, 2): 15,
    (1, 4): 15,
    (1, 8): 20,
    (2, 8): 8,
    (4, 8): 6,
    (8, 8): 4,
    (16, 8): 1,
    (32, 8): 1,
}


def estate(nodes: int) -> dict[str, object]:
    """The operator file: two flavors, and queues whose quotas add up to nine tenths of all GPUs."""
    counts = {flavor: int(nodes * part) for flavor, part in FLAVORS.items()}
    share = {"cpu": CORES, "memory": f"{MEMORY_GB}GB"}
    quota = {flavor: count * GPUS * 9 // 10 // (LABS * TEAMS) for flavor, count in counts.items()}
    return {
        "kind": "cloud",
        "flavors": [
            {"name": flavor, "gpu": flavor.upper(), "emulated": True, "gpus_per_node": GPUS, "price": "2.40/gpu-hour"}
            for flavor in FLAVORS
        ],
        "pools": [
            {"name": flavor, "flavor": flavor, "nodes": f"{flavor}-[00001-{count:05d}]", "share": share, "overcommit": True}
            for flavor, count in counts.items()
        ],
        "queues": [
            {"name": "default"},
            *(
                {"name": f"lab{lab}", "children": [{"name": f"lab{lab}-team{team}", "quota": quota} for team in range(TEAMS)]}
                for lab in range(LABS)
            ),
        ],
    }


class Filling:
    """Writes what runs and what waits into the store."""

    def __init__(self, bench: BenchPlane, seed: int) -> None:
        self.bench, self.dice = bench, random.Random(seed)
        self.users = [UserId(f"acme/u{number:02d}") for number in range(USERS)]
        now_us = bench.clock.now_us()
        with bench.plane.store.write() as unit:
            unit.users.put(*(User(user, bench.project.tenant, (), now_us) for user in self.users))

    def job(self, flavor: str | None = None) -> Job:
        nodes, gpus = self.dice.choices(list(SHAPES), list(SHAPES.values()))[0]
        queue = QueueName(f"lab{self.dice.randrange(LABS)}-team{self.dice.randrange(TEAMS)}")
        asked_us = self.bench.clock.now_us() - self.dice.randint(1, 25) * MINUTE_US
        document = {
            "kind": "job",
            "name": f"train-{nodes}x{gpus}",
            "run": "python train.py",
            "nodes": nodes,
            "resources": {"gpu": f"{flavor.upper()}:{gpus}" if flavor else gpus, "cpu": gpus * 10, "memory": f"{gpus * 100}GB"},
            "time_limit": f"{self.dice.choice((1, 4, 12, 48))}h",
            "priority": self.dice.choices(("low", "normal", "high"), (2, 7, 1))[0],
            "preemptible": self.dice.random() < 0.5,
        }
        project = self.bench.project
        user, job = self.dice.choice(self.users), self.bench.ids.job(asked_us)
        spec = read_job(Document.of(document))
        return Job(job, project.tenant, project.id, user, queue, keep_spec(document, spec), JobState.PENDING, asked_us)

    def submit(self, jobs: list[Job]) -> None:
        for start in range(0, len(jobs), 500):
            some = jobs[start : start + 500]
            with self.bench.plane.store.write() as unit:
                roles = [Role(role_id(job.id, "main"), job.id, "main", job.spec.nodes, gang=True) for job in some]
                unit.specs.put(*{job.spec_id: job.kept for job in some}.values())
                unit.jobs.put(*some)
                unit.roles.put(*roles)
                unit.replicas.put(
                    *(Replica(replica_id(of.id, rank), of.id, of.job, rank) for of in roles for rank in range(of.replicas))
                )

    def run(self) -> int:
        """Fill the nodes, pool by pool, with jobs that run since some hours; how many there are."""
        nodes = self.bench.plane.world.nodes.values()
        placed = [pair for flavor in FLAVORS for pair in self._packed(flavor, [n for n in nodes if n.flavor == flavor])]
        self.submit([job for job, _ in placed])
        for start in range(0, len(placed), 500):
            with self.bench.plane.store.write() as unit:
                for job, place in placed[start : start + 500]:
                    at_us = job.submitted_us + MINUTE_US
                    placing = place_job(job, place, addresses={MAIN_ROLE: (place.seats[0].node, 20_000)}, cycle=0, now_us=at_us)
                    unit.jobs.put(replace(placing.job, state=JobState.RUNNING, started_us=at_us))
                    unit.attempts.put(*placing.attempts)
                    unit.leases.put(*(replace(lease, started_us=at_us) for lease in placing.leases))
                    for lease in placing.leases:
                        self.bench.machines.records[lease.id] = ReplicaRecord(lease.id, Phase.RUNNING, started_us=at_us)
        return len(placed)

    def _packed(self, flavor: str, nodes: list[Node]) -> Iterator[tuple[Job, Place]]:
        """One job after the other, until MISSES_MAX in a row found no room; small ones share a node."""
        whole, shared, left, misses = list(nodes), nodes[0], 0, 0
        while misses < MISSES_MAX:
            job = self.job(flavor)
            count, gpus = job.spec.nodes, job.spec.resources.gpu.count if job.spec.resources.gpu else 0
            small = gpus < GPUS
            if small and left < gpus and whole:
                shared, left = whole.pop(), GPUS
            if left < gpus if small else len(whole) < count:
                misses += 1
                continue
            on = [shared] if small else [whole.pop() for _ in range(count)]
            given = tuple(range(GPUS - left, GPUS - left + gpus)) if small else tuple(range(GPUS))
            left, misses = left - gpus if small else left, 0
            yield job, Place(job.id, tuple(seat(job, rank, node, given) for rank, node in enumerate(on)))


def seat(job: Job, rank: int, node: Node, gpus: tuple[int, ...]) -> Seat:
    asked = job.spec.resources
    amounts = {CPU: asked.cpu_milli, MEMORY: asked.memory_bytes, gpu_of(node.flavor): len(gpus) * MILLI}
    cost = charge(node.flavor, Amount(len(gpus), asked.cpu_milli, asked.memory_bytes))
    return Seat(rank, node.name, node.pool, node.flavor, Resources(amounts), cost, gpus, role_rank=rank)


def wrong(snapshot: Snapshot, plan: Plan) -> list[str]:
    """What must never be."""
    undecided = {job.id for job in snapshot.pending} ^ {decision.job for decision in plan.decisions}
    found = [f"{len(undecided)} jobs were not decided once"] if undecided or len(plan.decisions) != len(snapshot.pending) else []
    free = {node.name: node for node in snapshot.nodes if node.state is NodeState.READY}
    taken: Counter[tuple[str, str | int]] = Counter()
    for seat in (seat for place in plan.placements for seat in place.seats):
        taken[seat.node, CPU] += seat.resources[CPU]
        taken[seat.node, MEMORY] += seat.resources[MEMORY]
        taken.update((seat.node, gpu) for gpu in seat.gpus)
    for (name, what), amount in taken.items():
        most = free[name].free[str(what)] if isinstance(what, str) else int(what in free[name].free_gpus)
        if amount > most:
            found.append(f"{name} gave {amount} of {what}, and had {most}")
    return found


class Watch:
    """Decides, and looks at each plan after the clock was stopped."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.problems: list[str] = []
        self._last: tuple[Snapshot, Plan] | None = None

    def __call__(self, snapshot: Snapshot) -> Plan:
        begun = time.perf_counter()
        plan = decide(snapshot)
        self.took_ms.append((time.perf_counter() - begun) * 1000)
        self._last = snapshot, plan
        return plan

    def check(self) -> None:
        assert self._last is not None, "a cycle was run"
        self.problems += wrong(*self._last)


@dataclass
class Measured:
    """Milliseconds of each cycle, and of `decide` in it; the most memory the process had, in MB."""

    nodes: int
    pending: int
    running: int
    first_ms: float
    steady_ms: list[float]
    decide_ms: list[float]
    mb: float
    problems: list[str]


def measure(nodes: int, pending: int, cycles: int, seed: int) -> Measured:
    """In this process."""
    watch = Watch()
    with BenchPlane(estate(nodes), decide=watch) as bench:
        filling = Filling(bench, seed)
        running = filling.run()
        filling.submit([filling.job() for _ in range(pending)])
        times_ms = []
        for number in range(1 + cycles):
            if number:
                change(bench, filling)
            begun = time.perf_counter()
            plan = bench.plane.scheduling.run_cycle()
            times_ms.append((time.perf_counter() - begun) * 1000)
            watch.check()
            watch.problems += ["a plan was stale"] if plan is None else []
    first_ms, *steady_ms = times_ms
    return Measured(nodes, pending, running, first_ms, steady_ms, watch.took_ms[1:], most_mb(), watch.problems)


def change(bench: BenchPlane, filling: Filling) -> None:
    """Some end, as many are submitted."""
    gangs = bench.plane.world.gangs()
    for gang in filling.dice.sample(gangs, min(CHANGES, len(gangs))):
        for lease in gang.leases:
            bench.machines.end(lease.id, bench.clock.now_us())
    filling.submit([filling.job() for _ in range(CHANGES)])


def most_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def apart(nodes: int, pending: int, cycles: int, seed: int) -> Measured:
    """In a process of its own, so that memory is that of one size."""
    size = ["--nodes", str(nodes), "--pending", str(pending)]
    command = [sys.executable, __file__, *size, "--cycles", str(cycles), "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="of each size")
    parser.add_argument("--cycles", type=int, default=9, help="steady cycles a run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, help="with --pending: this size alone, its figures as JSON")
    parser.add_argument("--pending", type=int)
    asked = parser.parse_args()
    if asked.nodes and asked.pending is not None:
        print(json.dumps(asdict(measure(asked.nodes, asked.pending, asked.cycles, asked.seed))))
        return 0
    found: dict[Size, list[Measured]] = {}
    for nodes, pending in SIZES:
        runs = [apart(nodes, pending, asked.cycles, asked.seed + number) for number in range(asked.runs)]
        found[nodes, pending] = runs
        print(f"{nodes} nodes, {median(runs, lambda run: run.running):.0f} jobs running, {pending} waiting:", flush=True)
        print(f"  steady cycle, ms: {spread([ms for run in runs for ms in run.steady_ms])}")
        print(f"  of that decide, ms: {spread([ms for run in runs for ms in run.decide_ms])}")
        print(f"  first cycle, ms: {spread([run.first_ms for run in runs])}; memory, MB: {spread([run.mb for run in runs])}")
    problems = [problem for runs in found.values() for run in runs for problem in run.problems]
    print("\n".join(problems) or "nothing over capacity, everything decided")
    steady_ms = {size: median(runs, lambda run: statistics.median(run.steady_ms)) for size, runs in found.items()}
    mb = {size: median(runs, lambda run: run.mb) for size, runs in found.items()}
    (_, few), (small, many), _, large = SIZES
    more = {
        "aim": 1000,
        "first_ms": round(median(found[large], lambda run: run.first_ms)),
        "decide_ms": round(median(found[large], lambda run: statistics.median(run.decide_ms))),
        "ms_by_size": {f"{nodes}x{pending}": round(ms) for (nodes, pending), ms in steady_ms.items()},
        "mb_by_size": {f"{nodes}x{pending}": round(size_mb) for (nodes, pending), size_mb in mb.items()},
        "growth_13x_nodes": round(steady_ms[large] / steady_ms[small, many], 2),
        "growth_10x_pending": round(steady_ms[large] / steady_ms[large[0], few], 2),
    }
    Result("decide", "ms", round(steady_ms[large]), None, None, more).print()
    return 1 if problems else 0


def median(runs: Sequence[Measured], figure: Callable[[Measured], float]) -> float:
    return statistics.median(figure(run) for run in runs)


if __name__ == "__main__":
    sys.exit(main())
