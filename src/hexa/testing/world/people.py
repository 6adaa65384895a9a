"""What people do to Groups and Nodes beyond their spec: delete, release, take back, move, rename. One function each, for scenarios
and fault runs.
"""

from typing import Any

from hexa.adapters.memory.cluster.store import Stored
from hexa.domain.names import MEMBERSHIP_LABEL, RELEASED_ANNOTATION
from hexa.domain.resources.core import Kind
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES
from hexa.ports.kube import Patch
from hexa.testing.world.builders import NAMESPACE
from hexa.testing.world.world import World

PERSON = "kubectl"


def delete_group(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """The Group is deleted; its members stay."""
    world.site.api.delete(GROUPS, (namespace, name))


def delete_profile(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """The PowerProfile is deleted; machines that name it stay."""
    world.site.api.delete(PROFILES, (namespace, name))


def delete_machine(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """The Node is deleted; it is gone once its finalizers are."""
    world.site.api.delete(MACHINES, (namespace, name))


def give_up_group(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """The Group is released: hexa keeps its limits no more."""
    _edit(world, GROUPS, name, namespace, {"annotations": {RELEASED_ANNOTATION: f"{world.now:%Y-%m-%dT%H:%M:%SZ}"}})


def take_back_group(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """A released Group is hexa's again."""
    _edit(world, GROUPS, name, namespace, {"annotations": {RELEASED_ANNOTATION: None}})


def give_up_machine(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """The machine is released: hexa does nothing more to it."""
    _edit(world, MACHINES, name, namespace, {"annotations": {RELEASED_ANNOTATION: f"{world.now:%Y-%m-%dT%H:%M:%SZ}"}})


def take_back_machine(world: World, name: str, *, namespace: str = NAMESPACE) -> None:
    """A released machine is hexa's again."""
    _edit(world, MACHINES, name, namespace, {"annotations": {RELEASED_ANNOTATION: None}})


def move(world: World, name: str, group: str, *, namespace: str = NAMESPACE) -> None:
    """The machine's label names another group; empty: none."""
    _edit(world, MACHINES, name, namespace, {"labels": {MEMBERSHIP_LABEL: group or None}})


def rename_group(world: World, name: str, new: str, *, namespace: str = NAMESPACE) -> None:
    """The Group is deleted, made anew under another name, and its members are labelled so."""
    stored = world.site.api.get(GROUPS, name, namespace)
    assert stored is not None, f"there is no Group {namespace}/{name}"
    spec = stored.raw.get("spec", {})
    delete_group(world, name, namespace=namespace)
    world.add_group({"metadata": {"name": new, "namespace": namespace}, "spec": spec})
    for member in _members(world, name, namespace):
        move(world, member.key[1], new, namespace=namespace)


def rename_kubernetes_node(world: World, name: str, new: str, *, namespace: str = NAMESPACE) -> None:
    """spec.kubernetesNodeName is edited; empty: the machine's own name again."""
    world.edit(name, {"kubernetesNodeName": new or None}, namespace=namespace)


def _members(world: World, group: str, namespace: str) -> list[Stored]:
    found = world.site.api.find(MACHINES, lambda raw: raw["metadata"].get("labels", {}).get(MEMBERSHIP_LABEL) == group)
    return [each for each in found if each.key[0] == namespace]


def _edit(world: World, kind: Kind[Any], name: str, namespace: str, metadata: dict[str, Any]) -> None:
    world.site.api.patch(kind, (namespace, name), Patch({"metadata": metadata}), manager=PERSON)
