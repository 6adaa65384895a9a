"""A machine and what was read around it, as explanations take it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from hexa.domain.group.sizing import Member
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.power.ways import IMAGE_UNKNOWN
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Lookup, Node, Power
from hexa.domain.rules.health import NO_SENSOR, POWER_KNOWN


class Known(Struct, frozen=True, kw_only=True):
    """A machine and what was read around it, put together from the snapshot."""

    key: Lookup
    node: Node
    group: Lookup | None
    """The group that its label names, if there is one."""
    policy: Policy
    limits: Limits
    member: Member
    """The machine as sizing sees it, vetoes judged."""
    others: Sequence[Member]
    """All machines of the group, itself included."""
    acted: Power | None
    """What is acted on: the wish, unless safety forbids it."""
    problems: Sequence[Problem]
    valid: bool
    facts: Facts
    kube: KubeNode | None

    @property
    def phase(self) -> Phase:
        return phase_of(self.node.status)

    @property
    def now(self) -> datetime:
        return self.facts.now


def unread(node: Node) -> Iterator[Problem]:
    """That its power can't be read, as the agent has told it in the status."""
    told = next((each for each in node.status.conditions if each.type == POWER_KNOWN), None)
    if told is not None and told.status != "True" and told.reason != NO_SENSOR:
        what, _, remedy = told.message.partition("; ")
        text = f"its power is not known: {what}"
        yield Problem("spec.power", text, remedy, severity="warning", reason="PowerUnknown")


def image_known(machines: Iterable[Node]) -> bool:
    """Whether the agent knows an image for the Jobs of spec.power: where it does not, it has told a machine so."""
    return not any(IMAGE_UNKNOWN in each.message for machine in machines for each in machine.status.conditions)
