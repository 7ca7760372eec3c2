"""`python -m xingliu.sim --seed N`: replay one seed, an event a line."""

import argparse
import logging
import sys
from collections import Counter

from xingliu.sim.cloud import STEPS, SimCloud, quiet
from xingliu.sim.invariants import Broken


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev sim", description="Replay one seed of the simulated cloud.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps before faults and wishes stop; default {STEPS}")
    parser.add_argument("--quiet", action="store_true", help="only the counts at the end")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    cloud = SimCloud(options.seed, steps=options.steps, tell=quiet if options.quiet else print)
    try:
        cloud.run()
    except Broken as broken:
        print(f"\nBROKEN  {broken}")
        return 1
    report(cloud)
    return 0


def report(cloud: SimCloud) -> None:
    """What happened, in numbers."""
    states = Counter(job.state for job in cloud.jobs().values())
    print(f"\nseed {cloud.seed}: every invariant held at each of {cloud.invariants.checked} checks")
    print(f"  jobs      {', '.join(f'{count} {state}' for state, count in states.most_common())}")
    print(f"  foretold  the exact end of {cloud.invariants.foretold} of them, from their scripts alone")
    print(f"  replicas  {len(cloud.machines.replicas)} on {len(cloud.machines.nodes())} nodes")
    print(f"  faults    {', '.join(f'{kind} x{count}' for kind, count in cloud.troubles.seen.most_common()) or 'none'}")
    print(f"  control plane: {cloud.processes} processes, {cloud.stale_plans} plans dropped as stale")
    print(f"  events    {len(cloud.record.events)}")


if __name__ == "__main__":
    sys.exit(main())
