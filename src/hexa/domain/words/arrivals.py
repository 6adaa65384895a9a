"""What pods that wait are told of machines that boot: which of them will serve it, and when that is Ready.

Which pod comes to which machine is the scheduler's to say: here stands what fits, first fit, by the predicates of `pods.fitting`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import StatisticsError, median
from typing import Final

from msgspec import Struct

from hexa.domain.machine.boot import began
from hexa.domain.machine.lifecycle import COMING, phase_of
from hexa.domain.pods.fitting import accepts, room
from hexa.domain.pods.requests import requests
from hexa.domain.resources.core import KubeNode, Pod
from hexa.domain.resources.v1alpha1 import NodeStatus

TOLD_AT_MOST: Final = 100
"""Pods that are told of the machines that were woken together."""
MINUTE: Final = timedelta(minutes=1)


class Boot(Struct, frozen=True, kw_only=True):
    """A machine that was woken."""

    name: str
    node: KubeNode = KubeNode()
    """As it will be."""
    since: datetime
    boot_seconds: tuple[float, ...] = ()
    """Recent boots."""


def served(
    boots: Iterable[Boot], pods: Iterable[Pod], *, placed: Iterable[tuple[Pod, Boot]] = ()
) -> Iterator[tuple[Pod, Boot]]:
    """Pods that find room on the machines, with the machine: first fit, the highest priority and the oldest pods first. `placed`
    were told before: their room is taken."""
    free = [(boot, dict(room(boot.node, {}))) for boot in boots]
    for pod, taken in placed:
        for left in (left for boot, left in free if boot == taken):
            _take(left, requests(pod))
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
    comes = coming(boot.since, boot.boot_seconds)
    if comes is None:
        return f"{boot.name} boots; how long that takes is not known yet"
    return f"{boot.name} boots, Ready about {_clock(comes.likely)} UTC (p95 {_clock(comes.late)})"


class Coming(Struct, frozen=True):
    """When a machine that boots will be Ready: Events, page and API all say it by this."""

    likely: datetime
    """After the median of recent boots."""
    late: datetime
    """After a boot as long as 95 % of them are at most."""

    def seconds(self, now: datetime) -> int | None:
        """Until it is Ready, rounded up: until `likely`, after that until `late`; None: it is later than that, and nobody knows."""
        end = self.likely if now <= self.likely else self.late
        return math.ceil((end - now).total_seconds()) if now <= end else None


def coming(since: datetime, boot_seconds: Sequence[float]) -> Coming | None:
    """When a machine that was first woken `since` will be Ready; None: no boot of it was seen."""
    try:
        likely, late = (timedelta(seconds=each) for each in (median(boot_seconds), percentile(boot_seconds, 0.95)))
        return Coming(since + likely, (since + late + MINUTE) - MINUTE)
    except (StatisticsError, OverflowError):  # none was seen, or what is stored is no length of a boot
        return None


def set_out(status: NodeStatus) -> datetime | None:
    """When a machine that is on its way was first woken; one that somebody else switched on: when that was seen. None: it is not
    on its way."""
    if phase_of(status) not in COMING:
        return None
    return began(status) or status.since


def recent_boots(own: Sequence[float], kin: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """A machine's own recent boots; of one without any, those of its group (`kin`), which are looked at then alone."""
    return tuple(own) or tuple(seconds for each in kin for seconds in each)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that is at least as large as that share of them."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _clock(at: datetime) -> str:
    """To the minute, rounded up: who waits is not told too early a time."""
    return f"{at + MINUTE - timedelta.resolution:%H:%M}"
