"""Which pods a scale-down would move, and which pod forbids it. The rules are Cluster Autoscaler's, in its order."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.drain import FINISHED
from hexa.domain.names import MIRROR_ANNOTATION, SAFE_TO_EVICT
from hexa.domain.resources.core import LabelSelector, Pod, PodDisruptionBudget, Volume
from hexa.testing.autoscaler.settings import Settings
from hexa.testing.autoscaler.view import SYSTEM_NAMESPACE, PodView

SAFE_VOLUMES: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
KNOWN_CONTROLLERS: Final = frozenset({"ReplicationController", "Job", "ReplicaSet", "StatefulSet", "DaemonSet"})
TERMINATING_TOO_LONG: Final = timedelta(seconds=30)
"""Beyond its grace period, a terminating pod is taken for gone."""
DEFAULT_GRACE: Final = 30


class Moves(Struct, frozen=True):
    """What removing a node means for its pods."""

    pods: tuple[PodView, ...] = ()
    """To be placed elsewhere."""
    waiting: tuple[PodView, ...] = ()
    """Let to finish: safe-to-evict is "on-completion"."""
    blocker: str = ""
    """The pod that forbids it, and why."""


class Budgets:
    """How many disruptions each budget still allows, counted down as removals are planned."""

    def __init__(self, budgets: Mapping[str, PodDisruptionBudget]) -> None:
        self._budgets: Final = budgets
        self._left: Final = {name: budget.status.disruptions_allowed for name, budget in budgets.items()}

    def __repr__(self) -> str:
        return f"<Budgets {self._left}>"

    def matching(self, pod: Pod) -> list[str]:
        if not self._budgets:
            return []
        return [name for name, budget in self._budgets.items() if _covers(budget, pod)]

    def exhausted(self, pod: Pod) -> str:
        """A budget that allows no disruption of the pod; empty if none forbids it."""
        return next((name for name in self.matching(pod) if self._left[name] < 1), "")

    def in_parallel(self, pods: Iterable[PodView]) -> bool:
        """Whether all of them could go at once."""
        wanted: dict[str, int] = {}
        for pod in pods:
            for name in self.matching(pod.pod):
                wanted[name] = wanted.get(name, 0) + 1
        return all(count <= self._left[name] for name, count in wanted.items())

    def spend(self, pods: Iterable[PodView]) -> None:
        for pod in pods:
            for name in self.matching(pod.pod):
                self._left[name] -= 1


def _covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    same_place = budget.metadata.namespace == pod.metadata.namespace
    return same_place and budget.spec.selector is not None and selects(budget.spec.selector, pod.metadata.labels)


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for need in selector.match_expressions:
        value = labels.get(need.key)
        held = {
            "In": value is not None and value in need.values,
            "NotIn": value is None or value not in need.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not held.get(need.operator, False):
            return False
    return True


def moves(pods: Iterable[PodView], budgets: Budgets, settings: Settings, *, now: datetime) -> Moves:
    """Sort the pods of a node; the first that forbids the removal ends it."""
    moving, waiting = [], []
    for pod in pods:
        if MIRROR_ANNOTATION in pod.pod.metadata.annotations or is_long_terminating(pod.pod, now=now):
            continue
        if pod.kind == "DaemonSet":
            continue
        if _never_blocks(pod.pod):
            moving.append(pod)
        elif pod.pod.metadata.annotations.get(SAFE_TO_EVICT) == "on-completion":
            waiting.append(pod)
        elif why := _blocks(pod, budgets, settings, now):
            return Moves(blocker=f"{pod.name}: {why}")
        else:
            moving.append(pod)
    return Moves(tuple(moving), tuple(waiting))


def is_long_terminating(pod: Pod, *, now: datetime) -> bool:
    """Whether the pod should have been gone for a while. Its deletion timestamp is when its grace ends or began,
    whichever the server says; Cluster Autoscaler adds the grace again."""
    deleted = pod.metadata.deletion_timestamp
    if deleted is None:
        return False
    grace = pod.spec.termination_grace_period_seconds
    return deleted + timedelta(seconds=DEFAULT_GRACE if grace is None else grace) + TERMINATING_TOO_LONG < now


def _never_blocks(pod: Pod) -> bool:
    return pod.metadata.annotations.get(SAFE_TO_EVICT) == "true" or pod.status.phase in FINISHED


def _blocks(pod: PodView, budgets: Budgets, settings: Settings, now: datetime) -> str:
    if not pod.kind or (settings.skip_nodes_with_custom_controller_pods and pod.kind not in KNOWN_CONTROLLERS):
        return "it is not replicated"
    system = pod.pod.metadata.namespace == SYSTEM_NAMESPACE and not budgets.matching(pod.pod)
    if settings.skip_nodes_with_system_pods and system:
        old = pod.age(now) > settings.blocking_system_pod_disruption_timeout
        return "" if old else "it is a kube-system pod without a disruption budget"
    if pod.pod.metadata.annotations.get(SAFE_TO_EVICT) == "false":
        return "it is annotated as not safe to evict"
    if settings.skip_nodes_with_local_storage and _has_local_storage(pod.pod):
        return "it has local storage"
    if budget := budgets.exhausted(pod.pod):
        return f"disruption budget {budget} allows no disruption now"
    return ""


def _has_local_storage(pod: Pod) -> bool:
    safe = set(filter(None, pod.metadata.annotations.get(SAFE_VOLUMES, "").split(",")))
    return any(_is_local(volume) and volume.name not in safe for volume in pod.spec.volumes)


def _is_local(volume: Volume) -> bool:
    if volume.host_path is not None:
        return True
    return volume.empty_dir is not None and volume.empty_dir.get("medium") != "Memory"


def system_dues(pods: Iterable[PodView], settings: Settings, *, now: datetime) -> list[datetime]:
    """When kube-system pods stop to block by age, and terminating pods count as gone."""
    found = []
    for pod in pods:
        metadata = pod.pod.metadata
        if metadata.namespace == SYSTEM_NAMESPACE and not pod.stays and metadata.creation_timestamp is not None:
            found.append(
                metadata.creation_timestamp + timedelta(seconds=settings.blocking_system_pod_disruption_timeout)
            )
        if metadata.deletion_timestamp is not None:
            grace = pod.pod.spec.termination_grace_period_seconds
            span = timedelta(seconds=DEFAULT_GRACE if grace is None else grace) + TERMINATING_TOO_LONG
            found.append(metadata.deletion_timestamp + span)
    return [when for when in found if when >= now]
