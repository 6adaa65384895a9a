"""What pods that wait are told of machines that boot: which of them will serve it, and when that is Ready.

Which pod comes to which machine is the scheduler's to say: here stands what fits, first fit, by the predicates of `pods.fitting`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from msgspec import Struct

from hexa.domain.pods.fitting import accepts, room
from hexa.domain.pods.requests import requests
from hexa.domain.resources.core import KubeNode, Pod

TOLD_AT_MOST: Final = 100
"""Pods that are told of the machines that were woken together."""


class Boot(Struct, frozen=True, kw_only=True):
    """A machine that was woken."""

    name: str
    node: KubeNode
    """As it will be."""
    since: datetime
    boot_seconds: tuple[float, ...] = ()
    """Recent boots."""


def served(boots: Iterable[Boot], pods: Iterable[Pod]) -> Iterator[tuple[Pod, Boot]]:
    """Pods that find room on the machines, with the machine: first fit, the highest priority and the oldest pods first."""
    free = [(boot, dict(room(boot.node, {}))) for boot in boots]
    for count, pod in enumerate(sorted(pods, key=_turn)):
        if count >= TOLD_AT_MOST:
            return
        needs = requests(pod)
        found = next(((boot, left) for boot, left in free if accepts(boot.node, left, pod, needs)), None)
        if found is not None:
            _take(found[1], needs)
            yield pod, found[0]


def _turn(pod: Pod) -> tuple[int, str, str]:
    return -pod.spec.priority, str(pod.metadata.creation_timestamp or ""), pod.metadata.uid


def _take(left: dict[str, Decimal], needs: Mapping[str, Decimal]) -> None:
    for name, amount in needs.items():
        left[name] = left.get(name, Decimal(0)) - amount


def arrival(boot: Boot) -> str:
    """When the machine will be Ready, as its recent boots tell."""
    if not boot.boot_seconds:
        return f"{boot.name} boots; how long that takes is not known yet"
    likely, late = median(boot.boot_seconds), percentile(boot.boot_seconds, 0.95)
    return f"{boot.name} boots, Ready about {_clock(boot.since, likely)} UTC (p95 {_clock(boot.since, late)})"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that is at least as large as that share of them."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _clock(since: datetime, seconds: float) -> str:
    """To the minute, rounded up: who waits is not told too early a time."""
    at = since + timedelta(seconds=seconds, microseconds=-1) + timedelta(minutes=1)
    return f"{at:%H:%M}"
