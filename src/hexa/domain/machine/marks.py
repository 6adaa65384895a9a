"""The way out: what hexa has put on Kubernetes nodes and on its own resources, and how it is taken off again.

Every mark tells by itself that it is ours, so that it can be taken off when the machine's Node resource is long gone. It knows no
phase but Off, and switches nothing.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hexa.domain.machine.kube_conditions import ours as lifecycle_conditions
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.registration import own_name
from hexa.domain.names import (
    CA_TAINTS,
    CA_TO_BE_DELETED_TAINT,
    CORDON_ANNOTATION,
    FINALIZER_ANNOTATION,
    GROUP_LABEL,
    KEPT_ON_ANNOTATION,
    LABELS_ANNOTATION,
    MACHINE_ANNOTATION,
    OFF_FINALIZER,
    OFF_FORBIDDEN_ANNOTATION,
    OUT_OF_SERVICE_ANNOTATION,
    OUT_OF_SERVICE_TAINT,
    REGISTERED_ANNOTATION,
    RELEASED_ANNOTATION,
    SCALE_DOWN_DISABLED,
    UNSCHEDULABLE_TAINT,
)
from hexa.domain.resources.core import UNREADABLE, KubeNode, Metadata
from hexa.domain.resources.v1alpha1 import Lookup, Node, Registration, Shape

Given = dict[str, tuple[str, str | None]]
"""Labels by key: what hexa gave, and what was there before (None: nothing)."""

NO_LABELS: Final[Mapping[str, str]] = {}

MARKS: Final = (
    MACHINE_ANNOTATION,
    LABELS_ANNOTATION,
    REGISTERED_ANNOTATION,
    CORDON_ANNOTATION,
    OFF_FORBIDDEN_ANNOTATION,
    OUT_OF_SERVICE_ANNOTATION,
    KEPT_ON_ANNOTATION,
)
SUSPENDED: Final = "Suspended"
SUSPENDED_REASONS: Final = frozenset({"PoweredOff", "PoweredOn"})
KUBELETS_LABELS: Final = ("kubernetes.io/", "beta.kubernetes.io/", "node.kubernetes.io/")


# --- Kubernetes nodes ---


def given_labels(annotations: Mapping[str, str]) -> Given:
    """The labels that the node was given, by its annotation; one that does not decode counts as none."""
    text = annotations.get(LABELS_ANNOTATION)
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=Given)
    except UNREADABLE:
        return {}


def given_text(given: Given) -> str:
    """The reverse of `given_labels`."""
    return json.dumps({key: list(given[key]) for key in sorted(given)})


def own_labels(node: KubeNode) -> dict[str, str]:
    """The node's labels as they are without what hexa gave it."""
    labels = dict(node.metadata.labels)
    for key, value in taken_back(node).items():
        if value is None:
            labels.pop(key, None)
        else:
            labels[key] = value
    return labels


def taken_back(node: KubeNode, *, wanted: Mapping[str, str] = NO_LABELS) -> dict[str, str | None]:
    """What to make of labels that hexa gave and that are `wanted` no more, or with another value: what was there before, or what is
    wanted now. One that somebody has changed since stays as it is."""
    present = node.metadata.labels
    given = given_labels(node.metadata.annotations)
    if GROUP_LABEL in present:
        given = {**given, GROUP_LABEL: (present[GROUP_LABEL], None)}
    outdated = {key: before for key, (value, before) in given.items() if present.get(key) == value}
    return {key: wanted.get(key, before) for key, before in outdated.items() if wanted.get(key) != present[key]}


def owner_of(node: KubeNode) -> Lookup | None:
    """The Node resource that the node's marks are of, as far as it says so."""
    namespace, _, name = node.metadata.annotations.get(MACHINE_ANNOTATION, "").partition("/")
    return Lookup(namespace, name) if namespace and name else None


def suspended_by_us(node: KubeNode) -> bool:
    """Whether it carries our condition Suspended, true or false."""
    return any(c.type == SUSPENDED and c.reason in SUSPENDED_REASONS for c in node.status.conditions)


def conditions_of_ours(node: KubeNode) -> tuple[str, ...]:
    """Every condition of ours that it carries, true or false."""
    suspended = (SUSPENDED,) if suspended_by_us(node) else ()
    return (*suspended, *lifecycle_conditions(node))


def suspended_now(node: KubeNode) -> bool:
    """Whether it carries the condition Suspended=True, by whomever."""
    return any(c.type == SUSPENDED and c.status == "True" for c in node.status.conditions)


def marked(node: KubeNode) -> bool:
    """Whether anything of ours is on the node."""
    annotations = node.metadata.annotations
    labelled = GROUP_LABEL in node.metadata.labels or any(mark in annotations for mark in MARKS)
    return labelled or bool(conditions_of_ours(node))


def unmarking(node: KubeNode) -> dict[str, Any]:
    """The merge patch that takes everything of ours off a node but for conditions; empty where there is nothing.

    Cluster Autoscaler's taints go too, and the cordon that it sets with ToBeDeleted: they speak of a removal that is called off.
    """
    annotations: dict[str, None] = {mark: None for mark in MARKS if mark in node.metadata.annotations}
    if OFF_FORBIDDEN_ANNOTATION in annotations and SCALE_DOWN_DISABLED in node.metadata.annotations:
        annotations[SCALE_DOWN_DISABLED] = None
    metadata = {key: part for key, part in (("labels", taken_back(node)), ("annotations", annotations)) if part}
    spec = _unmarked_spec(node)
    return {key: part for key, part in (("metadata", metadata), ("spec", spec)) if part}


def _unmarked_spec(node: KubeNode) -> dict[str, Any]:
    keys = {taint.key for taint in node.spec.taints}
    ours = CORDON_ANNOTATION in node.metadata.annotations or CA_TO_BE_DELETED_TAINT in keys
    uncordons = node.spec.unschedulable and ours
    gone = CA_TAINTS | ({UNSCHEDULABLE_TAINT} if uncordons else set())
    if OUT_OF_SERVICE_ANNOTATION in node.metadata.annotations:
        gone |= {OUT_OF_SERVICE_TAINT}
    spec: dict[str, Any] = {"unschedulable": None} if uncordons else {}
    if not gone.isdisjoint(keys):
        spec["taints"] = msgspec.to_builtins([t for t in node.spec.taints if t.key not in gone]) or None
    return spec


def without_conditions(types: Iterable[str]) -> dict[str, Any]:
    """The strategic patch of a node's status that removes these conditions."""
    return {"status": {"conditions": [{"type": type_, "$patch": "delete"} for type_ in types]}}


# --- our own resources ---


def released(metadata: Metadata) -> bool:
    """Whether `hexa release` gave the object up."""
    return RELEASED_ANNOTATION in metadata.annotations


def leaving(node: Node) -> bool:
    """Released, or being deleted: hexa does nothing more to the machine."""
    return node.metadata.deletion_timestamp is not None or released(node.metadata)


def how_to_clear(key: Lookup) -> str:
    """The command that clears every finalizer of a machine without hexa."""
    patch = """'{"metadata":{"finalizers":null}}'"""
    return f"kubectl patch hn {key.name} -n {key.namespace} --type=merge -p {patch}"


def how_to_take_back(key: Lookup, *, kind: str = "hn") -> str:
    """The command that puts a released machine (or a group, hg) into hexa's hands again."""
    return f"kubectl annotate {kind} {key.name} -n {key.namespace} {RELEASED_ANNOTATION}-"


def held_back(node: Node) -> bool:
    """Whether our finalizer stands on it."""
    return OFF_FINALIZER in node.metadata.finalizers


def hold_back(node: Node) -> dict[str, Any]:
    """The merge patch that sets the finalizer, and says beside it how to clear it."""
    key = Lookup(node.metadata.namespace, node.metadata.name)
    text = f"stands while the machine is off, status.template is what its node had; to clear it without hexa: {how_to_clear(key)}"
    finalizers = [*node.metadata.finalizers, OFF_FINALIZER]
    return {"metadata": {"finalizers": finalizers, "annotations": {FINALIZER_ANNOTATION: text}}}


def let_go(metadata: Metadata) -> dict[str, Any]:
    """The merge patch that removes our finalizer and its text; empty where there is none."""
    body: dict[str, Any] = {}
    if OFF_FINALIZER in metadata.finalizers:
        body["finalizers"] = [each for each in metadata.finalizers if each != OFF_FINALIZER]
    if FINALIZER_ANNOTATION in metadata.annotations:
        body["annotations"] = {FINALIZER_ANNOTATION: None}
    return {"metadata": body} if body else {}


def outlived(node: Node) -> bool:
    """The finalizer stands on a machine that is not off any more."""
    return held_back(node) and phase_of(node.status) is not Phase.OFF


def handback(name: str, shape: Shape | None) -> list[str]:
    """Commands that give a node, once it has registered anew, what it had before it left; what kubelets set themselves apart."""
    if shape is None:
        return []
    own = shape.registered or Registration()
    labels = [f"{k}={v}" for k, v in shape.labels.items() if not (_kubelets(k) or k in own.labels or k == GROUP_LABEL)]
    annotations = [f"{k}={v}" for k, v in shape.annotations.items()]
    given = [t for t in shape.taints if own_name(t) not in own.taints]
    taints = [f"{t.key}={t.value}:{t.effect}" if t.value else f"{t.key}:{t.effect}" for t in given]
    words = (("label --overwrite", labels), ("annotate --overwrite", annotations), ("taint --overwrite", taints))
    kind = {"taint --overwrite": "nodes"}
    commands = [
        " ".join(["kubectl", verb, kind.get(verb, "node"), name, *map(shlex.quote, each)])
        for verb, each in words
        if each
    ]
    return [*commands, f"kubectl cordon {name}"] if shape.unschedulable else commands


def _kubelets(key: str) -> bool:
    return key.startswith(KUBELETS_LABELS)
