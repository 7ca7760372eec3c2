"""The difference between what a cloud is and what its operator file says, as a list that people can read.

A section that the file leaves out, or leaves empty, stays as it is. Nodes that the file no longer names are retired, not
forgotten, and their pools and flavors stay with them: what they were leased for is still to be accounted for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from xingliu.fleet.declared import CloudFile
from xingliu.fleet.fair_keys import show_fair_share
from xingliu.fleet.mail_keys import MAIL
from xingliu.fleet.model import CloudSettings, Flavor, Node, NodeState, Pool, Queue
from xingliu.kernel.ids import FlavorName, NodeName, PoolName, QueueName
from xingliu.kernel.keytables import write_table
from xingliu.kernel.money import show_price
from xingliu.kernel.units import show_duration

Shown = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything an operator file can change, by name; `interpreters` as they were last applied."""

    settings: CloudSettings
    flavors: Mapping[FlavorName, Flavor]
    pools: Mapping[PoolName, Pool]
    queues: Mapping[QueueName, Queue]
    nodes: Mapping[NodeName, Node]
    interpreters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `change` is create, update, delete, or retire; `before` and `after` are of JSON types."""

    noun: str
    name: str
    change: str
    before: Shown | None
    after: Shown | None

    @property
    def sentence(self) -> str:
        """What it means, in one line."""
        if self.before is None:
            return f"{self.noun} {self.name} is created: {_list_of(self.after or {})}"
        if self.after is None:
            return f"{self.noun} {self.name} is {self.change}d"
        parts = [f"{key} {_word(self.before.get(key))} becomes {_word(value)}" for key, value in self.after.items()]
        return f"{self.noun} {self.name} changes: {', '.join(parts)}"


def compare(now: Fleet, cloud: CloudFile, nodes: Iterable[Node]) -> tuple[Change, ...]:
    """What applying `cloud`, laid out as `nodes`, would change; in the order in which it can be done."""
    laid = {node.name: node for node in nodes}
    return (*_declared(now, cloud, laid), *_vanished(now, cloud, laid))


def settings_after(now: Fleet, cloud: CloudFile, document: Mapping[str, object]) -> CloudSettings:
    """The settings once `cloud`, read from `document`, is applied."""
    default_queue = cloud.settings.default_queue if cloud.queues else now.settings.default_queue
    return replace(cloud.settings, default_queue=default_queue, document=document)


def _declared(now: Fleet, cloud: CloudFile, nodes: Mapping[NodeName, Node]) -> Iterator[Change]:
    after = settings_after(now, cloud, {})
    yield from _pair(
        "cloud", "settings", _show_settings(now.settings, now.interpreters), _show_settings(after, cloud.interpreters)
    )
    for spec in cloud.flavors:
        yield from _pair("flavor", spec.name, _shown(now.flavors.get(spec.name)), _shown(spec.flavor))
    for queue in cloud.queues:
        yield from _pair("queue", queue.name, _shown(now.queues.get(queue.name)), _shown(queue))
    for pool in cloud.pools:
        yield from _pair("pool", pool.name, _shown(now.pools.get(pool.name)), _shown(pool.pool))
    for node in nodes.values():
        before = now.nodes.get(node.name)
        there = before if before is not None and before.state is not NodeState.RETIRED else None
        yield from _pair("node", node.name, _shown(there), _shown(node))


def _vanished(now: Fleet, cloud: CloudFile, nodes: Mapping[NodeName, Node]) -> Iterator[Change]:
    if cloud.pools:
        gone = [node for node in now.nodes.values() if node.name not in nodes]
        pools = {pool.name for pool in cloud.pools} | {node.pool for node in gone}
        flavors = {spec.name for spec in cloud.flavors} | {node.flavor for node in gone}
        flavors |= {pool.flavor for pool in now.pools.values() if pool.name in pools}
        yield from (_gone("node", node.name, node, "retire") for node in gone if node.state is not NodeState.RETIRED)
        yield from (_gone("pool", pool.name, pool) for pool in now.pools.values() if pool.name not in pools)
        yield from (_gone("flavor", flavor.name, flavor) for flavor in now.flavors.values() if flavor.name not in flavors)
    if cloud.queues:
        queues = {queue.name for queue in cloud.queues}
        yield from (_gone("queue", queue.name, queue) for queue in now.queues.values() if queue.name not in queues)


def _pair(noun: str, name: str, before: Shown | None, after: Shown | None) -> Iterator[Change]:
    """A creation, an update of what differs, or nothing."""
    if before is None or after is None:
        yield Change(noun, name, "create", None, after)
    elif before != after:
        keys = [key for key in after if before.get(key) != after[key]]
        yield Change(noun, name, "update", {key: before.get(key) for key in keys}, {key: after[key] for key in keys})


def _gone(noun: str, name: str, value: Flavor | Pool | Queue | Node, change: str = "delete") -> Change:
    return Change(noun, name, change, _shown(value), None)


def _show_settings(settings: CloudSettings, interpreters: Mapping[str, object]) -> Shown:
    mail = settings.mail and write_table(MAIL, settings.mail)
    named = {"currency": settings.currency, "default_queue": settings.default_queue}
    return {**named, "interpreters": dict(interpreters), "mail": mail, "fair_share": show_fair_share(settings.fair_share)}


def _shown(value: Flavor | Pool | Queue | Node | None) -> Shown | None:
    """What a file says of it, as JSON types."""
    if isinstance(value, Flavor):
        prices = {"core_price": show_price(value.core_price), "gpu_price": show_price(value.gpu_price)}
        return {**prices, "gpu": value.gpu, "emulated": value.emulated}
    if isinstance(value, Pool):
        return {"flavor": value.flavor}
    if isinstance(value, Queue):
        return _show_queue(value)
    return None if value is None else _show_node(value)


def _show_queue(queue: Queue) -> Shown:
    limits = {key: getattr(queue, key) for key in ("quota", "borrow_limit", "lend_limit", "user_limit", "project_limit")}
    return {
        "parent": queue.parent,
        **{key: None if limit is None else dict(limit) for key, limit in limits.items()},
        "weight": queue.weight if queue.weight != 1 else None,
        "min_runtime": show_duration(queue.min_runtime_us) if queue.min_runtime_us else None,
        "order": queue.order,
    }


def _show_node(node: Node) -> Shown:
    return {
        "pool": node.pool,
        "flavor": node.flavor,
        "capacity": dict(node.capacity),
        "gpus": [device.uuid for device in node.devices],
        "topology": dict(node.topology),
        "emulated": node.emulated,
    }


def _list_of(shown: Shown) -> str:
    return ", ".join(f"{key} {_word(value)}" for key, value in shown.items() if value not in (None, False, {}, []))


def _word(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_word(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_word, value)) + "]"
    return {None: "none", True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
