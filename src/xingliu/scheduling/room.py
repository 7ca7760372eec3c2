"""The index of what is free. A `Room` is the only mutable thing here, and it does not leave one `decide`.

A `Shelf` holds the nodes of one flavor in cells by (free GPUs, free cores); in a cell they are sorted by free memory,
largest first, so that the number of nodes a request fits is one bisection and the tightest of them stands right before
that point. A question costs O(cells x log nodes); the number of cells is that of distinct free (GPUs, cores), not of nodes.
"""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from xingliu.fleet.model import NodeState
from xingliu.kernel.ids import FlavorName, NodeName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, gpu_of
from xingliu.scheduling.model import NodeView, Seat
from xingliu.workloads.model import GpuRequest, ResourceRequest


class Amount(NamedTuple):
    """Of one node: whole GPUs, millicores, bytes. Compares as tight packing does: GPUs first, then cores, then memory."""

    gpus: int
    cpu_milli: int
    memory_bytes: int


NOTHING = Amount(0, 0, 0)


class Spot(NamedTuple):
    """A node by its number in name order, and what is free on it."""

    free: Amount
    node: int


Taken = tuple[NodeView, tuple[int, ...]]


def suits(gpu: GpuRequest | None, model: str | None) -> bool:
    """Whether nodes with GPUs of `model` (None: without) have the kind of GPU asked for; without GPUs, any node does."""
    if gpu is None:
        return True
    return model is not None and (gpu.model is None or gpu.model.casefold() == model.casefold())


def amount_asked(request: ResourceRequest) -> Amount:
    return Amount(request.gpu.count if request.gpu else 0, request.cpu_milli, request.memory_bytes)


def amount_free(node: NodeView) -> Amount:
    """GPUs are counted by their indices: one without an index cannot be handed out."""
    return Amount(len(node.free_gpus), node.free[CPU], node.free[MEMORY])


def amount_of(seat: Seat) -> Amount:
    return Amount(len(seat.gpus), seat.resources[CPU], seat.resources[MEMORY])


def amount_whole(node: NodeView) -> Amount:
    capacity = node.capacity
    return Amount(capacity[gpu_of(node.flavor)] // MILLI if node.gpu else 0, capacity[CPU], capacity[MEMORY])


class Shelf:
    """Nodes of one flavor by amount."""

    __slots__ = ("_cells", "_cores")

    def __init__(self, spots: Iterable[Spot] = ()) -> None:
        self._cells: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for (gpus, cores, memory), node in spots:
            self._cells.setdefault((gpus, cores), []).append((-memory, -node))
        self._cores: dict[int, list[int]] = {}
        for (gpus, cores), cell in self._cells.items():
            cell.sort()
            self._cores.setdefault(gpus, []).append(cores)
        for levels in self._cores.values():
            levels.sort()

    def copy(self) -> "Shelf":
        twin = Shelf()
        twin._cells = {key: cell.copy() for key, cell in self._cells.items()}
        twin._cores = {gpus: levels.copy() for gpus, levels in self._cores.items()}
        return twin

    def put(self, spot: Spot) -> None:
        (gpus, cores, memory), node = spot
        cell = self._cells.get((gpus, cores))
        if cell is None:
            self._cells[gpus, cores] = [(-memory, -node)]
            insort(self._cores.setdefault(gpus, []), cores)
        else:
            insort(cell, (-memory, -node))

    def _fitting(self, asked: Amount) -> Iterator[tuple[tuple[int, int], int]]:
        """Cells with room, tightest first, and how many of each one's nodes (its first) have the memory too."""
        for gpus in sorted(self._cores):
            if gpus < asked.gpus:
                continue
            levels = self._cores[gpus]
            for cores in levels[bisect_left(levels, asked.cpu_milli) :]:
                fit = bisect_right(self._cells[gpus, cores], (-asked.memory_bytes, 1))
                if fit:
                    yield (gpus, cores), fit

    def count(self, asked: Amount, enough: int | None = None) -> int:
        """How many nodes `asked` fits; stops counting at `enough`."""
        total = 0
        for _, fit in self._fitting(asked):
            total += fit
            if enough is not None and total >= enough:
                return enough
        return total

    def tightest(self, asked: Amount, most: int) -> list[Spot]:
        """At most `most` nodes that `asked` fits, those with the least to spare first."""
        found: list[Spot] = []
        for (gpus, cores), fit in self._fitting(asked):
            cell = self._cells[gpus, cores]
            for index in range(fit - 1, max(-1, fit - 1 - (most - len(found))), -1):
                memory, node = cell[index]
                found.append(Spot(Amount(gpus, cores, -memory), -node))
            if len(found) == most:
                break
        return found

    def first(self, asked: Amount, most: int) -> list[Spot]:
        """At most `most` nodes that `asked` fits, first by name."""
        fitting = (
            Spot(Amount(gpus, cores, -memory), -node)
            for (gpus, cores), fit in self._fitting(asked)
            for memory, node in self._cells[gpus, cores][:fit]
        )
        return heapq.nsmallest(most, fitting, key=lambda spot: spot.node)

    def take(self, spot: Spot) -> None:
        """Remove a node that is here."""
        (gpus, cores, memory), node = spot
        cell = self._cells[gpus, cores]
        del cell[bisect_left(cell, (-memory, -node))]
        if not cell:
            del self._cells[gpus, cores]
            self._cores[gpus].remove(cores)
            if not self._cores[gpus]:
                del self._cores[gpus]

    def largest(self) -> Spot | None:
        """The node with the most GPUs, then cores, then memory."""
        if not self._cores:
            return None
        gpus = max(self._cores)
        cores = self._cores[gpus][-1]
        memory, node = self._cells[gpus, cores][0]
        return Spot(Amount(gpus, cores, -memory), -node)


Pick = Callable[[Shelf, Amount, int], list[Spot]]


class Stock(tuple[NodeView, ...]):
    """The nodes of a snapshot in order of name, and what follows from them alone: found when first asked for, then kept.

    A tuple never changes, so what was found holds as long as the tuple does. Nodes go by number: their place in it.
    """

    @classmethod
    def of(cls, nodes: Iterable[NodeView]) -> "Stock":
        return nodes if isinstance(nodes, cls) else cls(sorted(nodes, key=lambda node: node.name))

    def changed(self, views: Sequence[NodeView]) -> "Stock":
        """The same with those in place of the nodes of their names. Where only what is free changed, all else is kept."""
        nodes, numbers = list(self), [self.numbers[view.name] for view in views]
        for number, view in zip(numbers, views, strict=True):
            nodes[number] = view
        after = Stock(nodes)
        if all(_in_same_use(self[number], after[number]) for number in numbers):
            after.__dict__ |= {name: found for name, found in self.__dict__.items() if name not in ("free", "shelves")}
            after._move(self, numbers)
        return after

    def _move(self, before: "Stock", numbers: Iterable[int]) -> None:
        """What was free on the nodes before, but for those."""
        free, shelves = list(before.free), before.copied_shelves()
        for number in numbers:
            shelf = shelves[self[number].flavor]
            shelf.take(Spot(free[number], number))
            free[number] = amount_free(self[number])
            shelf.put(Spot(free[number], number))
        self.__dict__ |= {"free": free, "shelves": shelves}

    @cached_property
    def numbers(self) -> dict[NodeName, int]:
        return {node.name: number for number, node in enumerate(self)}

    @cached_property
    def models(self) -> dict[FlavorName, str | None]:
        models: dict[FlavorName, str | None] = {}
        for node in self:
            models.setdefault(node.flavor, node.gpu)
        return models

    @cached_property
    def free(self) -> list[Amount]:
        return [amount_free(node) for node in self]

    @cached_property
    def shelves(self) -> dict[FlavorName, Shelf]:
        """What is free on the ready nodes. Who takes from it takes from `copied_shelves`."""
        return self.shelved(lambda number, node: self.free[number] if node.state is NodeState.READY else None)

    def copied_shelves(self) -> dict[FlavorName, Shelf]:
        return {flavor: shelf.copy() for flavor, shelf in self.shelves.items()}

    @cached_property
    def whole(self) -> dict[FlavorName, Shelf]:
        """All nodes that are not retired, as if they were empty."""
        return self.shelved(lambda _, node: None if node.state is NodeState.RETIRED else amount_whole(node))

    @cached_property
    def whole_ready(self) -> dict[FlavorName, Shelf]:
        """The ready nodes, as if they were empty."""
        return self.shelved(lambda _, node: amount_whole(node) if node.state is NodeState.READY else None)

    @cached_property
    def free_elsewhere(self) -> dict[FlavorName, Shelf]:
        """What is free on nodes that are out of service: neither ready nor retired."""
        return self.shelved(lambda number, node: self.free[number] if _out_of_service(node) else None)

    @cached_property
    def out_of_service(self) -> dict[FlavorName, list[NodeView]]:
        found: dict[FlavorName, list[NodeView]] = {flavor: [] for flavor in self.models}
        for node in self:
            if _out_of_service(node):
                found[node.flavor].append(node)
        return found

    @cached_property
    def whole_counts(self) -> Counter[tuple[FlavorName, Amount]]:
        """How many nodes that are not retired there are of each flavor and size."""
        return Counter((node.flavor, amount_whole(node)) for node in self if node.state is not NodeState.RETIRED)

    def shelved(self, amount: Callable[[int, NodeView], Amount | None]) -> dict[FlavorName, Shelf]:
        """So much of each node, by its number; nothing of those for which it is None."""
        spots: dict[FlavorName, list[Spot]] = {flavor: [] for flavor in sorted(self.models)}
        for number, node in enumerate(self):
            found = amount(number, node)
            if found is not None:
                spots[node.flavor].append(Spot(found, number))
        return {flavor: Shelf(of_flavor) for flavor, of_flavor in spots.items()}


def _out_of_service(node: NodeView) -> bool:
    return node.state not in (NodeState.READY, NodeState.RETIRED)


def _in_same_use(before: NodeView, after: NodeView) -> bool:
    """Whether both are ready and differ in no more than what is free."""
    as_before = before.flavor, before.gpu, before.capacity, NodeState.READY, NodeState.READY
    return as_before == (after.flavor, after.gpu, after.capacity, before.state, after.state)


class Room:
    """What is free on the ready nodes, and what placing and keeping takes from it. It only shrinks. Nodes go by number."""

    def __init__(self, nodes: Iterable[NodeView], pick: Pick = Shelf.tightest) -> None:
        self._pick = pick
        self.nodes = Stock.of(nodes)
        self.models = self.nodes.models
        self.shelves = self.nodes.copied_shelves()
        self._numbers = self.nodes.numbers
        self._gpus: dict[int, tuple[int, ...]] = {}
        self._left: dict[int, Amount] = {}
        self._kept: dict[int, Amount] = {}
        self._all_kept: dict[int, Amount] = {}
        self._at_most: dict[tuple[FlavorName, Amount], int] = {}

    def ready_number(self, name: NodeName) -> int | None:
        """The node's number; None where it is not there or not ready."""
        number = self._numbers.get(name)
        return number if number is not None and self.nodes[number].state is NodeState.READY else None

    def left(self, number: int) -> Amount:
        """What is free on that node now."""
        return self._left[number] if number in self._left else self.nodes.free[number]

    def fits(self, flavor: FlavorName, asked: Amount, replicas: int) -> bool:
        """Whether `replicas` nodes of the flavor have room. What did not fit is remembered: the room only shrinks."""
        known = self._at_most.get((flavor, asked))
        if known is not None and known < replicas:
            return False
        found = self.shelves[flavor].count(asked, replicas)
        if found < replicas:
            self._at_most[flavor, asked] = found
        return found >= replicas

    def pick(self, flavor: FlavorName, asked: Amount, replicas: int) -> list[int]:
        """Nodes for it, which `fits` said there are, in order."""
        return sorted(spot.node for spot in self._pick(self.shelves[flavor], asked, replicas))

    def take_on(self, flavor: FlavorName, asked: Amount, numbers: Iterable[int]) -> list[Taken]:
        """Take those nodes, which have the room: each with its lowest free GPU indices, in node order."""
        return [self._take(self.shelves[flavor], asked, number) for number in sorted(numbers)]

    def keep(self, flavor: FlavorName, asked: Amount, number: int, *, promised: bool) -> None:
        """Keep what is free there, up to what is asked, from everyone in this cycle; `promised`: while others let go there."""
        part = Amount(*(min(have, want) for have, want in zip(self.left(number), asked, strict=True)))
        self._take(self.shelves[flavor], part, number)
        for kept in (self._all_kept,) if promised else (self._all_kept, self._kept):
            kept[number] = both(kept.get(number, NOTHING), part)

    def fitted_at_first(self, flavor: FlavorName, asked: Amount) -> int:
        """How many nodes of the flavor it fitted before anything was taken or kept."""
        touched = (number for number in self._left if self.nodes[number].flavor == flavor)
        free = self.nodes.free
        lost = sum(covers(free[number], asked) and not covers(self._left[number], asked) for number in touched)
        return self.shelves[flavor].count(asked) + lost

    def no_longer_fit(self, seats: Iterable[Seat], asked: Amount) -> int:
        """How many nodes that it fitted at first do not fit it beside those seats."""
        taken: dict[int, Amount] = {}
        for seat in seats:
            number = self._numbers[seat.node]
            taken[number] = both(taken.get(number, NOTHING), amount_of(seat))
        free = self.nodes.free
        return sum(covers(free[number], asked) and not covers(free[number], both(taken[number], asked)) for number in taken)

    def keeps(self, *, promised: bool) -> bool:
        """Whether anything is kept; `promised`: or promised."""
        return bool(self._all_kept if promised else self._kept)

    def kept(self, flavor: FlavorName, asked: Amount, *, promised: bool) -> int:
        """How many nodes of the flavor would have room but for what is kept there; `promised`: or promised."""
        kept = self._all_kept if promised else self._kept
        mine = (number for number in kept if self.nodes[number].flavor == flavor)
        return sum(
            not covers(self.left(number), asked) and covers(both(self.left(number), kept[number]), asked) for number in mine
        )

    def _take(self, shelf: Shelf, asked: Amount, number: int) -> Taken:
        node, free = self.nodes[number], self.left(number)
        shelf.take(Spot(free, number))
        gpus = self._gpus[number] if number in self._gpus else tuple(sorted(node.free_gpus))
        self._gpus[number] = gpus[asked.gpus :]
        self._left[number] = less(free, asked)
        shelf.put(Spot(self._left[number], number))
        return node, gpus[: asked.gpus]


def covers(free: Amount, asked: Amount) -> bool:
    return free.gpus >= asked.gpus and free.cpu_milli >= asked.cpu_milli and free.memory_bytes >= asked.memory_bytes


def both(one: Amount, other: Amount) -> Amount:
    """The two together."""
    return Amount(one.gpus + other.gpus, one.cpu_milli + other.cpu_milli, one.memory_bytes + other.memory_bytes)


def less(free: Amount, taken: Amount) -> Amount:
    return Amount(free.gpus - taken.gpus, free.cpu_milli - taken.cpu_milli, free.memory_bytes - taken.memory_bytes)
