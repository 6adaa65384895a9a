"""Which pods a scale-down would move, and which pod forbids it. The rules are Cluster Autoscaler's, in its order."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.names import MIRROR_ANNOTATION, SAFE_TO_EVICT
from hexa.domain.pods.budgets import covers
from hexa.domain.pods.drain import FINISHED
from hexa.domain.pods.undrainable import SYSTEM_NAMESPACE, keeps
from hexa.domain.resources.core import Pod, PodDisruptionBudget
from hexa.testing.autoscaler.settings import Settings
from hexa.testing.autoscaler.view import PodView

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
        return [name for name, budget in self._budgets.items() if covers(budget, pod)]

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
    covered, exhausted = bool(budgets.matching(pod.pod)), budgets.exhausted(pod.pod)
    return keeps(pod.pod, settings, covered=covered, exhausted=exhausted, age=pod.age(now))


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
