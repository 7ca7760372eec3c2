"""What a check of a node means for its state."""

from xingliu.fleet.model import Node, NodeState

S = NodeState
_USABLE = frozenset({S.JOINING, S.UNHEALTHY})


def judge(node: Node, *, answers: bool, reason: str, busy: bool) -> tuple[NodeState, str] | None:
    """The step a node takes after a check, with its reason; None to stay.

    Args:
        answers: whether the node could be reached.
        reason: why it may not be used; empty when it passed.
        busy: whether it still has leases that are not released.
    """
    if node.state is S.RETIRED:
        return None
    if not answers:
        return None if node.state is S.DOWN else (S.DOWN, reason or "it does not answer")
    if node.state is S.DOWN:
        return S.JOINING, "it answers again"
    if reason:
        return None if node.state is S.UNHEALTHY else (S.UNHEALTHY, reason)
    if node.state in _USABLE:
        return S.READY, "it passed its checks"
    if node.state is S.DRAINING and not busy:
        return S.DRAINED, node.reason
    return None
