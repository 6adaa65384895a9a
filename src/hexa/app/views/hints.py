"""Keeps what can never work of each machine while its spec and the last shape seen are the same: statuses change far more often."""

from msgspec import structs

from hexa.domain.machine.button import button_problems
from hexa.domain.policy.labels import label_problems
from hexa.domain.policy.problem import Problem
from hexa.domain.power.outlet_problems import outlet_hints
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
            outlets = outlet_hints(node.spec.power) if node.spec.power is not None else ()
            labels = label_problems(node.spec.template.labels, "spec.template.labels")
            told = (*hints(node), *unworkable(node), *outlets, *button_problems(node), *labels)
            found = tuple(structs.replace(problem, severity="warning") for problem in told)
            known = self._known[key] = (node.spec, node.status.template, found)
        return known[2]

    def forget(self, key: Lookup) -> None:
        """The machine is gone."""
        self._known.pop(key, None)
