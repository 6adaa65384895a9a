"""Which pods of a machine are evicted before it is switched off, what blocks, and whether they fit elsewhere.

The rules are those of `kubectl drain` (kubectl reference, command drain): DaemonSet and mirror pods stay; pods without a
controller, with emptyDir data or with a volume tied to the machine block unless the group allows it. What a pod says of itself in
Cluster Autoscaler's annotations counts for every drain (`evictable`). It evicts nothing.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from hexa.domain.names import MIRROR_ANNOTATION
from hexa.domain.pods.evictable import SAFE_VOLUMES, losing_data, may_go, why_it_stays
from hexa.domain.pods.places import asked_of_node, each_node_has
from hexa.domain.pods.requests import requests
from hexa.domain.policy.policy import DrainRules
from hexa.domain.quantity import amounts, total
from hexa.domain.resources.core import KubeNode, Malformed, Pod, Taint, Toleration

FINISHED: Final = frozenset({"Succeeded", "Failed"})
DRAIN_LOOK: Final = timedelta(seconds=1)
"""Between looks at the pods of a machine that drains."""
BLOCKED_LOOK: Final = timedelta(seconds=5)
"""The same while something blocks the drain and nothing leaves: evictions that a disruption budget or the API server refused are
asked for again as often as by kubectl drain."""
UNDECIDED: Final = "Undecided"
"""Reason of the blocker where nobody knows what is left."""
PINNED_VOLUME: Final = "PinnedVolume"
PINNED_POD: Final = "PinnedPod"
WAKES_AGAIN: Final = frozenset({PINNED_VOLUME, PINNED_POD})
"""Reasons of pods that, once evicted, can run on no other machine when they come back."""
REPELLING: Final = frozenset({"NoSchedule", "NoExecute"})


class Blocker(Struct, frozen=True):
    """A pod that keeps its machine on, and why."""

    pod: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.pod}: {self.message}"


class Plan(Struct, frozen=True):
    """What a drain has to do now."""

    evict: tuple[Pod, ...] = ()
    """Asked for eviction, in this order: the lowest priority first."""
    leaving: tuple[Pod, ...] = ()
    """Already terminating."""
    blockers: tuple[Blocker, ...] = ()
    volumes: str = ""
    """Volumes that are waited for, in a sentence, once the pods are gone; empty: none."""
    homeless: tuple[Pod, ...] = ()
    """Of the blockers those that fit on no other node."""

    @property
    def left(self) -> int:
        """What must be gone before the machine may be switched off: pods, and volumes that are waited for."""
        return len(self.evict) + len(self.leaving) + len(self.blockers) + bool(self.volumes)

    @property
    def undecided(self) -> bool:
        """Nobody knows what is left."""
        return any(blocker.reason == UNDECIDED for blocker in self.blockers)

    def look_after(self, blocker: str) -> timedelta:
        """How long until the next look, at which refused evictions are asked for again. `blocker`: who blocks; empty: nobody."""
        return BLOCKED_LOOK if blocker and not self.leaving else DRAIN_LOOK


def plan(
    pods: Iterable[Pod | Malformed],
    *,
    rules: DrainRules,
    pinned_claims: frozenset[str] = frozenset(),
    forced: bool = False,
) -> Plan:
    """Sort the machine's pods. `pinned_claims`: NAMESPACE/NAME of claims whose volume is tied to the machine. A pod that does not
    decode blocks, whatever is allowed: what it is, nobody knows."""
    evict, leaving, blockers = [], [], []
    for pod in pods:
        if stays(pod):
            continue
        if isinstance(pod, Malformed):
            blockers.append(Blocker(pod_name(pod), "DoesNotDecode", f"it runs, and hexa can't read it: {pod.problem}"))
        elif pod.metadata.deletion_timestamp is not None:
            leaving.append(pod)
        elif not forced and (blocker := _blocker(pod, rules, pinned_claims)) is not None:
            blockers.append(blocker)
        else:
            evict.append(pod)
    evict.sort(key=lambda pod: (pod.spec.priority, pod.metadata.namespace, pod.metadata.name))
    return Plan(tuple(evict), tuple(leaving), tuple(blockers))


def undecided(node: str, why: str) -> Plan:
    """The plan where nobody knows what is left on the Kubernetes node, or what may come to it: that blocks."""
    return Plan(blockers=(Blocker(f"Kubernetes node {node}", UNDECIDED, why),))


def with_homeless(planned: Plan, stuck: Collection[str]) -> Plan:
    """The plan in which pods that fit on no other node block. `stuck`: their uids."""
    rest = tuple(pod for pod in planned.evict if pod.metadata.uid in stuck)
    movable = tuple(pod for pod in planned.evict if pod.metadata.uid not in stuck)
    blockers = tuple(Blocker(pod_name(pod), "NoRoom", "it fits on no other node") for pod in rest)
    return Plan(movable, planned.leaving, blockers, homeless=rest)


def stays(pod: Pod | Malformed) -> bool:
    """Pods that a drain leaves alone: of DaemonSets, mirrors of static pods, and finished ones."""
    finished = not isinstance(pod, Malformed) and pod.status.phase in FINISHED
    if finished or MIRROR_ANNOTATION in pod.metadata.annotations:
        return True
    return controller_kind(pod) == "DaemonSet"


def controller_kind(pod: Pod | Malformed) -> str:
    """Kind of the pod's controller; empty if nothing would bring it back."""
    return next((owner.kind for owner in pod.metadata.owner_references if owner.controller), "")


def pod_name(pod: Pod | Malformed) -> str:
    """NAMESPACE/NAME."""
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def grace_of(pod: Pod, *, longest: int | None) -> int | None:
    """Seconds that the pod has to end; None: what it says itself. `longest`: that the group allows."""
    own = pod.spec.termination_grace_period_seconds
    if longest is None:
        return None
    return longest if own is None else min(own, longest)


def _blocker(pod: Pod, rules: DrainRules, pinned_claims: frozenset[str]) -> Blocker | None:
    name = pod_name(pod)
    if why := why_it_stays(pod):
        return Blocker(name, "DoNotDisrupt", f"it carries {why}")
    if not rules.bare and not may_go(pod) and not controller_kind(pod):
        return Blocker(name, "BarePod", "no controller would bring it back (spec.drain.allowBare allows it)")
    if not rules.empty_dir and not may_go(pod) and (losing := sorted(losing_data(pod))):
        text = f"it has emptyDir data in {', '.join(losing)}"
        remedy = f"spec.drain.deleteEmptyDir allows it for the group, the annotation {SAFE_VOLUMES} for the pod"
        return Blocker(name, "EmptyDir", f"{text} ({remedy})")
    claims = {f"{pod.metadata.namespace}/{claim}" for claim in claims_of(pod)}
    if not rules.pinned and claims & pinned_claims:
        volume = min(claims & pinned_claims)
        return Blocker(
            name, PINNED_VOLUME, f"volume {volume} is tied to the machine (spec.drain.allowPinned allows it)"
        )
    return None


def claims_of(pod: Pod) -> list[str]:
    """Names of the PersistentVolumeClaims that the pod mounts."""
    found = (volume.persistent_volume_claim for volume in pod.spec.volumes)
    return [claim.claim_name for claim in found if claim is not None]


# --- does it fit elsewhere ------------------------------------------------------------------------------------------


class Room(Struct):
    """What is free on a node."""

    node: KubeNode
    free: dict[str, Decimal]

    def take(self, wanted: Mapping[str, Decimal]) -> bool:
        """Reserve it, if it fits."""
        if any(self.free.get(name, each_node_has(name)) < amount for name, amount in wanted.items() if amount):
            return False
        for name, amount in wanted.items():
            self.free[name] = self.free.get(name, each_node_has(name)) - amount
        return True


def room_of(node: KubeNode, pods: Iterable[Pod]) -> Room:
    """What the pods leave free of the node's allocatable resources."""
    return room_beside(node, total(asked_of_node(pod) for pod in pods if pod.status.phase not in FINISHED))


def room_beside(node: KubeNode, used: Mapping[str, Decimal]) -> Room:
    """The same where what its pods ask for together is known."""
    free = amounts(node.status.allocatable)
    for name, amount in used.items():
        free[name] = free.get(name, each_node_has(name)) - amount
    return Room(node, free)


def homeless(
    pods: Iterable[Pod], rooms: Sequence[Room], *, tied: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
) -> list[Pod]:
    """The pods that fit on none of the other nodes, largest first placed (first fit; rooms are used up). `tied`: by uid the node
    selectors of a pod's volumes."""
    ordered = sorted(pods, key=lambda pod: requests(pod).get("cpu", Decimal(0)), reverse=True)
    return [pod for pod in ordered if not _place(pod, rooms, (tied or {}).get(pod.metadata.uid, ()))]


def _place(pod: Pod, rooms: Sequence[Room], tied: Sequence[Mapping[str, Any]]) -> bool:
    wanted = asked_of_node(pod)
    reachable = (room for room in rooms if all(selects(each, room.node) for each in tied))
    return any(welcomes(room.node, pod) and room.take(wanted) for room in reachable)


def welcomes(node: KubeNode, pod: Pod) -> bool:
    """Whether cordon, taints, node selector and required node affinity let the pod on the node."""
    if node.spec.unschedulable:
        return False
    repelling = [taint for taint in node.spec.taints if taint.effect in REPELLING]
    if any(not tolerated(taint, pod.spec.tolerations) for taint in repelling):
        return False
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    return affinity_matches(pod.spec.affinity, node)


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Whether any of the tolerations accepts the taint."""
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.operator == "Exists":
        return toleration.key in ("", taint.key)
    return toleration.key == taint.key and toleration.value == taint.value


def affinity_matches(affinity: Mapping[str, Any], node: KubeNode) -> bool:
    """Required node affinity: any of the terms, all of the expressions in it. One that is not written as the API server takes it
    matches no node, so that its pod is not moved."""
    try:
        required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
        return not required or selects(required, node)
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


def selects(required: Mapping[str, Any], node: KubeNode) -> bool:
    """Whether a node selector, as of required affinity, matches the node: any of its terms."""
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms", ()))


def _term_matches(term: Mapping[str, Any], node: KubeNode) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    by_field = {"metadata.name": node.metadata.name}
    return all(_expression(e, node.metadata.labels) for e in expressions) and all(
        _expression(f, by_field) for f in fields
    )


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.get("key", ""))
    values = expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return _compare(value, values) > 0
        case "Lt":
            return _compare(value, values) < 0
        case _:
            return False


_WHOLE: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def _compare(value: str | None, values: Sequence[str]) -> int:
    """Above 0 where the label's number is the larger, below 0 where it is the smaller; 0 also where either is none."""
    if value is None or not values or not all(_WHOLE.fullmatch(text) for text in (value, values[0])):
        return 0
    return (int(value) > int(values[0])) - (int(value) < int(values[0]))
