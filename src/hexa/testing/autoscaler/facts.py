"""One loop's answers of the provider, asked once: groups, targets, instances, options, and whose node is whose.

It asks in the order in which Cluster Autoscaler asks and judges nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from hexa.ports.cloud import Cloud, Instance, NodeGroup, UnknownGroup
from hexa.testing.autoscaler.settings import GroupOptions, Settings, options_of
from hexa.testing.autoscaler.view import NodeView


class GroupFacts(Struct):
    """A group as it answered in this loop. `target` moves with what the loop itself asks for."""

    group: NodeGroup
    target: int
    instances: Sequence[Instance]
    options: GroupOptions

    @property
    def id(self) -> str:
        return self.group.id


class Facts:
    """All groups and the nodes that belong to them."""

    def __init__(self, cloud: Cloud, settings: Settings) -> None:
        self._cloud: Final = cloud
        self.gpu_label: Final = cloud.gpu_label()
        self.groups: Final[dict[str, GroupFacts]] = {}
        self.group_of: Final[dict[str, str]] = {}
        """Name of a node of a group -> id of the group."""
        for group in cloud.groups():
            if (facts := _ask(cloud, group, settings)) is not None:
                self.groups[group.id] = facts

    def __repr__(self) -> str:
        return f"<Facts {len(self.groups)} groups, {len(self.group_of)} nodes in them>"

    def find_members(self, nodes: Iterable[NodeView]) -> None:
        """Ask for each node's group."""
        for view in nodes:
            if (group := self.owner(view.name, view.node.spec.provider_id)) is not None:
                self.group_of[view.name] = group

    def owner(self, name: str, provider_id: str) -> str | None:
        """Id of the group that the node belongs to; None: none that we know."""
        group = self._cloud.group_for_node(name, provider_id)
        return group.id if group is not None and group.id in self.groups else None

    def facts_of(self, node: str) -> GroupFacts | None:
        """The group of a node that was asked for."""
        group = self.group_of.get(node)
        return self.groups[group] if group is not None else None


def _ask(cloud: Cloud, group: NodeGroup, settings: Settings) -> GroupFacts | None:
    target, instances, options = cloud.target_size(group.id), cloud.instances(group.id), cloud.options(group.id)
    if isinstance(target, UnknownGroup) or isinstance(instances, UnknownGroup) or isinstance(options, UnknownGroup):
        return None  # it went away between two questions
    return GroupFacts(group, target, instances, options_of(settings, options))
