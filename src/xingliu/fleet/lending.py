"""What queues hold of each other's shares."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from xingliu.fleet.model import Queue
from xingliu.kernel.ids import QueueName
from xingliu.kernel.resources import Resources


def lent(queues: Iterable[Queue], in_use: Mapping[QueueName, Resources]) -> dict[QueueName, Resources]:
    """How much of its quota others of the same parent hold now; queues that lend nothing are left out.

    What some hold above their quota comes from what the others leave of theirs and lend: from each in proportion to that.

    Args:
        in_use: by each queue and those below it, by quota kind.
    """
    beside: dict[QueueName | None, list[Queue]] = defaultdict(list)
    for queue in sorted(queues, key=lambda queue: queue.name):
        beside[queue.parent].append(queue)
    found: dict[QueueName, dict[str, int]] = defaultdict(dict)
    for group in beside.values():
        for kind in sorted({kind for queue in group for kind in queue.quota or ()}):
            for name, amount in _lent_among(group, kind, in_use).items():
                found[name][kind] = amount
    return {name: Resources(amounts) for name, amounts in found.items()}


def _lent_among(group: Iterable[Queue], kind: str, in_use: Mapping[QueueName, Resources]) -> dict[QueueName, int]:
    borrowed, offered = 0, {}
    for queue in group:
        if queue.quota is None:
            continue
        spare = queue.quota[kind] - in_use.get(queue.name, Resources())[kind]
        borrowed += max(0, -spare)
        offer = spare if queue.lend_limit is None else min(spare, queue.lend_limit[kind])
        if offer > 0:
            offered[queue.name] = offer
    return _split(min(borrowed, sum(offered.values())), offered)


def _split(amount: int, offered: Mapping[QueueName, int]) -> dict[QueueName, int]:
    """In proportion, in whole numbers: parts are cut where the running total of what was offered says."""
    parts, total, seen, given = {}, sum(offered.values()), 0, 0
    for name, offer in offered.items():
        seen += offer
        part = amount * seen // total - given
        given += part
        if part:
            parts[name] = part
    return parts
