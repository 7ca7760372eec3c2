"""What queues may hold, and what they hold as a cycle goes on."""

from collections.abc import Iterable, Mapping

from xingliu.kernel.ids import FlavorName, QueueName
from xingliu.kernel.resources import MILLI, Resources, cpu_of, gpu_of
from xingliu.scheduling.model import QueueView
from xingliu.scheduling.room import Amount


def charge(flavor: FlavorName, asked: Amount) -> Resources:
    """What one seat on a node of `flavor` costs its queue, by quota kind: its GPUs and its cores."""
    return Resources({gpu_of(flavor): asked.gpus * MILLI, cpu_of(flavor): asked.cpu_milli})


class Quotas:
    """Queues with their bounds. A queue that nobody knows may hold nothing.

    Where a quota is given, a kind it does not name is bound to zero, except the cores of a flavor with GPUs: there GPUs
    are what is rationed, and cores are unbound unless the quota names them.
    """

    def __init__(self, queues: Iterable[QueueView], models: Mapping[FlavorName, str | None]) -> None:
        self._queues = {queue.name: queue for queue in queues}
        self._in_use = {queue.name: queue.in_use for queue in self._queues.values()}
        self._unbound = frozenset(cpu_of(flavor) for flavor, model in models.items() if model)

    def held(self, queue: QueueName) -> bool:
        return queue in self._queues and self._queues[queue].held

    def in_use(self, queue: QueueName) -> Resources:
        return self._in_use.get(queue, Resources())

    def bound(self, queue: QueueName) -> Resources | None:
        """The quota; None is without bound."""
        return self._queues[queue].quota if queue in self._queues else Resources()

    def over(self, queue: QueueName, asked: Resources, held: Resources) -> list[str]:
        """The kinds in which `held` and `asked` together are more than the queue may hold."""
        quota = self.bound(queue)
        if quota is None:
            return []
        return [
            kind
            for kind, amount in asked.items()
            if held[kind] + amount > quota[kind] and not (kind in self._unbound and kind not in quota)
        ]

    def admits(self, queue: QueueName, asked: Resources) -> bool:
        """Whether the queue may hold `asked` beside what it holds now."""
        return not self.over(queue, asked, self.in_use(queue))

    def could_admit(self, queue: QueueName, asked: Resources) -> bool:
        """Whether the queue could hold `asked` if it held nothing else."""
        return not self.over(queue, asked, Resources())

    def take(self, queue: QueueName, asked: Resources) -> None:
        self._in_use[queue] = self.in_use(queue) + asked
