"""Why Cluster Autoscaler leaves a node alone because of a pod. The rules are Cluster Autoscaler's, in its order."""

from typing import Final

from msgspec import Struct

from hexa.domain.names import MIRROR_ANNOTATION
from hexa.domain.pods.drain import FINISHED, controller_kind
from hexa.domain.pods.evictable import may_go, must_stay, unsafe
from hexa.domain.resources.core import Pod

KNOWN_CONTROLLERS: Final = frozenset({"ReplicationController", "Job", "ReplicaSet", "StatefulSet", "DaemonSet"})
SYSTEM_NAMESPACE: Final = "kube-system"


class Skips(Struct, frozen=True, kw_only=True):
    """Flags of Cluster Autoscaler that say which nodes it leaves alone, with its defaults."""

    skip_nodes_with_system_pods: bool = True
    blocking_system_pod_disruption_timeout: float = 3600.0
    """kube-system pods without a budget block until they are so old, in seconds (since 1.35)."""
    skip_nodes_with_local_storage: bool = True
    skip_nodes_with_custom_controller_pods: bool = True


def ignored(pod: Pod) -> bool:
    """Pods that never keep a node: of DaemonSets, mirrors, finished ones, and those that say that they may go."""
    annotations = pod.metadata.annotations
    if MIRROR_ANNOTATION in annotations or controller_kind(pod) == "DaemonSet" or pod.status.phase in FINISHED:
        return True
    return may_go(pod)


class Kept(Struct, frozen=True):
    """Why a pod keeps its node."""

    rule: str
    text: str


BARE_POD: Final = "BarePod"
SYSTEM_POD: Final = "SystemPod"
LOCAL_STORAGE: Final = "EmptyDir"
NOT_SAFE: Final = "DoNotDisrupt"
BUDGET: Final = "DisruptionBudget"


def keeps(pod: Pod, skips: Skips, *, covered: bool, exhausted: str, age: float) -> str:
    """Why the pod keeps its node; empty if it does not. `covered`: a budget selects it; `exhausted`: one that allows nothing."""
    found = why_kept(pod, skips, covered=covered, exhausted=exhausted, age=age)
    return found.text if found is not None else ""


def why_kept(pod: Pod, skips: Skips, *, covered: bool, exhausted: str, age: float) -> Kept | None:
    """The same with the name of the rule."""
    kind = controller_kind(pod)
    if not kind or (skips.skip_nodes_with_custom_controller_pods and kind not in KNOWN_CONTROLLERS):
        return Kept(BARE_POD, "it is not replicated")
    if skips.skip_nodes_with_system_pods and pod.metadata.namespace == SYSTEM_NAMESPACE and not covered:
        old = age > skips.blocking_system_pod_disruption_timeout
        return None if old else Kept(SYSTEM_POD, "it is a kube-system pod without a disruption budget")
    if must_stay(pod):
        return Kept(NOT_SAFE, "it is annotated as not safe to evict")
    if skips.skip_nodes_with_local_storage and any(unsafe(pod)):
        return Kept(LOCAL_STORAGE, "it has local storage")
    return Kept(BUDGET, f"disruption budget {exhausted} allows no disruption now") if exhausted else None
