"""Keeps what can never work of each machine while its spec and the last shape seen are the same: statuses change far more often."""

from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Lookup, Node, NodeSpec, Shape
from hexa.domain.written.pod_specs import hints
from hexa.domain.written.unworkable import unworkable


class Hints:
    """Problems of machines, worked out once for each spec."""

    def __init__(self) -> None:
        self._known: dict[Lookup, tuple[NodeSpec, Shape | None, tuple[Problem, ...]]] = {}

    def of(self, key: Lookup, node: Node) -> tuple[Problem, ...]:
        """What of the machine can never work."""
        known = self._known.get(key)
        if known is None or known[0] != node.spec or known[1] != node.status.template:
            found = (*hints(node), *unworkable(node))
            known = self._known[key] = (node.spec, node.status.template, found)
        return known[2]

    def forget(self, key: Lookup) -> None:
        """The machine is gone."""
        self._known.pop(key, None)
