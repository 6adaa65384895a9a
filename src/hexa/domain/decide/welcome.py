"""What a Kubernetes node that came up is given and what is taken off it, as one merge patch. It writes nothing.

What the node had before its power cycle is given back as soon as it registers, before it takes pods; what is ours to strip is
stripped once for each boot, when the machine is Ready.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from hexa.domain.group.template import transient
from hexa.domain.machine.marks import given_labels, given_text, marked, suspended_now, taken_back
from hexa.domain.machine.registration import labels_back, taints_back
from hexa.domain.machine_view import MachineView
from hexa.domain.names import (
    CA_TAINTS,
    CA_TO_BE_DELETED_TAINT,
    CORDON_ANNOTATION,
    GROUP_LABEL,
    LABELS_ANNOTATION,
    MACHINE_ANNOTATION,
    UNINITIALIZED_TAINT,
    UNSCHEDULABLE_TAINT,
)
from hexa.domain.policy.labels import taken_labels
from hexa.domain.resources.core import KubeNode, Taint
from hexa.domain.resources.v1alpha1 import Shape

Labels = dict[str, str | None]
"""Labels to write; None: to remove."""

NOTHING: Final = Shape()


def returned(view: MachineView, node: KubeNode) -> dict[str, Any]:
    """What the node lacks of what it had, and of what its machine declares; empty where nothing is lacking."""
    spec: dict[str, Any] = {}
    if provider_id := missing_provider_id(view, node):
        spec["providerID"] = provider_id
    seen = _before(view, node)
    if seen.unschedulable and not node.spec.unschedulable:
        spec["unschedulable"] = True
    taints = _with_returned(node.spec.taints, view, seen)
    if taints != list(node.spec.taints):
        spec["taints"] = msgspec.to_builtins(taints)
    annotations: Labels = {k: v for k, v in seen.annotations.items() if k not in node.metadata.annotations}
    labels = _labels(view, node, seen)
    return _patch(labels, {**annotations, **record_of(view, node, labels, seen=seen)}, spec)


def welcomed(view: MachineView, node: KubeNode, *, ready_since: datetime) -> dict[str, Any]:
    """What differs between the node as it came up and as it shall be: given back, stripped and uncordoned in one write."""
    seen = _before(view, node)
    spec = dict(returned(view, node).get("spec", {}))
    uncordons = _uncordons(view, node, ready_since)
    if uncordons:
        spec["unschedulable"] = None
    removed = view.node.spec.taints_to_remove
    stays = [taint for taint in node.spec.taints if not (_listed(taint, removed) or _outdated(taint, ready_since))]
    stays = [taint for taint in stays if not (uncordons and taint.key == UNSCHEDULABLE_TAINT)]
    spec.pop("taints", None)
    if (taints := _with_returned(stays, view, seen)) != list(node.spec.taints):
        spec["taints"] = msgspec.to_builtins(taints) or None
    annotations: dict[str, str | None] = {
        k: v for k, v in seen.annotations.items() if k not in node.metadata.annotations
    }
    if CORDON_ANNOTATION in node.metadata.annotations:
        annotations[CORDON_ANNOTATION] = None
    labels = _labels(view, node, seen)
    return _patch(labels, {**annotations, **record_of(view, node, labels, seen=seen)}, spec)


def lacks_welcome(view: MachineView, *, ready_since: datetime) -> bool:
    """Whether anything would be written to the node of a machine that is welcomed."""
    node = view.kube
    return node is None or suspended_now(node) or bool(welcomed(view, node, ready_since=ready_since))


def required_labels(view: MachineView) -> dict[str, str]:
    """Labels that every member carries."""
    return {} if view.ungrouped or view.group is None else {**view.policy.labels, GROUP_LABEL: view.policy.name}


def our_labels(view: MachineView) -> dict[str, str]:
    """Labels that hexa gives: those that the machine declares, and those of members."""
    return {**taken_labels(view.node.spec.template.labels), **required_labels(view)}


def record_of(view: MachineView, node: KubeNode, labels: Labels, *, seen: Shape = NOTHING) -> dict[str, str | None]:
    """Annotations that say whose node it is, and which of the `labels` to be written are hexa's: by them all is taken off again."""
    present, declared = node.metadata.annotations, our_labels(view)
    given = {key: label for key, label in given_labels(present).items() if key in declared or key not in labels}
    for key in labels.keys() & declared.keys() - {GROUP_LABEL}:
        value, before = labels[key], seen.labels.get(key, node.metadata.labels.get(key))
        if value is not None and value != before:  # else it is the node's own, given back
            given[key] = value, given[key][1] if key in given else before
    wanted: dict[str, str | None] = {MACHINE_ANNOTATION: str(view.key)} if labels or marked(node) else {}
    if given or LABELS_ANNOTATION in present:
        wanted[LABELS_ANNOTATION] = given_text(given) if given else None
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def missing_provider_id(view: MachineView, node: KubeNode) -> str:
    """The providerID to set; empty while the node has one, or while a cloud controller manager will set it."""
    waits = any(taint.key == UNINITIALIZED_TAINT for taint in node.spec.taints)
    return "" if node.spec.provider_id or waits or view.group is None else view.provider_id


def _patch(labels: Labels, annotations: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    if metadata := {k: v for k, v in (("labels", labels), ("annotations", annotations)) if v}:
        patch["metadata"] = metadata
    return {**patch, "spec": spec} if spec else patch


def _before(view: MachineView, node: KubeNode) -> Shape:
    """The shape to give back: that of the object before, if this one registered after it was seen."""
    seen, created = view.node.status.template, node.metadata.creation_timestamp
    anew = seen is not None and created is not None and seen.at is not None and created > seen.at
    return seen if seen is not None and anew else NOTHING


def _labels(view: MachineView, node: KubeNode, seen: Shape) -> Labels:
    present = node.metadata.labels
    wanted = labels_back(seen, present)
    declared = taken_labels(view.node.spec.template.labels)
    wanted |= {k: v for k, v in declared.items() if k not in present and k not in wanted}
    wanted |= required_labels(view)
    lacking: Labels = {k: v for k, v in wanted.items() if present.get(k) != v}
    outdated = {} if view.group_unreadable else taken_back(node, wanted=our_labels(view))
    return {**outdated, **lacking}


def _with_returned(taints: Sequence[Taint], view: MachineView, seen: Shape) -> list[Taint]:
    removed = view.node.spec.taints_to_remove
    back = (taint for taint in taints_back(seen, taints) if not _listed(taint, removed))
    return [*taints, *(taint for taint in back if not transient(taint, view.conventions))]


def _uncordons(view: MachineView, node: KubeNode, ready_since: datetime) -> bool:
    """The cordon is ours, or Cluster Autoscaler's of before, and nobody had cordoned the node before that. What was last seen of
    the node tells so only of one that registered anew: ours is put on where there is none, whatever stood there earlier."""
    template, ours = view.node.status.template, CORDON_ANNOTATION in node.metadata.annotations
    if not node.spec.unschedulable:
        return False
    if ours and _before(view, node) is NOTHING:
        return True
    kept = template is not None and template.unschedulable
    return not kept and (ours or _left_by_autoscaler(node, ready_since))


def _left_by_autoscaler(node: KubeNode, ready_since: datetime) -> bool:
    """Cluster Autoscaler cordons what it taints ToBeDeleted: a cordon beside such a taint of before goes with it."""
    return any(taint.key == CA_TO_BE_DELETED_TAINT and _outdated(taint, ready_since) for taint in node.spec.taints)


def _listed(taint: Taint, removed: Sequence[Taint]) -> bool:
    return any(taint.key == other.key and other.effect in ("", taint.effect) for other in removed)


def _outdated(taint: Taint, ready_since: datetime) -> bool:
    """A taint of Cluster Autoscaler from before the machine was Ready: its value is the Unix time, in whole seconds, at which it
    was put on. One of the same second may be newer, and stays."""
    if taint.key not in CA_TAINTS:
        return False
    if not taint.value.isdigit():
        return taint.key == CA_TO_BE_DELETED_TAINT
    return int(taint.value) < int(ready_since.timestamp())
