"""The planner's input as it would be if an operator file were applied."""

from collections.abc import Iterable
from dataclasses import replace

from xingliu.control.world import queue_view
from xingliu.fleet.changes import Fleet
from xingliu.fleet.declared import CloudFile
from xingliu.fleet.model import CloudSettings, Node, NodeState, Queue
from xingliu.kernel.resources import Resources
from xingliu.scheduling.model import NodeView, Snapshot


def as_applied(now: Snapshot, fleet: Fleet, cloud: CloudFile, nodes: Iterable[Node], after: CloudSettings) -> Snapshot:
    """Nodes that join are taken to be ready. What the file leaves out stays as it is."""
    queues = tuple(_held_as_before(fleet, queue) for queue in cloud.queues) or tuple(fleet.queues.values())
    in_use = {view.name: view.in_use for view in now.queues}
    views = tuple(queue_view(queue, in_use.get(queue.name, Resources())) for queue in queues)
    models = {flavor.name: flavor.gpu for flavor in fleet.flavors.values()}
    models |= {spec.name: spec.flavor.gpu for spec in cloud.flavors}
    there = {view.name: view for view in now.nodes}
    laid = tuple(_view(node, models[node.flavor], there.get(node.name)) for node in nodes) if cloud.pools else now.nodes
    return replace(now, nodes=laid, queues=views, fair=after.fair_share)


def _held_as_before(fleet: Fleet, queue: Queue) -> Queue:
    before = fleet.queues.get(queue.name)
    return queue if before is None else replace(queue, held=before.held, generation=before.generation)


def _view(node: Node, model: str | None, before: NodeView | None) -> NodeView:
    """As it is while nothing of it changes; else empty, for nothing runs on a node that may change."""
    devices = tuple(device.index for device in node.devices)
    if before is not None and (before.capacity, before.flavor, before.gpu) == (node.capacity, node.flavor, model):
        return replace(before, pool=node.pool)
    state = NodeState.READY if before is None else before.state
    return NodeView(node.name, node.pool, node.flavor, model, state, node.capacity, node.capacity, devices)
