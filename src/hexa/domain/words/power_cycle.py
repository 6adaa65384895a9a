"""What `hexa why` says of a machine whose power may be cycled: from the condition that the agent keeps, for whoever explains does
not hear kubelets.
"""

from collections.abc import Iterator

from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import Node
from hexa.domain.rules.power_cycle import REMEDIATION


def power_cycle_words(node: Node) -> Iterator[str]:
    """What is waited for, or what stands against it; nothing where its group does not cycle power, or it is well."""
    told = _told(node)
    if told is None:
        return
    if told.reason == "Waiting":
        yield f"a sign of life; else {told.message}"
    elif told.reason == "Cycling":
        yield "its power to be cut; then it is woken again"
    else:
        yield f"its kubelet, or a person; its power is not cycled, by {told.reason}: {told.message}"


def _told(node: Node) -> Condition | None:
    return next((each for each in node.status.conditions if each.type == REMEDIATION), None)
