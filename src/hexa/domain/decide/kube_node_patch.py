"""What a machine's Kubernetes node lacks and what Cluster Autoscaler shall read on it, as one merge patch. It writes nothing."""

from datetime import datetime
from typing import Any, Final

from hexa.domain.decide.welcome import missing_provider_id, our_labels, record_of, required_labels, returned
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import owner_of, taken_back
from hexa.domain.machine.power_job import current
from hexa.domain.machine.registration import registration_text
from hexa.domain.machine.wish import paused
from hexa.domain.machine_view import MachineView
from hexa.domain.names import (
    CORDON_ANNOTATION,
    KEPT_ON_ANNOTATION,
    MACHINE_ANNOTATION,
    OFF_FORBIDDEN_ANNOTATION,
    REGISTERED_ANNOTATION,
    SCALE_DOWN_DISABLED,
)
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Registration
from hexa.domain.rules.blocker import blocker

LONGEST: Final = 1000
"""Characters of what is said of the rule that keeps a machine on."""


def comes_with_cordon(view: MachineView, *, now: datetime) -> bool:
    """Whether the machine is off, or about to be found so at first sight: LEAVE cordons its node then, and this patch is part of
    that write. Thousands of machines seen for the first time are a third of the writes cheaper so."""
    if view.kube is None or view.kube.spec.unschedulable or view.leaving or not view.valid:
        return False
    unseen = not view.node.status.phase and not view.node_ready
    return (unseen or view.phase is Phase.OFF) and paused(view.node, now=now) is None


def core_patch(node: KubeNode, view: MachineView, *, now: datetime) -> dict[str, Any]:
    """What differs on the node; empty where nothing does."""
    body = _given(node, view) if view.valid else {}
    if turns_back(view):
        body["spec"] = {**body.get("spec", {}), "unschedulable": None}
    metadata = body.get("metadata", {})
    annotations = {
        **metadata.get("annotations", {}),
        **_annotations(node, view, _forbids(view, now)),
        **_kept_on(node, view, now),
        **_uncordoned(view),
    }
    if annotations:
        body["metadata"] = {**metadata, "annotations": annotations}
    return body


def with_registration(
    body: dict[str, Any], view: MachineView, node: KubeNode, registration: Registration | None
) -> dict[str, Any]:
    """The patch, and with it what the kubelet had set by itself, as far as that was seen: on nodes that carry our marks only."""
    ours = view.valid and (body or owner_of(node) == view.key)
    if registration is None or REGISTERED_ANNOTATION in node.metadata.annotations or not ours:
        return body
    metadata = body.get("metadata", {})
    said = {REGISTERED_ANNOTATION: registration_text(registration)}
    return {**body, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **said}}}


def turns_back(view: MachineView) -> bool:
    """A machine that drains is only watched from now on, be it that its group was deleted or does not read: nobody ends the drain,
    so our cordon is lifted."""
    return view.our_cordon and not view.valid and _begins_to_go(view)


def _begins_to_go(view: MachineView) -> bool:
    no_job = view.phase is Phase.POWERING_OFF and current(view.node.status) is None
    return view.phase is Phase.DRAINING or no_job


def parted(view: MachineView) -> bool:
    """The machine serves and is in no group, or in one that is gone or given up: nothing of ours belongs on its node. Where a
    machine that hexa follows declares labels itself, its node keeps those."""
    if view.valid and view.node.spec.template.labels:
        return False
    serves = view.phase is Phase.READY and (view.node.status.welcomed or view.group_missing)  # else it is opened first
    return view.ungrouped and (serves or (view.group_missing and _begins_to_go(view)))


def _uncordoned(view: MachineView) -> dict[str, None]:
    return {CORDON_ANNOTATION: None} if turns_back(view) else {}


def _given(node: KubeNode, view: MachineView) -> dict[str, Any]:
    """What the node lacks. Until it is welcomed that is all that it had; later people may take off what they like, but for the
    labels of members and the providerID. Labels of an earlier group go; a machine that comes into a group is given all."""
    if not view.node.status.welcomed:
        return returned(view, node)
    comes = owner_of(node) is None and not view.ungrouped
    wanted = our_labels(view) if comes else required_labels(view)
    lacking = {k: v for k, v in wanted.items() if k not in node.metadata.labels}
    labels = {**taken_back(node, wanted=our_labels(view)), **lacking}
    metadata = {"labels": labels, "annotations": record_of(view, node, labels)}
    body: dict[str, Any] = {"metadata": given} if (given := {k: v for k, v in metadata.items() if v}) else {}
    provider_id = missing_provider_id(view, node)
    return {**body, "spec": {"providerID": provider_id}} if provider_id else body


def _forbids(view: MachineView, now: datetime) -> str:
    """The rule that forbids switching the machine off, if any."""
    vetoes = () if view.ungrouped else view.off_vetoes(now)  # to Cluster Autoscaler such a machine is nobody's
    return vetoes[0].reason if vetoes else ""


def _annotations(node: KubeNode, view: MachineView, rule: str) -> dict[str, str | None]:
    """scale-down-disabled while a rule stands, with whose it is. Only ours is changed: one that somebody else set stays."""
    present = node.metadata.annotations
    ours = present.get(OFF_FORBIDDEN_ANNOTATION)
    if rule:
        if SCALE_DOWN_DISABLED in present and ours is None:
            return {}
        wanted = {SCALE_DOWN_DISABLED: "true", OFF_FORBIDDEN_ANNOTATION: rule}
        if owner_of(node) is None:
            wanted[MACHINE_ANNOTATION] = str(view.key)
        return {key: value for key, value in wanted.items() if present.get(key) != value}
    if ours is None:
        return {}
    return {SCALE_DOWN_DISABLED: None, OFF_FORBIDDEN_ANNOTATION: None}


def _kept_on(node: KubeNode, view: MachineView, now: datetime) -> dict[str, str | None]:
    """The rule that keeps the machine on, where its group asks for it."""
    present, told = node.metadata.annotations.get(KEPT_ON_ANNOTATION), ""
    if view.policy.report_blockers and view.valid and not view.ungrouped:
        found = blocker(view.node.status, node, view.off_vetoes(now))
        told = str(found)[:LONGEST] if found is not None else ""
    if not told:
        return {KEPT_ON_ANNOTATION: None} if present is not None else {}
    marks = {MACHINE_ANNOTATION: str(view.key)} if owner_of(node) is None else {}
    return {KEPT_ON_ANNOTATION: told, **marks} if told != present else {}
