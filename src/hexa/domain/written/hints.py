"""What is wrong with a group because of its machines, or can never work."""

from collections.abc import Sequence

from hexa.domain.group_view import GroupView
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.conventions import Conventions
from hexa.domain.policy.problem import Problem
from hexa.domain.written.validation import together


def group_hints(view: GroupView, machines: Sequence[MachineView], conventions: Conventions) -> list[Problem]:
    """What is wrong with the group because of its machines, or can never work."""
    nodes, shapes = [each.node for each in machines], [each.shape for each in machines]
    return list(together(view.policy, nodes, shapes, conventions=conventions))
