"""How one machine becomes the nodes that an operator file declares.

Emulated nodes are shares of the machine's cores and memory. Real GPUs are dealt out to nodes in the order of the file;
emulated ones are made up, and say so.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from xingliu.fleet.declared import CloudFile, FlavorSpec, NodeShare, PoolSpec
from xingliu.fleet.errors import MachineTooSmall, OneWholeMachine, TooFewGpus
from xingliu.fleet.model import Device, Flavor, Node, NodeState, Pool
from xingliu.kernel.ids import FlavorName, NodeName, PoolName
from xingliu.kernel.money import NANO, Price
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.kernel.units import show_bytes, show_milli

DEFAULT_POOL = PoolName("default")
CORE_PRICE = Price(NANO * 5 // 100)
GPU_PRICE = Price(NANO * 5 // 2)
_BRANDS = frozenset({"nvidia", "tesla", "quadro", "geforce", "rtx", "gtx", "graphics", "device"})


@dataclass
class _Deck:
    """The machine's real GPUs that no node has yet."""

    left: list[Device] = field(default_factory=list)

    def deal(self, model: str, count: int | None) -> tuple[Device, ...]:
        """`count` GPUs of that model, None for all there are (at least one). Raises TooFewGpus."""
        fit = [device for device in self.left if same_model(model, device.model)]
        if len(fit) < (count or 1):
            raise TooFewGpus(count or 1, model, len(fit))
        dealt = tuple(fit[:count] if count else fit)
        self.left = [device for device in self.left if device not in dealt]
        return dealt


def lay_out(cloud: CloudFile, machine: Node) -> tuple[Node, ...]:
    """The nodes of the file, joining. `machine` is the whole machine as discovered.

    Raises MachineTooSmall, TooFewGpus, OneWholeMachine.
    """
    whole = [node for pool in cloud.pools if pool.share is None for node in pool.nodes]
    if len(whole) > 1:
        raise OneWholeMachine(", ".join(whole[:5]) + (", ..." if len(whole) > 5 else ""))
    _check_room(cloud.pools, machine)
    flavors = {spec.name: spec for spec in cloud.flavors}
    deck = _Deck(list(machine.devices))
    return tuple(_node(name, pool, flavors[pool.flavor], machine, deck) for pool in cloud.pools for name in pool.nodes)


def lay_out_whole(machine: Node) -> tuple[Flavor, Pool, Node]:
    """What a cloud without an operator file has: the machine as one node, at a stated list price."""
    model = model_of(machine.devices[0].model) if machine.devices else None
    name = FlavorName(re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") if model else "cpu")
    flavor = Flavor(name, CORE_PRICE, GPU_PRICE if model else Price(0), model)
    spec = FlavorSpec(flavor)
    pool = PoolSpec(DEFAULT_POOL, name, (machine.name,))
    return flavor, pool.pool, _node(machine.name, pool, spec, machine, _Deck(list(machine.devices)))


def same_model(asked: str, found: str) -> bool:
    """Whether the model a file names is the one a driver reports: `A100-80GB` and `NVIDIA A100-SXM4-80GB`."""
    return set(_words(asked)) <= set(_words(found))


def model_of(found: str) -> str:
    """What people call the model a driver reports: `H100` for `NVIDIA H100 80GB HBM3`."""
    words: list[str] = [word for word in re.findall(r"[A-Za-z0-9]+", found) if word.casefold() not in _BRANDS]
    numbered = [word for word in words if any(letter.isdigit() for letter in word)]
    return (numbered or words or ["GPU"])[0].upper()


def _words(model: str) -> Iterator[str]:
    return (word.casefold() for word in re.findall(r"[A-Za-z0-9]+", model))


def _check_room(pools: Sequence[PoolSpec], machine: Node) -> None:
    counted = [(len(pool.nodes), pool.share or _share_of(machine)) for pool in pools if not pool.overcommit]
    cpu_milli = sum(count * share.cpu_milli for count, share in counted)
    memory_bytes = sum(count * share.memory_bytes for count, share in counted)
    if cpu_milli > machine.capacity[CPU] or memory_bytes > machine.capacity[MEMORY]:
        raise MachineTooSmall(_show(cpu_milli, memory_bytes), _show(machine.capacity[CPU], machine.capacity[MEMORY]))


def _node(name: NodeName, pool: PoolSpec, spec: FlavorSpec, machine: Node, deck: _Deck) -> Node:
    devices = _devices(name, spec, deck)
    share = pool.share or _share_of(machine)
    amounts = {CPU: share.cpu_milli, MEMORY: share.memory_bytes, gpu_of(spec.name): MILLI * len(devices)}
    return replace(
        machine,
        name=name,
        pool=pool.name,
        flavor=spec.name,
        capacity=Resources(amounts),
        state=NodeState.JOINING,
        devices=devices,
        topology=dict(pool.topology),
        emulated=pool.share is not None,
    )


def _devices(node: NodeName, spec: FlavorSpec, deck: _Deck) -> tuple[Device, ...]:
    model = spec.flavor.gpu
    if model is None:
        return ()
    if not spec.flavor.emulated:
        return deck.deal(model, spec.gpus_per_node)
    memory_bytes = spec.gpu_memory_bytes or 0
    count = range(spec.emulated_gpus)
    return tuple(Device(index, model, f"emulated-{node}-{index}", memory_bytes, emulated=True) for index in count)


def _share_of(machine: Node) -> NodeShare:
    return NodeShare(machine.capacity[CPU], machine.capacity[MEMORY])


def _show(cpu_milli: int, memory_bytes: int) -> str:
    return f"{show_milli(cpu_milli)} cores and {show_bytes(memory_bytes)} of memory"
