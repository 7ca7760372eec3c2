"""Nodes."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from xingliu.api.asking import Asker, Control, Text
from xingliu.api.pages import After, Limit, Page, page_of
from xingliu.api.shapes import In, Out
from xingliu.control.nodes import NodePage
from xingliu.fleet.model import NodeState

router = APIRouter(tags=["nodes"])


class ReasonIn(In):
    """Shown to everyone whose job waits for the node."""

    reason: Text


class DeviceOut(Out):
    index: int
    model: str
    uuid: str
    memory_bytes: int
    emulated: bool


class NodeOut(Out):
    """A node; `in_use` and `jobs` are those of projects you see. Resources: millicores, bytes, milli-GPU by kind."""

    name: str
    pool: str
    flavor: str
    state: str
    since_us: int
    reason: str
    actor: str
    capacity: dict[str, int]
    in_use: dict[str, int]
    jobs: list[str]
    devices: list[DeviceOut]
    topology: dict[str, str]
    emulated: bool
    facts: dict[str, Any]


def _out(page: NodePage) -> NodeOut:
    node = page.node
    return NodeOut(
        name=node.name,
        pool=node.pool,
        flavor=node.flavor,
        state=node.state.value,
        since_us=node.since_us,
        reason=node.reason,
        actor=node.actor,
        capacity=dict(node.capacity),
        in_use=dict(page.in_use),
        jobs=list(page.jobs),
        devices=[
            DeviceOut(index=one.index, model=one.model, uuid=one.uuid, memory_bytes=one.memory_bytes, emulated=one.emulated)
            for one in node.devices
        ],
        topology=dict(node.topology),
        emulated=node.emulated,
        facts=dict(node.facts),
    )


@router.get("/v1/nodes")
def list_nodes(
    control: Control,
    asker: Asker,
    pool: Annotated[str | None, Query(max_length=100)] = None,
    flavor: Annotated[str | None, Query(max_length=100)] = None,
    state: NodeState | None = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[NodeOut]:
    """By name."""
    named = {"pool": pool, "flavor": flavor, "state": state}
    where = {name: value for name, value in named.items() if value is not None}
    found = control.nodes.list(asker, where, after=after, limit=limit + 1)
    return page_of(found, limit, lambda page: page.node.name, _out)


@router.get("/v1/nodes/{name}")
def show_node(control: Control, asker: Asker, name: str) -> NodeOut:
    """One node."""
    return _out(control.nodes.get(asker, name))


@router.post("/v1/nodes/{name}:drain")
def drain_node(control: Control, asker: Asker, name: str, body: ReasonIn) -> NodeOut:
    """Let the node finish what it runs and give it nothing new."""
    return _out(control.nodes.drain(asker, name, reason=body.reason))


@router.post("/v1/nodes/{name}:resume")
def resume_node(control: Control, asker: Asker, name: str, body: ReasonIn) -> NodeOut:
    """Use it again."""
    return _out(control.nodes.resume(asker, name, reason=body.reason))
