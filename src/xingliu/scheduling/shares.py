"""Who held how much of the cloud lately, queue by queue and user by user: the less of its weight's worth, the sooner its turn.

A share is that of the kind of which most is held, so that one who holds all of the few large GPUs does not look modest
beside many who hold cores (dominant resource fairness, Ghodsi et al., NSDI 2011).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import QueueView, Used

SCALE = 10**6
Path = Callable[[QueueName], tuple[QueueView, ...]]


def held_us(amounts: Mapping[str, int], whole: Resources) -> int:
    """For how long that would have been all of the cloud there is of a kind, of the kind of which that is longest."""
    return max((amount // whole[kind] for kind, amount in amounts.items() if whole[kind]), default=0)


@dataclass(slots=True)
class _Held:
    """`share`: of these amounts, None until it is asked for."""

    amounts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    share: int | None = None

    def add(self, charge: Resources, times: int) -> None:
        self.share = None
        for kind, amount in charge.items():
            self.amounts[kind] += amount * times


class Shares:
    """The shares of one cycle; they grow as jobs are placed. `capacity` is asked for when something was held."""

    def __init__(self, used: Iterable[Used], rules: FairShare, path: Path, capacity: Callable[[], Resources]) -> None:
        self._rules, self._path, self._capacity = rules, path, capacity
        self._queues: dict[QueueName, _Held] = defaultdict(_Held)
        self._users: dict[tuple[QueueName, UserId], _Held] = defaultdict(_Held)
        for one in used:
            self._add(one.queue, one.user, one.amounts, 1)

    def place(self, queue: QueueName, user: UserId, charge: Resources) -> None:
        """It starts now: it is charged for its entry at once."""
        self._add(queue, user, charge, self._rules.entry_us)

    def _add(self, queue: QueueName, user: UserId, charge: Resources, times: int) -> None:
        self._users[queue, user].add(charge, times)
        for view in self._path(queue):
            self._queues[view.name].add(charge, times)

    def of_queue(self, view: QueueView) -> int:
        """Lower goes first: what it holds of the whole, by its weight."""
        held = self._queues.get(view.name)
        return self._of(held) * SCALE // view.weight if held is not None else 0

    def of_user(self, queue: QueueName, user: UserId) -> int:
        held = self._users.get((queue, user))
        return self._of(held) if held is not None else 0

    def _of(self, held: _Held) -> int:
        if held.share is None:
            held.share = held_us(held.amounts, self._capacity())
        return held.share
