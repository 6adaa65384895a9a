"""Whether a Kubernetes node that became Ready is open to pods yet, or still being set up by others: a network plug-in, a storage
driver, a device plug-in. It knows no wish and no group."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.names import UNSCHEDULABLE_TAINT
from hexa.domain.policy.conventions import Conventions
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import NodeStatus

ARRIVAL: Final = timedelta(minutes=1)
"""How long a node that became Ready may take to lose our cordon and the taints of its not being Ready; after that they speak for
themselves."""
ARRIVAL_TAINTS: Final = frozenset(
    {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", UNSCHEDULABLE_TAINT}
)
NOT_SET_UP: Final = "NotSetUp"
TAINT: Final = "the taint"


def lacking(node: KubeNode, status: NodeStatus, conventions: Conventions) -> Iterator[str]:
    """What the node waits for: startup taints that stand, and devices that the machine had before and that no plug-in has announced
    yet."""
    for taint in node.spec.taints:
        if taint.key not in ARRIVAL_TAINTS and conventions.starts(taint.key):
            yield f"{TAINT} {taint.key} stands"
    seen = status.template.allocatable if status.template is not None else {}
    for name, amount in amounts({key: value for key, value in seen.items() if is_device(key)}).items():
        if amount and not amounts({name: node.status.allocatable.get(name, "0")}).get(name):
            yield f"{name} is not there yet"


def is_device(resource: str) -> bool:
    """Whether a device plug-in announces it, after the kubelet is Ready: it has a domain, and not Kubernetes' own."""
    domain, slash, _ = resource.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")


def set_up_until(status: NodeStatus, conventions: Conventions, *, provision: timedelta) -> datetime | None:
    """Until when a machine that is Ready is waited for: for the limit, and no longer than Cluster Autoscaler waits for a machine,
    whose request would fail. None: it is not Ready."""
    if phase_of(status) is not Phase.READY or status.since is None:
        return None
    limit, began = status.since + conventions.startup_limit, _first_wake(status)
    return limit if began is None else max(status.since, min(limit, began + provision))


def _first_wake(status: NodeStatus) -> datetime | None:
    """When the machine set out for Ready; None: it was on."""
    began = None
    for entry in reversed(status.history[:-1]):
        if entry.action not in COMING:
            break
        began = entry.at
    return began


def not_set_up(lacks: tuple[str, ...], until: datetime | None, *, now: datetime) -> Iterator[Finding]:
    """That a node is not waited for any more, although no pod can land on it. A device that went later is other news."""
    stays = [each for each in lacks if each.startswith(TAINT) or (until is not None and now < until + ARRIVAL)]
    if not stays or until is None or now < until:
        return
    message = (
        f"{'; '.join(stays)}: its Kubernetes node is Ready, was waited for, and is shown to Cluster Autoscaler as it is; look at "
        "what should set it up, or correct startup.taints in hexa's configuration"
    )
    yield Finding(NOT_SET_UP, "StartupTaint" if stays[0].startswith(TAINT) else "DeviceMissing", message)
