"""A group and what it means."""

from msgspec import Struct

from hexa.domain.machine.marks import released
from hexa.domain.names import group_id
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem, usable
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Group, Lookup


class GroupView(Struct, frozen=True, kw_only=True):
    """A group and what it means."""

    key: Lookup
    group: Group
    """Spec and identity; its status may be an older one."""
    policy: Policy
    problems: tuple[Problem, ...]

    @property
    def id(self) -> str:
        return group_id(self.key.namespace, self.key.name)

    @property
    def valid(self) -> bool:
        return usable(self.problems)

    @property
    def observes(self) -> bool:
        """Nothing is done to its machines."""
        return self.policy.mode is Mode.OBSERVE

    @property
    def released(self) -> bool:
        """`hexa release`, or a person, gave it up."""
        return released(self.group.metadata)
