"""How every bench reports: medians in words, then one JSON line."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """`ratio` is times better than the peer (above 1 is ahead), None where there is no peer; `ours` None: nothing to measure."""

    name: str
    unit: str
    ours: float | None
    peer: float | None
    ratio: float | None
    more: dict[str, object]

    def print(self) -> None:
        body = {"name": self.name, "unit": self.unit, "ours": self.ours, "peer": self.peer, "ratio": self.ratio}
        print(json.dumps({**body, **self.more}))


def spread(values: Sequence[float]) -> str:
    """`median 1.20 (1.10 to 1.30, 5 runs)`."""
    ordered = sorted(values)
    return f"median {statistics.median(ordered):.3g} ({ordered[0]:.3g} to {ordered[-1]:.3g}, {len(ordered)} runs)"
