"""A backlog of jobs, drawn from a seed, and what it means for a cluster: the same for whoever schedules it."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Shape = tuple[int, int]

# Nodes, GPUs on each: what is asked for by how many of a hundred jobs.
ON_GPUS: dict[Shape, int] = {
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
WHOLE_NODES: dict[Shape, int] = {(1, 0): 40, (2, 0): 20, (4, 0): 15, (8, 0): 12, (16, 0): 8, (32, 0): 5}


@dataclass(frozen=True)
class Asked:
    """One job: how many nodes, GPUs on each of them, and for how long."""

    number: int
    nodes: int
    gpus: int
    seconds: int

    @property
    def name(self) -> str:
        return f"j{self.number:05d}"


def draw(count: int, shapes: dict[Shape, int], seconds: Sequence[int], seed: int) -> list[Asked]:
    dice = random.Random(seed)
    drawn = dice.choices(list(shapes), list(shapes.values()), k=count)
    return [Asked(number, *shape, dice.choice(seconds)) for number, shape in enumerate(drawn)]


def overfilled(given: Iterable[tuple[str, int]], most: int) -> list[str]:
    """Nodes that gave more than they have. `given`: node and how much of it, for each job that holds some."""
    taken: dict[str, int] = {}
    for node, amount in given:
        taken[node] = taken.get(node, 0) + amount
    return [f"{node} gave {amount} of {most}" for node, amount in taken.items() if amount > most]


def overlapping(spans: Iterable[tuple[str, float, float]]) -> list[str]:
    """Nodes that two jobs had at once. `spans`: node, from when, until when."""
    free_at: dict[str, float] = {}
    found = []
    for node, begin, end in sorted(spans, key=lambda span: span[1:]):
        if begin < free_at.get(node, begin):
            found.append(f"{node} was given at {begin} and free at {free_at[node]}")
        free_at[node] = max(end, free_at.get(node, end))
    return found
