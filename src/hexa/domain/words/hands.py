"""What needs a person and is no condition of an object: certificates, Cluster Autoscaler, groups short of machines, and maintenance
that may be forgotten."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from hexa.domain.duration import format_duration
from hexa.domain.machine.kube_conditions import MAINTENANCE, PLANNED, by_others, not_denied
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.hold import expected
from hexa.domain.words.overview import Grade, GroupState, Hand

CERTIFICATE_SOON: Final = timedelta(days=14)
"""Before a certificate ends a person is told."""
SILENT: Final = timedelta(minutes=5)
"""Cluster Autoscaler calls in each of its loops, every few seconds."""
FORGOTTEN: Final = timedelta(days=1)
"""Maintenance that stands for so long may be forgotten: its machine stays as it is."""
MAINTAINED: Final = {
    MAINTENANCE: "it is being maintained, and switched by nobody,",
    PLANNED: "maintenance is planned, and no program wakes it,",
}
DOUBTED: Final = "nobody knows whether it is being maintained, and it is not switched off,"
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


def short(group: GroupState, conditions: Iterable[Condition], *, coming: int, held_off: int = 0) -> Iterator[Hand]:
    """A group of which fewer machines are Ready, or `coming`, than its minSize; those that a person holds off are not missed."""
    least = expected(group.minimum, machines=group.size, held_off=held_off)
    explained = any(each.type in EXPLAINED and each.status == "True" for each in conditions)
    if explained or group.mode == "Observe" or group.ready + coming >= least:
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


def maintained(key: Lookup, kube: KubeNode | None, conditions: Iterable[Condition], *, now: datetime) -> Iterator[Hand]:
    """A machine whose maintenance, as somebody else says on its Kubernetes node, has stood for a day: it may be forgotten."""
    own = {each.type: each.last_transition_time for each in conditions}
    for type_, text in MAINTAINED.items():
        said = not_denied(kube, type_) if type_ == MAINTENANCE else by_others(kube, type_)
        if said is None:
            continue
        since = said.last_transition_time or own.get(type_)
        if since is not None and now - since >= FORGOTTEN:
            text = text if said.status == "True" else DOUBTED
            message = f"{text} for {format_duration(timedelta(hours=(now - since) // timedelta(hours=1)))}: "
            remedy = f"if it is over, take the condition {type_} of its Kubernetes node back"
            yield Hand(
                kind="Node",
                namespace=key.namespace,
                name=key.name,
                reason=type_,
                message=message + remedy,
                since=since,
                severity=Grade.WARNING,
            )


def moment(seconds: float) -> datetime:
    """Seconds since 1970; what no calendar has is its end."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)
