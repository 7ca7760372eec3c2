"""Resources: a vector of whole numbers by kind.

Kinds: `cpu` in millicores, `memory` in bytes, `gpu.<flavor>` in milli-GPU, `cpu.<flavor>` (queues count cores by flavor).
"""

from collections.abc import ItemsView, Iterator, Mapping

CPU = "cpu"
MEMORY = "memory"
MILLI = 1000


def gpu_of(flavor: str) -> str:
    return f"gpu.{flavor}"


def cpu_of(flavor: str) -> str:
    return f"cpu.{flavor}"


class Resources(Mapping[str, int]):
    """Immutable; a kind that is absent is zero, and zeros are not kept."""

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Mapping[str, int] | None = None) -> None:
        self._amounts = {kind: amount for kind, amount in sorted((amounts or {}).items()) if amount}

    def __getitem__(self, kind: str) -> int:
        return self._amounts.get(kind, 0)

    def __contains__(self, kind: object) -> bool:
        return kind in self._amounts

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def items(self) -> ItemsView[str, int]:
        return self._amounts.items()

    def __hash__(self) -> int:
        return hash(tuple(self._amounts.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resources) and self._amounts == other._amounts

    def __repr__(self) -> str:
        return f"Resources({self._amounts})"

    def __add__(self, other: "Resources") -> "Resources":
        return Resources({kind: self[kind] + other[kind] for kind in {**self._amounts, **other._amounts}})

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources({kind: self[kind] - other[kind] for kind in {**self._amounts, **other._amounts}})

    def __mul__(self, count: int) -> "Resources":
        return Resources({kind: amount * count for kind, amount in self._amounts.items()})

    def within(self, bound: "Resources") -> bool:
        """Whether every kind asked for here is covered by `bound`."""
        return all(amount <= bound[kind] for kind, amount in self._amounts.items())
