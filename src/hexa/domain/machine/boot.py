"""The first wake of a boot: what is remembered of it, and what tells after a restart that it was answered.

Marks are compared for being equal, never for their order: a machine's clock is nobody's business here.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.machine.lifecycle import COMING, phase_of
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import NodeStatus

NONE: Final = "none"
"""The mark of what is not there; an empty one is not known."""

AT_ONCE: Final = timedelta(seconds=10)
"""Wakes of one burst are that close to each other."""


def with_marks(status: NodeStatus, before: NodeStatus, *, lease: str, node: str) -> NodeStatus:
    """The status with what spoke for the kubelet as this boot's first wake was decided. `before`: the status as it is stored."""
    first = status.first_wake
    if first is None or first == before.first_wake or first.lease:
        return status
    return structs.replace(status, first_wake=structs.replace(first, lease=lease, node=node))


def answered(status: NodeStatus, *, lease: str, node: str) -> bool:
    """Whether the kubelet has renewed its Lease, or registered its node, since the first wake of the boot that is under way.
    `lease`, `node`: the marks of now."""
    first = status.first_wake
    if first is None or phase_of(status) not in COMING:
        return False
    return _news(first.lease, lease) or _news(first.node, node)


def _news(then: str, now: str) -> bool:
    return bool(then) and bool(now) and now not in (NONE, then)


def crowded(status: NodeStatus, others: Iterable[datetime], *, limits: Limits) -> bool:
    """Whether others of the group, woken no later than this machine and no more than a patient wake interval before, are on their
    way as well. `others`: when each of those that are on their way was first woken."""
    mine = began(status)
    return mine is not None and any(_beside(mine, other, limits) for other in others)


def on_their_way(machines: Iterable[NodeStatus]) -> tuple[datetime, ...]:
    """When each of the machines that are on their way was first woken."""
    return tuple(at for each in machines if (at := began(each)) is not None)


def began(status: NodeStatus) -> datetime | None:
    """When a machine that is on its way was first woken."""
    return status.first_wake.at if status.first_wake is not None and phase_of(status) in COMING else None


def _beside(mine: datetime, other: datetime, limits: Limits) -> bool:
    return mine - limits.patient_interval <= other <= mine + AT_ONCE
