"""Pods that wait for a place: which of them wait for one machine and no other, and which name a group by its labels.

A pod is pinned to a machine if it may run there, and not on one that is like it in all but name: by its host name, or by a volume
on its disk. Cluster Autoscaler wakes nothing for such pods, since the template of a group has no host name. It reads no API.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from hexa.domain.names import HOSTNAME_LABEL
from hexa.domain.pods.drain import (
    PINNED_POD,
    Blocker,
    Plan,
    affinity_matches,
    claims_of,
    controller_kind,
    pod_name,
    selects,
)
from hexa.domain.pods.fitting import accepts, room
from hexa.domain.pods.requests import requests
from hexa.domain.resources.core import UNREADABLE, KubeNode, Pod

EXPENDABLE: Final = -10
"""Cluster Autoscaler wakes nothing for pods of a lower priority (--expendable-pods-priority-cutoff), and neither does hexa."""
Selectors = Sequence[Mapping[str, Any]]
"""Node selectors of a pod's volumes, all of which must match."""


class Pending(Struct, frozen=True, kw_only=True):
    """A pod that waits, with what its volumes say of where it can run."""

    pod: Pod
    tied: tuple[Mapping[str, Any], ...] = ()

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid


def waits(pod: Pod) -> bool:
    """Whether the scheduler found no place for it, and a machine may be woken for it: not one of a DaemonSet, nor expendable."""
    if pod.spec.node_name or pod.metadata.deletion_timestamp is not None or pod.spec.priority < EXPENDABLE:
        return False
    if controller_kind(pod) == "DaemonSet":
        return False
    said = (each for each in pod.status.conditions if each.type == "PodScheduled")
    return any(each.status == "False" and each.reason == "Unschedulable" for each in said) and sound(pod.spec.affinity)


def chooses(pod: Pod) -> bool:
    """Whether it says anything of where it can run: pods that do not are none of those that this module is about."""
    return bool(pod.spec.node_selector or pod.spec.affinity.get("nodeAffinity") or claims_of(pod))


# --- machines that it names -----------------------------------------------------------------------------------------


def pinned_to(node: KubeNode, pod: Pod, tied: Selectors = ()) -> bool:
    """Whether the pod may run on this node, and not on one that is like it in all but name. Room and taints do not count."""
    return _chosen(node, pod, tied) and not _chosen(_nameless(node), pod, tied)


def _chosen(node: KubeNode, pod: Pod, tied: Selectors) -> bool:
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    return affinity_matches(pod.spec.affinity, node) and all(selects(each, node) for each in tied)


def _nameless(node: KubeNode) -> KubeNode:
    """The node without its name, and without the labels that repeat it."""
    names = {node.metadata.name, node.metadata.labels.get(HOSTNAME_LABEL)}
    labels = {key: value for key, value in node.metadata.labels.items() if value not in names}
    return structs.replace(node, metadata=structs.replace(node.metadata, name="", labels=labels))


def fits_pinned(node: KubeNode, waiting: Pending) -> bool:
    """Whether the pod is pinned to the node, and would find room there if nothing else ran on it."""
    pod = waiting.pod
    return pinned_to(node, pod, waiting.tied) and accepts(node, room(node, {}), pod, requests(pod))


def keeping_pinned(planned: Plan, node: KubeNode) -> Plan:
    """The plan of a drain that leaves those pods where they are which, once evicted, would come back and wait for this node."""
    back = [pod for pod in planned.evict if controller_kind(pod) and sound(pod.spec.affinity) and pinned_to(node, pod)]
    text = f"it can run on {node.metadata.name} only, and would wake it again at once (spec.wakeForPinned)"
    blockers = tuple(Blocker(pod_name(pod), PINNED_POD, text) for pod in back)
    left = tuple(pod for pod in planned.evict if pod not in back)
    return structs.replace(planned, evict=left, blockers=(*planned.blockers, *blockers)) if back else planned


def by_name(waiting: Iterable[Pending]) -> dict[str, list[Pending]]:
    """The pods by every value that they ask a label or a name of a node to have: what is pinned to a node names it."""
    found: dict[str, list[Pending]] = {}
    for each in waiting:
        for value in dict.fromkeys(_values(each)):
            found.setdefault(value, []).append(each)
    return found


def _values(waiting: Pending) -> Iterator[str]:
    yield from waiting.pod.spec.node_selector.values()
    required = waiting.pod.spec.affinity.get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    for selector in (required, *waiting.tied):
        for expression in _expressions(selector or {}):
            yield from expression.get("values") or ()


def _expressions(selector: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for term in selector.get("nodeSelectorTerms", ()):
        yield from (*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ()))


# --- labels that it asks for ----------------------------------------------------------------------------------------


def names_labels(pod: Pod, labels: Mapping[str, str]) -> bool:
    """Whether the pod asks for one of these labels of a node, and for no other value of any of them. What it asks for besides may
    be there or not: of a machine that was never seen nobody knows."""
    wanted = pod.spec.node_selector
    if any(labels.get(key, value) != value for key, value in wanted.items()):
        return False
    required = pod.spec.affinity.get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return any(key in labels for key in wanted)
    terms = [_known(term, labels) for term in required.get("nodeSelectorTerms", ())]
    node = KubeNode(metadata=structs.replace(KubeNode().metadata, labels=dict(labels)))
    fitting = [known for known in terms if not known or selects(_selector(known), node)]
    return bool(fitting) and (any(key in labels for key in wanted) or any(fitting))


def _known(term: Mapping[str, Any], labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
    return [each for each in term.get("matchExpressions") or () if each.get("key") in labels]


def _selector(expressions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"nodeSelectorTerms": [{"matchExpressions": expressions}]}


# --- odd pods -------------------------------------------------------------------------------------------------------


class _Expression(Struct, rename="camel"):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None


class _Term(Struct, rename="camel"):
    match_expressions: tuple[_Expression, ...] | None = None
    match_fields: tuple[_Expression, ...] | None = None


class Required(Struct, rename="camel"):
    """A node selector as the API server accepts it."""

    node_selector_terms: tuple[_Term, ...] = ()


class _NodeAffinity(Struct, rename="camel"):
    required: Required | None = msgspec.field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class _Affinity(Struct, rename="camel"):
    node_affinity: _NodeAffinity = msgspec.field(default_factory=_NodeAffinity)


def sound(affinity: Mapping[str, Any]) -> bool:
    """Whether node affinity is written as the API server accepts it: what is not would break whoever looks at it."""
    return _reads(affinity, _Affinity)


def sound_selector(selector: Any) -> bool:
    """The same of a volume's node selector."""
    return _reads(selector, Required)


def _reads(value: Any, type_: type[Any]) -> bool:
    try:
        msgspec.convert(value, type_)
    except UNREADABLE:
        return False
    return True
