"""The pods by the node that they are bound to, and small facts about a pod's builtins."""

from typing import Final

from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.domain.names import MIRROR_ANNOTATION
from hexa.domain.resources.core import PODS
from hexa.ports.kube import ChangeType

FINISHED: Final = frozenset({"Succeeded", "Failed"})
SECONDS_ANNOTATION: Final = "simulated.infra.homecluster.dev/seconds"
"""On a pod of a simulated site: it succeeds after running so long. Without, it runs until it is stopped."""


def node_of(pod: Builtins) -> str:
    """Name of the node that it is bound to; empty while it waits."""
    name: str = pod["spec"].get("nodeName", "")
    return name


def finished(pod: Builtins) -> bool:
    """Its containers have ended for good."""
    return pod["status"].get("phase") in FINISHED


def terminating(pod: Builtins) -> bool:
    """It was deleted and is on its way out."""
    return "deletionTimestamp" in pod["metadata"]


def controller_of(pod: Builtins) -> Builtins | None:
    """The ownerReference of the pod's controller."""
    owners: list[Builtins] = pod["metadata"].get("ownerReferences", ())
    return next((owner for owner in owners if owner.get("controller")), None)


def comes_with_the_node(pod: Builtins) -> bool:
    """Of a DaemonSet, or a mirror of a static pod: nobody misses it when its machine is off."""
    owner = controller_of(pod)
    if owner is not None and owner["kind"] == "DaemonSet":
        return True
    return MIRROR_ANNOTATION in pod["metadata"].get("annotations", ())


class PodsByNode:
    """An index of the bound pods; made first, it is right for every listener after it."""

    def __init__(self, api: MemoryApi) -> None:
        self._pods: dict[str, dict[str, Stored]] = {}
        api.listen(PODS, self._changed)

    def __repr__(self) -> str:
        return f"<PodsByNode {sum(map(len, self._pods.values()))} pods>"

    def on(self, node: str) -> list[Stored]:
        """The pods bound to the node, finished ones too."""
        return list(self._pods.get(node, {}).values())

    def _changed(self, event: Event) -> None:
        node, before = node_of(event.stored.raw), node_of(event.old.raw) if event.old is not None else ""
        if before and (before != node or event.type is ChangeType.DELETED):  # unbound: a snapshot was restored
            self._pods.get(before, {}).pop(event.stored.uid, None)
        if node and event.type is not ChangeType.DELETED:
            self._pods.setdefault(node, {})[event.stored.uid] = event.stored
