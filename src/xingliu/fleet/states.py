"""The node's states as a table: (from, to) -> what that step means. A step that is not here cannot happen."""

from dataclasses import dataclass, replace
from typing import ClassVar

from xingliu.fleet.model import Node, NodeState
from xingliu.kernel.errors import XingliuError

S = NodeState
STEPS: dict[tuple[NodeState, NodeState], str] = {
    (S.JOINING, S.READY): "passed its checks",
    (S.JOINING, S.DOWN): "never answered",
    (S.JOINING, S.UNHEALTHY): "failed its checks",
    (S.JOINING, S.RETIRED): "taken out of the cloud",
    (S.READY, S.DRAINING): "gets nothing new, finishes what it runs",
    (S.READY, S.UNHEALTHY): "failed a check",
    (S.READY, S.DOWN): "stopped answering",
    (S.READY, S.RETIRED): "taken out of the cloud",
    (S.DRAINING, S.DRAINED): "runs nothing any more",
    (S.DRAINING, S.READY): "resumed",
    (S.DRAINING, S.UNHEALTHY): "failed a check",
    (S.DRAINING, S.DOWN): "stopped answering",
    (S.DRAINED, S.READY): "resumed",
    (S.DRAINED, S.UNHEALTHY): "failed a check",
    (S.DRAINED, S.DOWN): "stopped answering",
    (S.DRAINED, S.RETIRED): "taken out of the cloud",
    (S.UNHEALTHY, S.READY): "passes its checks again",
    (S.UNHEALTHY, S.DRAINING): "gets nothing new, finishes what it runs",
    (S.UNHEALTHY, S.DOWN): "stopped answering",
    (S.UNHEALTHY, S.RETIRED): "taken out of the cloud",
    (S.DOWN, S.JOINING): "answers again",
    (S.DOWN, S.UNHEALTHY): "answers again, still leased",
    (S.DOWN, S.DRAINED): "drained while it did not answer",
    (S.DOWN, S.RETIRED): "taken out of the cloud",
    (S.RETIRED, S.JOINING): "put back into the cloud",
}


@dataclass(eq=False)
class NodeCannotStep(XingliuError):
    """Node {node} is {state}; from there it cannot become {to}."""

    code: ClassVar[str] = "node_cannot_step"
    hint: ClassVar[str] = "`xl node show {node}` says why it is {state}; from {state} it can become: {ways}."
    node: str
    state: str
    to: str
    ways: str


def step(node: Node, to: NodeState, *, now_us: int, actor: str, reason: str) -> Node:
    """The node after one step, with who took it and why. Raises NodeCannotStep."""
    if (node.state, to) not in STEPS:
        ways = ", ".join(end for start, end in STEPS if start is node.state)
        raise NodeCannotStep(node.name, node.state, to, ways)
    return replace(
        node,
        state=to,
        since_us=now_us,
        actor=actor,
        reason=reason or STEPS[node.state, to],
        generation=node.generation + 1,
    )
