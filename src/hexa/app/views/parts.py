"""What a machine's view is put together from, and what of it refers to something that is not as it should be."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from hexa.app.views.claims import Rivals
from hexa.domain.group.watts import Place
from hexa.domain.group_view import GroupView
from hexa.domain.machine.identity import declared_name, kube_name
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import membership_of
from hexa.domain.money.tariff import Tariff
from hexa.domain.names import MEMBERSHIP_LABEL
from hexa.domain.policy.problem import Problem
from hexa.domain.power.claims import rivals_problem
from hexa.domain.resources.core import KubeNode, Malformed
from hexa.domain.resources.v1alpha1 import Lookup, Node, WishRecord
from hexa.domain.rules.dependencies import Ties
from hexa.domain.rules.proof import Claim
from hexa.domain.rules.safe_hands import SafeHands
from hexa.domain.rules.traffic import NO_TRAFFIC, Traffic

NOBODY: Final[frozenset[Lookup]] = frozenset()


class Parts(Struct, frozen=True):
    """What a machine's view is put together from."""

    node: Node
    group: GroupView | None
    kube: KubeNode | None
    hosts: tuple[str, ...]
    storage: tuple[str, ...]
    claimants: frozenset[Lookup]
    """All machines that claim its Kubernetes node, if there are several."""
    rivals: Rivals
    """What of its hardware others claim too."""
    waits_for: Claim | None
    ties: Ties
    places: tuple[Place, ...]
    broken: Malformed | None
    """Its Kubernetes node, where that is there and does not decode."""
    asked: WishRecord | None
    """What a request on its group asks of it."""
    group_broken: bool = False
    """Its Group is there, and does not decode."""
    taken: frozenset[Lookup] = NOBODY
    """Other machines whose Kubernetes node is the one that its spec names anew."""
    traffic: Traffic = NO_TRAFFIC
    """What the machines of its group do."""
    tariff: Tariff | None = None
    """By which its group compares prices."""
    safe_hands: SafeHands | None = None
    """The site itself is in doubt."""

    def same(self, other: "Parts") -> bool:
        """The very same objects: no comparison of contents."""
        return (
            self.node is other.node
            and self.group is other.group
            and self.kube is other.kube
            and self.hosts is other.hosts
            and self.storage is other.storage
            and self.claimants == other.claimants
            and self.rivals == other.rivals
            and self.waits_for == other.waits_for
            and self.ties is other.ties
            and self.places is other.places
            and self.broken is other.broken
            and self.asked == other.asked
            and self.group_broken == other.group_broken
            and self.taken == other.taken
            and self.traffic == other.traffic
            and self.tariff is other.tariff
            and self.safe_hands is other.safe_hands
        )


def references(key: Lookup, parts: Parts) -> Iterator[Problem]:
    """What the machine refers to and is not as it should be."""
    membership = membership_of(parts.node)
    if membership is None and not parts.ties.needs:  # else it is switched for those that depend on it
        yield Problem(
            f"metadata.labels.{MEMBERSHIP_LABEL}",
            "the machine belongs to no group",
            f"set the label {MEMBERSHIP_LABEL} to the name of a Group in namespace {key.namespace}",
            severity="warning",
            reason="NoGroup",
        )
    elif membership is not None and parts.group is None:
        yield Problem(
            f"metadata.labels.{MEMBERSHIP_LABEL}",
            f"Group {membership} does not decode" if parts.group_broken else f"there is no Group {membership}",
            "correct it: hexa validate says what is wrong; until then the machine is only watched"
            if parts.group_broken
            else "create it, or correct the label; until then the machine is only watched",
            reason="GroupUnreadable" if parts.group_broken else "GroupMissing",
        )
    others = sorted(str(other) for other in parts.claimants if other != key)
    if others:
        yield Problem(
            "spec.kubernetesNodeName",
            f"{kube_name(parts.node)} is also claimed by {', '.join(others)}",
            "give each machine its own Kubernetes node; none of them is switched until then",
            reason="DuplicateKubernetesNode",
        )
    if parts.taken:
        yield Problem(
            "spec.kubernetesNodeName",
            f"{declared_name(parts.node)} is the Kubernetes node of {', '.join(sorted(map(str, parts.taken)))}",
            f"correct the name, or the other machine's; {kube_name(parts.node)} counts until then",
            severity="warning",
            reason=Reason.NAME_TAKEN,
        )
    if parts.broken is not None:
        yield Problem(
            "spec.kubernetesNodeName",
            f"Kubernetes node {kube_name(parts.node)} is there, and hexa can't read it: {parts.broken.problem}",
            "the machine is only watched until its node decodes; see kubectl get node -o yaml",
            reason="KubernetesNodeUnreadable",
        )
    if (shared := rivals_problem(parts.rivals)) is not None:
        yield shared
