"""A machine of which nobody knows which of two Kubernetes nodes is its own."""

from collections.abc import Iterator
from datetime import datetime

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.identity import declared_name, findings
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.unclaimed_nodes import kept_on
from hexa.domain.resources.v1alpha1 import Node
from hexa.domain.rules.rule import Scene
from hexa.domain.rules.subject import Alone


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden while another machine has the node that its spec names anew."""
    return tuple(name_vetoes(machine.node, taken=True)) if machine.name_taken else ()


def name_vetoes(node: Node, *, taken: bool) -> Iterator[Veto]:
    """That nobody knows which of two nodes is its own is said before Cluster Autoscaler drains the one that counts."""
    if taken:
        text = f"spec.kubernetesNodeName names {declared_name(node)}, which is another machine's: correct the name"
        yield Veto(Reason.NAME_TAKEN, text)


def says(scene: Scene) -> Iterator[Finding]:
    """A change that waits, and a node that may be the machine's while its own is silent."""
    yield from findings(scene.machine.node)
    yield from kept_on(scene.namesakes)
