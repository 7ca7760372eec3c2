"""From nothing running to the first finished job: `xl up` here, Debian's Slurm there, in the same run.

Ours: an empty XL_HOME, `xl up --detach`, `xl run -y --wait -- true`: database, keys, isolation checks and all.
Slurm: configured, nothing running: munged, slurmctld and one slurmd, until a first `srun true` has ended.
What it does not show: installation (packages and virtual environment) and writing slurm.conf, which ours does not need.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from ours import Cloud
from peers.slurm import Slurm
from report import Result, spread


def ours() -> float:
    cloud = Cloud()
    try:
        begun = time.monotonic()
        cloud.up()
        cloud.xl("run", "-y", "--wait", "--", "true")
        return time.monotonic() - begun
    finally:
        cloud.__exit__()


def slurm() -> float:
    with tempfile.TemporaryDirectory(prefix="slurm-bench-") as folder:
        peer = Slurm(Path(folder), nodes=1, cpus=2)
        peer.configure()
        try:
            begun = time.monotonic()
            peer.start()
            peer.wait_ready()
            peer.command("srun", "-N1", "true")
            return time.monotonic() - begun
        finally:
            peer.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    our_s, peer_s = [], []
    for number in range(runs):
        our_s.append(ours())
        peer_s.append(slurm())
        print(f"run {number + 1} of {runs}: xl {our_s[-1]:.2f} s, Slurm {peer_s[-1]:.2f} s", flush=True)
    print(f"xl up to first finished job, s: {spread(our_s)}")
    print(f"Slurm daemons to first srun, s: {spread(peer_s)}")
    mine, peer = statistics.median(our_s), statistics.median(peer_s)
    Result("first_job", "s", round(mine, 3), round(peer, 3), round(peer / mine, 2), {}).print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
