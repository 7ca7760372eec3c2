"""The keys of a queue in an operator file, as data: a tree of them, written as `children`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xingliu.fleet.model import QueueOrder
from xingliu.kernel.keytables import Key, Table
from xingliu.kernel.problems import Path
from xingliu.kernel.quantities import DAY_US, duration, milli
from xingliu.kernel.shapes import choice, list_of, mapping_of, name, whole

LISTED_MAX = 1000
LEVELS_MAX = 4
WEIGHT_MAX = 1_000_000
MIN_RUNTIME_MAX_US = 30 * DAY_US

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QueueLines:
    """Amounts are thousandths of a core or GPU by flavor; None is without bound."""

    name: str
    quota: Amounts | None = None
    borrow_limit: Amounts | None = None
    lend_limit: Amounts | None = None
    user_limit: Amounts | None = None
    project_limit: Amounts | None = None
    weight: int = 1
    min_runtime_us: int = 0
    order: QueueOrder | None = None
    children: tuple["QueueLines", ...] = ()


_AMOUNTS = mapping_of(
    milli(least=0, most=10**12, what="cores or GPUs"),
    most=LISTED_MAX,
    what="quotas by flavor",
    key=r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    key_hint="Name a flavor of this file: {h100: 64}.",
)
_KEYS = (
    Key("name", name("a queue"), "What jobs say.", required=True),
    Key("quota", _AMOUNTS, "Its own share, by flavor: GPUs, or cores where it has none; default no bound."),
    Key("borrow_limit", _AMOUNTS, "How much more preemptible jobs may hold while others leave it; default no bound."),
    Key("lend_limit", _AMOUNTS, "How much of its quota others may hold while it does not; default all of it."),
    Key("user_limit", _AMOUNTS, "What one user may hold in it; default no bound."),
    Key("project_limit", _AMOUNTS, "What one project may hold in it; default no bound."),
    Key("weight", whole(1, WEIGHT_MAX), "Its part of what is left over, against the queues beside it; default 1."),
    Key(
        "min_runtime",
        duration(most_us=MIN_RUNTIME_MAX_US),
        "How long a job runs before it may be stopped for others; default 0s.",
        "min_runtime_us",
    ),
    Key(
        "order",
        choice(QueueOrder),
        "Whose turn it is in it, below priority: fair (the user who held least lately), first-come (nobody passes its head), "
        "shortest-first (by time limit), deadline (the earliest; none last); default that of the queue above it, else fair.",
    ),
)


def _table(levels: int) -> Table:
    """Keys of a queue with at most that many levels of queues below it."""
    below: tuple[Key, ...] = ()
    if levels:
        shape = list_of(_table(levels - 1).shape(), most=LISTED_MAX, what="queues")
        below = (Key("children", shape, f"Queues below it, at most {LEVELS_MAX} levels in all; then jobs go to those."),)
    return Table(
        keys=(*_KEYS, *below),
        make=QueueLines,
        elsewhere={
            "nominalquota": "quota",
            "deserved": "quota",
            "limits": "quota",
            "limit": "quota",
            "borrowinglimit": "borrow_limit",
            "lendinglimit": "lend_limit",
            "overquotaweight": "weight",
            "shares": "weight",
            "preemptminruntime": "min_runtime",
            "queues": "children",
            "queueingstrategy": "order",
            "strategy": "order",
            "queue_policy": "order",
        },
    )


QUEUE = _table(LEVELS_MAX - 1)


def flattened(
    queues: Sequence[QueueLines], parent: str | None = None, path: Path = ("queues",)
) -> Iterator[tuple[Path, str | None, QueueLines]]:
    """Every queue with its place in the file and its parent, parents first."""
    for number, queue in enumerate(queues):
        here = (*path, number)
        yield here, parent, queue
        yield from flattened(queue.children, queue.name, (*here, "children"))
