"""The default order beside first-come that skips what does not fit, on the Philly trace by virtual cluster.

Both play the same jobs on the same fleet in virtual time, through the `decide` that production runs: each virtual cluster is
a queue, all of the same weight and without quotas. The default order is fair: shares with a memory, and what frees up is
kept for who has waited long. A job's time limit is what it ran for, which only the keeping of room looks at.

The slowdown of a tenant is the mean over its jobs of (wait + run) / run, runs under a minute counted as one; the worst is
that of the tenant slowed most, of those with at least 20 jobs. The trace is mostly of jobs that finished, 374 GPUs busy on
average, so a fleet of its real size (2,816 GPUs) makes nobody wait: 64 nodes of 8 GPUs are crowded in its busy weeks.

What it does not show: users (the trace has none), priorities, preemption.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from report import Result

from xingliu.compose.simulate import read_jobs
from xingliu.fleet.model import FairShare
from xingliu.forecast.estate import Estate, lay_out_estate
from xingliu.forecast.findings import Findings, find
from xingliu.forecast.playing import Policy, play, same_request
from xingliu.forecast.shaping import arrivals_of
from xingliu.forecast.trace import TraceJob
from xingliu.kernel.documents import Document
from xingliu.kernel.quantities import DAY_US
from xingliu.scheduling.orders import EARLIEST, FAIR, Order
from xingliu.scheduling.orders import Policy as SchedulingPolicy
from xingliu.scheduling.policy import decide

FILE = Path("philly") / "philly_jobs_sia.csv.gz"
GPUS, JOBS_LEAST = 8, 20
MORE_WAIT = 1.10
ABSENT = """There is no {file}.
It is the Philly trace as Sia's authors cleaned it: columns job_id, submit_utc, submit_s, duration_s, num_gpus, vc, from
https://github.com/siasosp23/artifacts (sia-simulator/traces/philly.csv), gzipped. Give the folder that has philly/ in it."""


def jobs_of(folder: Path, weeks: range) -> list[TraceJob]:
    """Those submitted in these weeks of the trace, counted from 0."""
    file = folder / FILE
    if not file.is_file():
        raise SystemExit(ABSENT.format(file=file))
    jobs = read_jobs(file, as_format="philly").jobs
    first_us = jobs[0].submitted_us
    return [job for job in jobs if (job.submitted_us - first_us) // (7 * DAY_US) in weeks]


def fleet_of(jobs: Sequence[TraceJob], nodes: int) -> Estate:
    """So many nodes, and a queue for each tenant."""
    tenants = sorted({job.tenant for job in jobs})
    document = {
        "kind": "cloud",
        "flavors": [{"name": "gpu", "gpu": "P100", "gpus_per_node": GPUS, "price": "1/gpu-hour"}],
        "pools": [{"name": "all", "flavor": "gpu", "nodes": f"n[0001-{nodes:04d}]"}],
        "queues": [{"name": tenant} for tenant in tenants],
        "default_queue": tenants[0],
    }
    return lay_out_estate("philly", Document.of(document, "the fleet"))


def played(jobs: Sequence[TraceJob], estate: Estate, order: Order) -> Findings:
    def tell(done: int, of: int) -> None:
        print(f"\r{order.name}: {100 * done // of}%", end="", file=sys.stderr, flush=True)

    policy = Policy(partial(decide, policy=SchedulingPolicy(order)), same_request, order.key)
    (found,) = find(play(arrivals_of(jobs, estate), replace(estate, name=order.name), policy, tell))
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return found


def worst(found: Findings) -> tuple[str, float]:
    """The tenant whose jobs were slowed most, and how much."""
    slowed = [(tenant.slowdown, tenant.tenant) for tenant in found.tenants if tenant.waits.jobs >= JOBS_LEAST]
    slowdown, tenant = max(slowed)
    return tenant, slowdown


def line(name: str, ours: float, peer: float) -> str:
    return f"{name:<28}{ours:>12.2f}{peer:>16.2f}{ours / peer if peer else 1:>10.2f}"


def by_tenant(ours: Findings, peer: Findings) -> None:
    """Each tenant's mean slowdown, most use first."""
    theirs = {tenant.tenant: tenant for tenant in peer.tenants}
    head = f"{'slowdown, fair':>18}{'first-come':>14}{'wait h, fair':>16}{'first-come':>14}"
    print(f"\n{'tenant':<10}{'jobs':>8}{'GPU-hours':>12}{head}")
    for one in ours.tenants:
        other = theirs[one.tenant]
        waits = f"{one.waits.mean_s / 3600:>16.2f}{other.waits.mean_s / 3600:>14.2f}"
        print(f"{one.tenant:<10}{one.waits.jobs:>8}{one.used_hours:>12.0f}{one.slowdown:>18.2f}{other.slowdown:>14.2f}{waits}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder that has philly/philly_jobs_sia.csv.gz in it")
    parser.add_argument("--weeks", default="2-3", help="of the trace, from 0 to 15; the first and the last: 2-3 by default")
    parser.add_argument("--nodes", type=int, default=64, help="of 8 GPUs")
    given = parser.parse_args()
    first, _, last = given.weeks.partition("-")
    jobs = jobs_of(given.folder, range(int(first), int(last or first) + 1))
    estate = fleet_of(jobs, given.nodes)
    print(f"{len(jobs):,} jobs of weeks {given.weeks}, {len(estate.queues)} virtual clusters, {given.nodes} nodes of {GPUS} GPUs")
    ours = played(jobs, estate, FAIR)
    peer = played(jobs, replace(estate, fair=FairShare(reserve_after_us=None)), EARLIEST)
    (tenant, slowed), (other, theirs) = worst(ours), worst(peer)
    print(f"\n{'':<28}{'fair':>12}{'first-come':>16}{'ratio':>10}")
    print(line("wait, mean (h)", ours.waits.mean_s / 3600, peer.waits.mean_s / 3600))
    print(line("wait, 99 in 100 at most (h)", ours.waits.p99_s / 3600, peer.waits.p99_s / 3600))
    print(line("slowdown, worst tenant", slowed, theirs) + f"   {tenant}; {other}")
    print(line("slowdown, mean", ours.slowdown, peer.slowdown))
    print(line("GPUs in use, mean (%)", 100 * ours.busy_mean, 100 * peer.busy_mean))
    by_tenant(ours, peer)
    met = slowed < theirs and ours.waits.mean_s <= MORE_WAIT * peer.waits.mean_s
    print(f"\nThe aim, a better worst slowdown for at most 10% more average wait, is {'met' if met else 'NOT met'}.\n")
    more = {"wait_h": ours.waits.mean_s / 3600, "peer_wait_h": peer.waits.mean_s / 3600, "aim_met": met}
    Result("fairness", "worst tenant's slowdown", slowed, theirs, theirs / slowed, more).print()


if __name__ == "__main__":
    main()
