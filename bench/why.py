"""How long `xl why` and `xl plan` wait for their answer where much runs and much waits: 13,000 nodes of 8 GPUs, 10,000 jobs.

The cloud of `bench/decide.py`, whole: written into a SQLite file as the control plane keeps it, a few
cycles run, then the real API over HTTP on loopback, client and server in this process. Each request is for another job:
`why` of one that waits, `plan` of a job file of the same mix. The first request after a cycle is reported by itself: what holds
until the next cycle is found then.
What it does not show: a cycle that turns at the same time, which takes turns with requests for Python's lock. No peer ran.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from decide import Filling, estate
from plane import BenchPlane
from report import Result

from xingliu.adapters.blobs import FileBlobs
from xingliu.adapters.sealer import FileSealer
from xingliu.api.app import create_app
from xingliu.control.services import About, Ports, services_over
from xingliu.sim.estate import SimMachine

CYCLES = 4


@contextmanager
def api_over(bench: BenchPlane, folder: Path) -> Iterator[httpx.Client]:
    """The API of that plane and a client with an administrator's key."""
    plane = bench.plane
    blobs = FileBlobs(folder / "blobs")
    nothing: Any = None  # no request here asks for files or shells
    ports = Ports(plane.store, bench.clock, bench.ids, FileSealer(folder / "key"), SimMachine(), blobs, nothing, nothing)
    services = services_over(
        ports,
        About("bench", False),
        world=plane.world,
        scheduling=plane.scheduling,
        forecasts=plane.forecasts,
        wake=lambda: None,
        check_space=lambda: None,
    )
    _, key = services.keys.create(bench.actor, bench.actor.user)
    config = uvicorn.Config(create_app(services), port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    plane.forecasts.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=600) as client:
            yield client
    finally:
        plane.forecasts.stop()
        server.should_exit = True
        thread.join()


def timed(requests: Sequence[Callable[[], httpx.Response]]) -> tuple[list[float], list[dict[str, Any]]]:
    """Milliseconds of each, and its answer."""
    took_ms, answers = [], []
    for ask in requests:
        begun = time.perf_counter()
        answer = ask()
        took_ms.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
        answers.append(answer.json())
    return took_ms, answers


def said(name: str, took_ms: Sequence[float]) -> dict[str, float]:
    """Printed in words, and as figures."""
    first_ms, *rest_ms = took_ms
    ordered = sorted(rest_ms)
    found = {
        "p50_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[len(ordered) * 99 // 100], 1),
        "max_ms": round(ordered[-1], 1),
        "first_ms": round(first_ms, 1),
    }
    print(
        f"{name}: p50 {found['p50_ms']}, p99 {found['p99_ms']}, most {found['max_ms']} ms; first {found['first_ms']} ms",
        flush=True,
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=13_000)
    parser.add_argument("--pending", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with BenchPlane(estate(asked.nodes)) as bench, tempfile.TemporaryDirectory(prefix="xl-bench-") as folder:
        filling = Filling(bench, asked.seed)
        running = filling.run()
        filling.submit([filling.job() for _ in range(asked.pending)])
        for _ in range(CYCLES):
            bench.plane.scheduling.run_cycle()
        waiting = sorted(bench.plane.scheduling.waits)
        print(f"{asked.nodes} nodes, {running} jobs running, {len(waiting)} waiting, after {CYCLES} cycles", flush=True)
        jobs = filling.dice.sample(waiting, min(len(waiting), asked.requests + 1))
        documents = [dict(filling.job().kept.document) for _ in range(asked.requests + 1)]
        with api_over(bench, Path(folder)) as client:
            why_ms, answers = timed([lambda job=job: client.get(f"/v1/jobs/{job}/why") for job in jobs])
            body = {"project": bench.project.id}
            plan_ms, plans = timed(
                [
                    lambda document=document: client.post("/v1/jobs:plan", json={"document": document, **body})
                    for document in documents
                ]
            )
    named = Counter(
        ((answer["advice"] or {}).get("change") and answer["advice"]["change"]["kind"]) or "nothing" for answer in answers
    )
    print(f"reasons: {dict(Counter(answer['reason'] for answer in answers))}; changes named: {dict(named)}")
    print(f"verdicts: {dict(Counter(answer['verdict'] for answer in plans))}")
    why, plan = said("why", why_ms), said("plan", plan_ms)
    Result("why", "ms", why["p50_ms"], None, None, {"aim": 50, "why": why, "plan": plan}).print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
