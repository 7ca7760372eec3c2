"""SIGKILL of a DDP rank to the first new step, ours beside `torchrun --max-restarts 3`, the same script and machine.

Two ranks, gloo, a tiny model, 50 ms a step, a checkpoint each step. A trial kills one rank, chosen at random, at a random
moment, and waits for the next step of a new attempt. Ours runs one job through all trials; torchrun gets a new run for
each, since a trial that does not recover ends it. Both take longest to import torch twice on two cores.
What it does not show: real model sizes, where reading the checkpoint decides; several machines.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ours import Cloud
from report import Result, spread

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "bench" / "recovery_train.py"
WITHIN_S = 15.0


def torch_python() -> Path:
    told = subprocess.run([sys.executable, ROOT / "demo" / "environment.py"], capture_output=True, text=True, check=True)
    return Path(told.stdout.strip())


def ranks(folder: str) -> list[int]:
    """Processes that run the script as ranks and have `folder` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if not command[0].endswith(b"python") or b"torchrun" in b" ".join(command):
                continue
            environment = (entry / "environ").read_bytes()
        except (OSError, IndexError):
            continue
        if any(part.endswith(b"recovery_train.py") for part in command[:4]) and folder.encode() in environment:
            found.append(int(entry.name))
    return sorted(found)


def steps_after(path: Path, at_ns: int) -> list[tuple[int, int]]:
    if not path.exists():
        return []
    rows = [line.split() for line in path.read_text().splitlines()]
    return [(int(row[0]), int(row[1])) for row in rows if len(row) == 2 and int(row[0]) > at_ns]


def wait(condition: Callable[[], object], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.005)
    return False


def one_kill(folder_mark: str, steps: Path, dice: random.Random) -> float | None:
    """Seconds from the kill to the next step, None where none came in time."""
    begun = time.time_ns()
    if not wait(lambda: len(ranks(folder_mark)) == 2 and len(steps_after(steps, begun)) >= 3, 60):
        return None
    time.sleep(dice.uniform(0, 0.3))
    victim = dice.choice(ranks(folder_mark))
    others = set(ranks(folder_mark))
    killed_ns = time.time_ns()
    os.kill(victim, signal.SIGKILL)
    if not wait(lambda: others.isdisjoint(ranks(folder_mark)), WITHIN_S):
        return None
    apart_ns = time.time_ns()
    if not wait(lambda: steps_after(steps, apart_ns), WITHIN_S):
        return None
    return (steps_after(steps, apart_ns)[0][0] - killed_ns) / 1e9


def ours(trials: int, python: Path, dice: random.Random) -> tuple[list[float | None], list[int]]:
    """The gap of each trial and how many attempts it burned."""
    with Cloud() as cloud:
        file = cloud.home / "bench.yaml"
        file.write_text(
            f"""kind: cloud
flavors:
  - {{name: cpu, price: 0.05/core-hour}}
pools:
  - {{name: bench, flavor: cpu, nodes: "n[1-2]", share: {{cpu: 1, memory: 4GB}}}}
queues:
  - {{name: default}}
interpreters: {{torch: {python}}}
"""
        )
        cloud.xl("apply", str(file), "-y")
        spec = cloud.home / "train.yaml"
        workdir = cloud.home.parent / "train"
        workdir.mkdir()
        (workdir / SCRIPT.name).write_text(SCRIPT.read_text())
        spec.write_text(
            f"""kind: job
name: recovery
nodes: 2
resources: {{cpu: 1, memory: 3GB}}
python: torch
workdir: {workdir}
run: exec python {SCRIPT.name}
restart: {{on_events: [signal, "exit:1", node-failure], max: 100}}
"""
        )
        job = json.loads(cloud.xl("run", "-y", "--json", str(spec)))["id"]
        steps = cloud.home / "jobs" / job / "files" / "steps"
        client, gaps, burned = cloud.client(), [], []
        for _ in range(trials):
            before = client.request("GET", f"/v1/jobs/{job}")["attempt"]
            gaps.append(one_kill(f"XL_JOB={job}", steps, dice))
            burned.append(int(str(client.request("GET", f"/v1/jobs/{job}")["attempt"])) - max(1, int(str(before))))
            print(f"    xl: {gaps[-1]} s, {burned[-1]} attempt", flush=True)
        return gaps, burned


def torchrun(trials: int, python: Path, dice: random.Random) -> list[float | None]:
    gaps: list[float | None] = []
    for _ in range(trials):
        with tempfile.TemporaryDirectory(prefix="torchrun-") as folder:
            command = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3", SCRIPT]
            env = {**os.environ, "FOLDER": folder, "OMP_NUM_THREADS": "1"}
            with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
                gaps.append(one_kill(f"FOLDER={folder}", Path(folder) / "steps", dice))
                left = ranks(f"FOLDER={folder}")
                run.kill()
                for pid in left:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
        print(f"    torchrun: {gaps[-1]} s", flush=True)
    return gaps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--peer-trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    python, dice = torch_python(), random.Random(asked.seed)
    gaps, burned = ours(asked.trials, python, dice)
    theirs = torchrun(asked.peer_trials, python, dice)
    good, peer_good = [gap for gap in gaps if gap is not None], [gap for gap in theirs if gap is not None]
    print(f"xl: resumed {len(good)} of {asked.trials}, s: {spread(good)}; attempts burned {sorted(burned)}")
    print(f"torchrun: resumed {len(peer_good)} of {asked.peer_trials}" + (f", s: {spread(peer_good)}" if peer_good else ""))
    mine, peer = statistics.median(good), statistics.median(peer_good) if peer_good else None
    more = {"resumed": f"{len(good)}/{asked.trials}", "peer_resumed": f"{len(peer_good)}/{asked.peer_trials}"}
    ratio = round(peer / mine, 2) if peer else None
    Result("recovery", "s", round(mine, 3), round(peer, 3) if peer else None, ratio, more).print()
    return 0 if len(good) == asked.trials and all(count == 1 for count in burned) else 1


if __name__ == "__main__":
    sys.exit(main())
