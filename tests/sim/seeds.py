"""Which seeds are tried, and those that failed once: they stay for good."""

import os

FAILED_ONCE = (
    2,  # a commit whose writer met an error, and that nobody was told of
    9,  # a node's clock ahead of the control plane's: ended before now, released before ended
    17,  # a node that came back with leases joined anew, so that it was leased and no capacity
    22,  # a clock set back: what ended because of a hold seemed to have ended before it, and succeeded
    171,  # a secret deleted under a running job: its lease was released while it ran, after a restart
    273,  # the same, through a lost report
)
FIRST = int(os.environ.get("XL_SEED", "1000"))
COUNT = int(os.environ.get("XL_SEEDS", "200"))
SEEDS = (*FAILED_ONCE, *range(FIRST, FIRST + COUNT))
