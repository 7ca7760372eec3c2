"""What a check of a node means for its state."""

from xingliu.fleet.model import Node, NodeState

S = NodeState
_USABLE = frozenset({S.JOINING, S.UNHEALTHY})
_TAKEN_OUT = frozenset({S.DRAINING, S.DRAINED, S.RETIRED})


def judge(node: Node, *, answers: bool, reason: str, busy: bool) -> tuple[NodeState, str] | None:
    """The step a node takes after a check, with its reason; None to stay.

    What an operator took out stays out until an operator takes it back, whatever checks say meanwhile. A node that
    answers again while it has leases is still capacity, so it does not join anew.

    Args:
        answers: whether the node could be reached.
        reason: why it may not be used; empty when it passed.
        busy: whether it still has leases that are not released.
    """
    if node.state in _TAKEN_OUT:
        return (S.DRAINED, node.reason) if node.state is S.DRAINING and not busy else None
    if not answers:
        return None if node.state is S.DOWN else (S.DOWN, reason or "it does not answer")
    if node.state is S.DOWN:
        return (S.UNHEALTHY if busy else S.JOINING), "it answers again"
    if reason:
        return None if node.state is S.UNHEALTHY else (S.UNHEALTHY, reason)
    return (S.READY, "it passed its checks") if node.state in _USABLE else None
