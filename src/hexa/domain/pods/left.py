"""What a drain leaves behind, in words: pods that still end at its deadline, and pods that would need longer than it lasts.

No pod is cut: one whose grace period outlasts the drain ends it, and is named with that grace period.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.duration import format_duration
from hexa.domain.pods.drain import Blocker, Plan, pod_name
from hexa.domain.resources.core import Pod

GRACE: Final = 30
"""Seconds that a pod has to end where it does not say (Kubernetes reference, terminationGracePeriodSeconds)."""
LONGEST: Final = 10 * 365 * 24 * 3600
"""Seconds; more is said to be so much."""
SHOWN: Final = 3
LATE: Final = timedelta(seconds=30)
"""So long after its grace period a pod may still end, before people are told: the moment is the API server's."""


def grace_of(pod: Pod, longest: int | None = None) -> int:
    """Seconds that the pod has to end; `longest`: what the group allows at most."""
    own = pod.spec.termination_grace_period_seconds
    own = GRACE if own is None else max(0, min(own, LONGEST))
    return own if longest is None else min(own, longest)


def left_at_deadline(plan: Plan, *, longest: int | None, limit: timedelta) -> str:
    """What a drain that is given up has left: pods that still end, each with its grace period, then the others."""
    ending = (f"{pod_name(pod)}: still ending, its {_grace(pod, longest, limit)}" for pod in plan.leaving)
    asked = (f"{pod_name(pod)}: asked to go, and still there" for pod in plan.evict)
    return few([*map(str, plan.blockers), *ending, *asked, *filter(None, (plan.volumes,))])


def overdue(plan: Plan, *, now: datetime) -> str:
    """Pods that still end though their grace period is over, with the finalizers that may hold them."""
    ends = ((pod, pod.metadata.deletion_timestamp) for pod in plan.leaving)
    late = [pod for pod, end in ends if end is not None and now - end > LATE]
    return few([f"{pod_name(pod)}: still ending though its grace period is over, {_held(pod)}" for pod in late])


def _held(pod: Pod) -> str:
    held = pod.metadata.finalizers
    return f"held by its finalizers ({few(held, between=', ')})" if held else "look at its kubelet and its volumes"


def outlasting(pods: Iterable[Pod], *, longest: int | None, limit: timedelta) -> list[Blocker]:
    """Pods whose grace period is longer than a drain may last: one that needs all of it ends the drain."""
    slow = (pod for pod in pods if grace_of(pod, longest) > limit.total_seconds())
    return [Blocker(pod_name(pod), "LongGrace", f"its {_grace(pod, longest, limit)}") for pod in slow]


def _grace(pod: Pod, longest: int | None, limit: timedelta) -> str:
    grace = timedelta(seconds=grace_of(pod, longest))
    more = f", and timeouts.drain is {format_duration(limit)}" if grace > limit else ""
    return f"grace period is {format_duration(grace)}{more}"


def few(texts: Sequence[str], *, between: str = "; ") -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return between.join(texts[:SHOWN]) + more
