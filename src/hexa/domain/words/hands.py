"""What needs a person and is no condition of an object: certificates, Cluster Autoscaler, and groups short of machines."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from hexa.domain.duration import format_duration
from hexa.domain.resources.core import Condition
from hexa.domain.words.overview import Grade, GroupState, Hand

CERTIFICATE_SOON: Final = timedelta(days=14)
"""Before a certificate ends a person is told."""
SILENT: Final = timedelta(minutes=5)
"""Cluster Autoscaler calls in each of its loops, every few seconds."""
EXPLAINED: Final = frozenset({"SafeHands", "OnBattery", "Released"})
"""Conditions of a group that tell why machines are missing."""


def certificate(name: str, ends: datetime, *, now: datetime) -> Iterator[Hand]:
    """A certificate of hexa's own: grpc or http."""
    left = ends - now
    if left >= CERTIFICATE_SOON:
        return
    text = "has ended" if left <= timedelta(0) else f"ends in {left.days} days"
    yield Hand(
        kind="Certificate",
        namespace="",
        name=name,
        reason="CertificateEnds",
        message=f"the certificate of {name} {text}: renew it (hexa certs)",
        since=ends - CERTIFICATE_SOON if ends.year > 1 else None,
        severity=Grade.ERROR if left <= timedelta(0) else Grade.WARNING,
    )


def autoscaler(ago: timedelta | None, *, now: datetime) -> Iterator[Hand]:
    """Cluster Autoscaler, that called `ago`; None: never, and there may be none."""
    if ago is None or ago <= SILENT:
        return
    told = format_duration(timedelta(minutes=ago // timedelta(minutes=1)))
    yield Hand(
        kind="ClusterAutoscaler",
        namespace="",
        name="cluster-autoscaler",
        reason="AutoscalerSilent",
        message=f"Cluster Autoscaler has not called for {told}: it wakes no machine; look at its pod and its log",
        since=now - ago,
        severity=Grade.ERROR,
    )


def short(group: GroupState, conditions: Iterable[Condition], *, coming: int) -> Iterator[Hand]:
    """A group of which fewer machines are Ready, or `coming`, than its minSize."""
    explained = any(each.type in EXPLAINED and each.status == "True" for each in conditions)
    if explained or group.mode == "Observe" or group.ready + coming >= group.minimum:
        return
    on_their_way = f", {coming} on their way" if coming else ""
    yield Hand(
        kind="Group",
        namespace=group.namespace,
        name=group.name,
        reason="GroupShort",
        message=f"{group.ready} of {group.size} machines are Ready{on_their_way}, and minSize is {group.minimum}: "
        f"hexa why {group.name} says what stands against the others",
        severity=Grade.ERROR,
    )


def moment(seconds: float) -> datetime:
    """Seconds since 1970; what no calendar has is its end."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)
