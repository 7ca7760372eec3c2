"""Nodes: shown to everyone, drained and resumed by operators. Every step of a node is taken here.

The events `node.stepped` tell each node's whole story in states and capacity; usage reads the conservation law off them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xingliu.control.errors import NoReason
from xingliu.control.ports import Store, Unit
from xingliu.control.scope import Scope
from xingliu.fleet.model import Node, NodeState
from xingliu.fleet.states import NodeCannotStep, step
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import Unknown
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import JobId, NodeName
from xingliu.kernel.resources import CPU, Resources
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb

STEPPED = "node.stepped"
REASON_LONGEST = 500
_RESUMABLE = (NodeState.DRAINING, NodeState.DRAINED, NodeState.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class NodePage:
    """A node, and what of it the projects that the actor sees hold."""

    node: Node
    jobs: tuple[JobId, ...]
    in_use: Resources


def record_step(unit: Unit, node: Node, to: NodeState, *, now_us: int, actor: str, reason: str) -> Node:
    """Take one step, store the node and tell of it. Raises NodeCannotStep. `actor` is a user's id, or CLOUD."""
    after = step(node, to, now_us=now_us, actor=actor, reason=reason)
    unit.nodes.put(after)
    unit.events.append(stepped_event(unit, after, node.state, now_us=now_us, actor=actor))
    return after


def stepped_event(unit: Unit, node: Node, before: NodeState | None, *, now_us: int, actor: str) -> EventDraft:
    """What the log keeps of a node that is now as `node` says; `before` None: it was not there."""
    flavor = unit.flavors.get(node.flavor)
    facts = {
        "kind": flavor.scheduled_kind if flavor else CPU,
        "from": before.value if before else None,
        "to": node.state.value,
        "capacity": dict(node.capacity),
        "pool": node.pool,
        "reason": node.reason,
    }
    return EventDraft(STEPPED, node.name, actor, now_us, cause=node.reason, facts=facts)


class Nodes:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def list(
        self, actor: Actor, where: Mapping[str, object] | None = None, *, after: str | None = None, limit: int = 100
    ) -> list[NodePage]:
        """By name. Raises Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.NODE_READ)
            found = unit.nodes.find(where, after=NodeName(after) if after else None, limit=limit)
            return [_page(unit, scope, node) for node in found]

    def get(self, actor: Actor, name: str) -> NodePage:
        """Raises Unknown, Forbidden."""
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            scope.require_somewhere(Verb.NODE_READ)
            return _page(unit, scope, _node(unit, name))

    def drain(self, actor: Actor, name: str, *, reason: str) -> NodePage:
        """Let it finish what it runs and give it nothing new. Raises Unknown, Forbidden, NoReason, NodeCannotStep."""
        return self._step(actor, name, reason, resume=False)

    def resume(self, actor: Actor, name: str, *, reason: str) -> NodePage:
        """Use it again. Raises Unknown, Forbidden, NoReason, NodeCannotStep."""
        return self._step(actor, name, reason, resume=True)

    def _step(self, actor: Actor, name: str, reason: str, *, resume: bool) -> NodePage:
        with self._store.write() as unit:
            scope = Scope(unit, actor)
            scope.require(Verb.NODE_WRITE)
            node = _node(unit, name)
            if not 0 < len(reason.strip()) <= REASON_LONGEST:
                raise NoReason(name, REASON_LONGEST)
            to = _resumed(node) if resume else _drained(node)
            after = record_step(unit, node, to, now_us=self._clock.now_us(), actor=actor.user, reason=reason.strip())
            return _page(unit, scope, after)


def _drained(node: Node) -> NodeState:
    """A node that does not answer runs nothing that could be waited for."""
    return NodeState.DRAINED if node.state is NodeState.DOWN else NodeState.DRAINING


def _resumed(node: Node) -> NodeState:
    """Only from where an operator or a check put it; a node that joins or is down becomes ready by its own checks."""
    if node.state not in _RESUMABLE:
        raise NodeCannotStep(node.name, node.state, NodeState.READY, "ready, once its checks pass")
    return NodeState.READY


def _node(unit: Unit, name: str) -> Node:
    node = unit.nodes.get(NodeName(name))
    if node is None:
        raise Unknown("node", name)
    return node


def _page(unit: Unit, scope: Scope, node: Node) -> NodePage:
    leases = unit.leases.find(scope.narrow({"node": node.name, "released_us": None}))
    in_use = Resources()
    for lease in leases:
        in_use = in_use + lease.resources
    return NodePage(node, tuple(dict.fromkeys(lease.job for lease in leases)), in_use)
