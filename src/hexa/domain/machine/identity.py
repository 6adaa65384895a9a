"""Who a machine is, and what becomes of an identity that changes in mid-life: name of the Kubernetes node, group, uid, addresses.

A change is noticed because the status has what was before. It says what may be taken over now; it reads no object but the machine.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct, structs

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.memo import remembered
from hexa.domain.names import MEMBERSHIP_LABEL
from hexa.domain.pods.drain import Blocker, Plan, pod_name, stays
from hexa.domain.power.claims import claims
from hexa.domain.power.profile import needs_profile
from hexa.domain.resources.core import Malformed, Pod
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.power_spec import POWER_DRIVERS
from hexa.domain.resources.v1alpha1 import JobRecord, Node, NodeStatus

IDENTITY_CHANGED: Final = "IdentityChanged"
"""The condition of a machine whose change waits."""
EMPTIED: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF})
"""Phases in which a Kubernetes node is cordoned and drained, until the shutdown Job is made."""
DIGEST: Final = "1:"
"""How digests are made: one that an other version made otherwise says nothing of a change."""
NOT_UP: Final = frozenset({Phase.UNKNOWN, Phase.OFF, Phase.START_FAILED}) | COMING
"""Phases in which no kubelet of the machine is known to serve."""


class NameFacts(Struct, frozen=True, kw_only=True):
    """What is known of the node that the machine had, and of the one that its spec names now."""

    exists: bool
    """The old node is there."""
    silent: bool
    """Its kubelet was not heard for a whole lease period that we watched."""
    occupied: bool
    """Pods are bound to the old name that a drain would move."""
    leaves: bool
    """While the machine is off its node is to be deleted, and has not been yet."""
    arrived: bool
    """The kubelet of the new name is heard, and was not up while the old one was."""
    taken: bool
    """Another machine has the new name, and keeps it."""
    stopping: bool
    """Its power is being cut: the shutdown Job is made."""


def declared_name(node: Node) -> str:
    """Name of the Kubernetes node, as spec says."""
    return node.spec.kubernetes_node_name or node.metadata.name


def kube_name(node: Node) -> str:
    """Name of the Kubernetes node that counts: what it was when the machine came up, until a new one may be taken over."""
    return node.status.identity.kubernetes_node or declared_name(node)


def renamed(node: Node) -> str:
    """The name that waits; empty where none does."""
    declared = declared_name(node)
    return declared if declared != kube_name(node) else ""


def may_take_name(phase: Phase, facts: NameFacts) -> bool:
    """Whether the new name may be taken over now. Never while the old one's kubelet is heard, or its pods may still run, nor once
    the shutdown Job is made. A machine that drains takes it before its power is cut: on the new name's node pods may land."""
    if facts.taken or not facts.silent or facts.stopping or phase is Phase.STOP_FAILED:
        return False
    if phase in EMPTIED:
        return not facts.occupied and (facts.arrived or not facts.exists)
    if facts.arrived:
        return True  # the same kubelet, under its new name
    if phase in NOT_UP:
        return not facts.leaves and not (facts.exists and facts.occupied)  # it may be woken because it fell silent
    return not facts.exists and not facts.occupied


def names_now(name: str) -> str:
    """Why the Kubernetes node may be the machine's: its spec says so."""
    return f"{name}, which spec.kubernetesNodeName names now: move it, or correct the name"


def in_doubt(plan: Plan, pods: Iterable[Pod | Malformed], why: str) -> Plan:
    """The plan of a machine, and the `pods` of another Kubernetes node that may be its own, as `why` says: they block."""
    text = f"it runs on Kubernetes node {why}"
    found = tuple(Blocker(pod_name(pod), "NodeInDoubt", text) for pod in pods if not stays(pod))
    return structs.replace(plan, blockers=(*plan.blockers, *found))


# --- what is kept --------------------------------------------------------------------------------


@remembered
def fingerprint(node: Node) -> str:
    """A digest of what switches and reads the power: addresses, drivers, commands. An image or a timeout is no part of it."""
    spec = node.spec
    named = msgspec.to_builtins(spec.power) if spec.power is not None else {}
    drivers = sorted(name for name in named if name in POWER_DRIVERS)
    ways = [[pod.command, pod.args, pod.env] for pod in (spec.startup_pod_spec, spec.shutdown_pod_spec) if pod]
    text = msgspec.json.encode([sorted(claims(node)), drivers, ways])
    return DIGEST + hashlib.sha256(text).hexdigest()[:12]


def identified(status: NodeStatus, node: Node) -> NodeStatus:
    """The status with what it lacks of the machine's identity."""
    known = status.identity
    keeps = known.power.startswith(DIGEST) or needs_profile(node)
    full = Identity(
        kubernetes_node=known.kubernetes_node or declared_name(node),
        kubernetes_node_uid=known.kubernetes_node_uid,
        uid=known.uid or node.metadata.uid,
        group=known.group if known.uid else group_of(node),
        power=known.power if keeps else fingerprint(node),
    )
    return status if full == known else structs.replace(status, identity=full)


def group_of(node: Node) -> str:
    """The group that the machine's label names."""
    return node.metadata.labels.get(MEMBERSHIP_LABEL, "")


def of_another(node: Node) -> bool:
    """Whether the status speaks of an object of before: the resource was deleted and made anew, and the status restored."""
    known = node.status.identity.uid
    return bool(known) and known != node.metadata.uid


def rewired(node: Node) -> bool:
    """Whether what switches or reads the power is another one than before. While its profile can't be used nobody knows."""
    known = node.status.identity.power
    return not needs_profile(node) and known.startswith(DIGEST) and known != fingerprint(node)


def moved(node: Node) -> bool:
    """Whether the machine is in another group than before, or in none."""
    return bool(node.status.identity.uid) and node.status.identity.group != group_of(node)


def acts_on_old(node: Node) -> bool:
    """Whether a power-off is under way whose Job was made before what it acts on was changed."""
    return rewired(node) and phase_of(node.status) is Phase.POWERING_OFF and _runs(node.status)


def _runs(status: NodeStatus) -> bool:
    job: JobRecord | None = status.job
    return job is not None and job.attempt == status.attempt and job.outcome == "running"


def findings(node: Node) -> Iterator[Finding]:
    """What of an identity waits, for people."""
    if name := renamed(node):
        old = kube_name(node)
        text = (
            f"spec.kubernetesNodeName is {name} now; {old} counts until its kubelet is silent and its pods are gone, or the "
            f"machine is off"
        )
        yield Finding(IDENTITY_CHANGED, "NodeNameWaits", text)
    elif acts_on_old(node):
        text = (
            "its power Job acts on the address that was named when it was made; the new one counts once that has ended"
        )
        yield Finding(IDENTITY_CHANGED, "PowerWaits", text)
