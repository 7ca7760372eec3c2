"""Chance from a seed, one child a purpose, so that a new draw in one place does not change every other."""

from random import Random


class Dice:
    """All chance of one simulation."""

    def __init__(self, seed: int | str) -> None:
        self._seed = seed
        self._children: dict[str, Random] = {}

    def of(self, purpose: str) -> Random:
        """The generator of this purpose; the same one each time it is asked for."""
        if purpose not in self._children:
            self._children[purpose] = Random(f"{self._seed}/{purpose}")
        return self._children[purpose]
