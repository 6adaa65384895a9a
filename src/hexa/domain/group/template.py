"""The shape of a machine that is off: what is kept of its Kubernetes node, and what the group shows of it.

It reads Kubernetes nodes and our resources, and builds no wire format.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar

from msgspec import structs

from hexa.domain.machine.marks import own_labels
from hexa.domain.machine.registration import registered
from hexa.domain.names import (
    API_GROUP,
    ARCH_LABEL,
    CA_TAINTS,
    CA_TO_BE_DELETED_TAINT,
    EPHEMERAL,
    GROUP_LABEL,
    HOSTNAME_LABEL,
    OS_LABEL,
    SCALE_DOWN_DISABLED,
    UNINITIALIZED_TAINT,
    UNSCHEDULABLE_TAINT,
)
from hexa.domain.policy.conventions import DEFAULTS, Conventions, matches
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.quantity import least, size_of
from hexa.domain.resources.core import KubeNode, Taint
from hexa.domain.resources.v1alpha1 import Node, Shape

K = TypeVar("K")

TRANSIENT_TAINT_PREFIXES: Final = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "status-taint.cluster-autoscaler.kubernetes.io/",
)
TRANSIENT_TAINTS: Final = CA_TAINTS | {UNSCHEDULABLE_TAINT, UNINITIALIZED_TAINT}
FOREIGN_ANNOTATIONS: Final = (
    "node.alpha.kubernetes.io/",
    "volumes.kubernetes.io/",
    "kubeadm.alpha.kubernetes.io/",
    "csi.volume.kubernetes.io/",
    "cluster-autoscaler.kubernetes.io/",
)
"""Annotations that the kubelet, the controller manager or Cluster Autoscaler keep by themselves."""


def transient(taint: Taint, conventions: Conventions = DEFAULTS) -> bool:
    """A taint that tells of a moment, not of the machine: nobody would take it off again if it were given back."""
    known = taint.key in TRANSIENT_TAINTS or taint.key.startswith(TRANSIENT_TAINT_PREFIXES)
    return known or conventions.starts(taint.key)


def shape_of(
    node: KubeNode,
    *,
    previous: Shape | None,
    our_cordon: bool,
    now: datetime,
    conventions: Conventions = DEFAULTS,
) -> Shape:
    """What is worth keeping of a living node. Without allocatable resources (just registered) the previous ones stand."""
    status = node.status
    known = previous or Shape()
    return Shape(
        capacity=dict(sorted(status.capacity.items())) or known.capacity,
        allocatable=dict(sorted(status.allocatable.items())) or known.allocatable,
        labels=dict(sorted(own_labels(node).items())),
        annotations={k: v for k, v in sorted(node.metadata.annotations.items()) if _ours_to_keep(k)},
        taints=tuple(taint for taint in node.spec.taints if not transient(taint, conventions)),
        provider_id=node.spec.provider_id or known.provider_id,
        unschedulable=_cordoned_by_others(node, known, our_cordon=our_cordon),
        registered=registered(node),
        at=now,
    )


def _cordoned_by_others(node: KubeNode, known: Shape, *, our_cordon: bool) -> bool:
    """A cordon to be kept. Cluster Autoscaler (1.34 and later) cordons what it taints ToBeDeleted: that one goes with the taint,
    and what counts is how the node was before."""
    if any(taint.key == CA_TO_BE_DELETED_TAINT for taint in node.spec.taints):
        return known.unschedulable
    return node.spec.unschedulable and not our_cordon


def _ours_to_keep(key: str) -> bool:
    return not key.startswith(FOREIGN_ANNOTATIONS) and not key.startswith(API_GROUP) and key != SCALE_DOWN_DISABLED


def same_shape(one: Shape | None, other: Shape | None) -> bool:
    """Equal but for the time it was seen."""
    if one is None or other is None:
        return one is other
    return structs.replace(one, at=None) == structs.replace(other, at=None)


BYTE: Final = Decimal(1)
HUGE_PAGES: Final = "hugepages-"
PODS_DEFAULT: Final = "110"
"""So many pods a kubelet takes where nobody told it otherwise (kubelet reference, maxPods)."""
STORAGE_UNKNOWN: Final = "1Ti"
"""ephemeral-storage of a machine never seen that does not declare it: every kubelet offers some, and how much is known after
one boot. Too much wakes a machine once; none would never wake it."""


def declared_shape(machine: Node, policy: Policy, conventions: Conventions = DEFAULTS) -> Shape | None:
    """The shape the machine will have when it comes up: what was last seen, and where nothing was, what is declared. A declaration
    may lower what was seen, never raise it. None: neither is known."""
    seen, spec = machine.status.template or Shape(), machine.spec.template
    declared = _texts(spec.capacity)
    capacity = _lowered({**_never_seen(seen, declared), **seen.capacity}, declared)
    if not capacity:
        return None
    removed = {(taint.key, taint.effect) for taint in machine.spec.taints_to_remove}
    taints = spec.taints or seen.taints
    kept = tuple(
        t
        for t in taints
        if (t.key, t.effect) not in removed and (t.key, "") not in removed and not conventions.starts(t.key)
    )
    allocatable = _lowered({**_offered(capacity), **seen.allocatable}, declared)
    labels = {**seen.labels, **spec.labels, **policy.labels, GROUP_LABEL: policy.name}
    return structs.replace(seen, capacity=capacity, allocatable=allocatable, labels=labels, taints=kept)


def named_shape(name: str, shape: Shape) -> Shape:
    """The shape with the host name that the machine had, or will have: its Kubernetes node's name."""
    return structs.replace(shape, labels={HOSTNAME_LABEL: name, **shape.labels})


def _never_seen(seen: Shape, declared: Mapping[str, str]) -> dict[str, str]:
    """What every kubelet offers, for a machine that was never seen and declares something else."""
    return {} if seen.capacity or not declared else {"pods": PODS_DEFAULT, EPHEMERAL: STORAGE_UNKNOWN, **declared}


def _offered(capacity: Mapping[str, str]) -> dict[str, str]:
    """What a kubelet would let pods have of it: memory in huge pages is no memory for others (kubelet, node allocatable)."""
    huge = sum(size_of(text) for name, text in capacity.items() if name.startswith(HUGE_PAGES))
    if not huge or "memory" not in capacity:
        return dict(capacity)
    return {**capacity, "memory": str(int(max(BYTE, size_of(capacity["memory"]) - huge)))}


def _lowered(known: Mapping[str, str], declared: Mapping[str, str]) -> dict[str, str]:
    """The lesser of known and declared. Where a kubelet offered none, the declaration stands: device plug-ins come late."""
    lesser = {name: text for name, text in declared.items() if not 0 < size_of(known.get(name, "0")) <= size_of(text)}
    return {**known, **lesser}


def above_seen(machine: Node) -> list[tuple[str, str, str]]:
    """(resource, declared, seen) of each resource of which more is declared than its kubelet offered; seen is empty: none of it."""
    seen = (machine.status.template or Shape()).capacity
    if not seen:
        return []
    rows = [(name, text, seen.get(name, "")) for name, text in _texts(machine.spec.template.capacity).items()]
    return [row for row in rows if size_of(row[1]) > size_of(row[2] or "0")]


def _texts(quantities: Mapping[str, int | str]) -> dict[str, str]:
    return {name: str(value) for name, value in quantities.items()}


def group_shape(shapes: Sequence[Shape], *, beside: Iterable[Shape] = ()) -> Shape | None:
    """The field-wise least of the shapes: a node of which any machine of the group is at least the equal. `beside`: other machines
    of the group, from which is taken what is not known of these."""
    found = _least_of(shapes)
    if found is None or found.capacity.get(EPHEMERAL) != STORAGE_UNKNOWN:
        return found
    disk = {EPHEMERAL: least([found.capacity, *(s.capacity for s in beside if EPHEMERAL in s.capacity)])[EPHEMERAL]}
    return structs.replace(found, capacity={**found.capacity, **disk}, allocatable=_lowered(found.allocatable, disk))


def shown_shape(shapes: Mapping[K, Shape], able: Iterable[K]) -> Shape | Problem:
    """What Cluster Autoscaler is shown of a group: the least of the machines that can come (`able`), or of all if none can; or why
    it is shown nothing. `shapes`: of the machines whose shape is known."""
    if (problem := mixed(shapes.values())) is not None:
        return problem
    keys = set(able) & shapes.keys() or shapes.keys()
    least_of = group_shape([shapes[key] for key in sorted(keys, key=str)], beside=shapes.values())
    if least_of is None:
        text = "no machine was ever seen Ready, and none declares spec.template.capacity"
        return Problem("machines", text, "declare it, or wake a machine once", reason="ShapeUnknown")
    return least_of


def _least_of(shapes: Sequence[Shape]) -> Shape | None:
    if not shapes:
        return None
    common = set(shapes[0].labels.items()).intersection(*(shape.labels.items() for shape in shapes[1:]))
    taints = {(t.key, t.value, t.effect): t for shape in shapes for t in shape.taints}
    return Shape(
        capacity=least(shape.capacity for shape in shapes),
        allocatable=least(shape.allocatable for shape in shapes),
        labels={k: v for k, v in sorted(common) if k != HOSTNAME_LABEL},
        taints=tuple(taints[key] for key in sorted(taints)),
    )


def unlabelled_gpus(shapes: Iterable[Shape], conventions: Conventions = DEFAULTS) -> Problem | None:
    """A warning where machines have GPUs and lack the label by which Cluster Autoscaler knows such nodes."""
    for shape in shapes:
        gpus = [
            name
            for name, amount in shape.allocatable.items()
            if matches(name, conventions.gpu_resources) and amount != "0"
        ]
        if gpus and conventions.gpu_label not in shape.labels:
            return Problem(
                "machines",
                f"{min(gpus)} is there without the label {conventions.gpu_label}: Cluster Autoscaler judges its load by cpu alone",
                "label the nodes, or name the label that they carry in gpu.label of hexa's configuration",
                severity="warning",
                reason="GpuUnlabelled",
            )
    return None


PLACE_LABELS: Final = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
"""By which pods are spread, and volumes tied to where they are."""

MIXED_ABOVE: Final = Decimal("1.5")
"""Capacities further apart than this factor make a group uneven."""


def mixed(shapes: Iterable[Shape]) -> Problem | None:
    """Whether machines of one group differ so much that Cluster Autoscaler would be misled."""
    rows = list(shapes)
    for label, word in ((ARCH_LABEL, "architectures"), (OS_LABEL, "operating systems")):
        values = sorted({shape.labels[label] for shape in rows if label in shape.labels})
        if len(values) > 1:
            return Problem(
                "machines",
                f"the group mixes {word}: {', '.join(values)}; no scale-up until it is split",
                "make one group for each",
                reason="MixedShape",
            )
    return None


def uneven(shapes: Iterable[Shape]) -> Problem | None:
    """A warning where cpu or memory differ much: the template shows the least of each."""
    rows = list(shapes)
    for resource in ("cpu", "memory"):
        sizes = sorted((shape.capacity[resource] for shape in rows if resource in shape.capacity), key=size_of)
        if sizes and size_of(sizes[-1]) > size_of(sizes[0]) * MIXED_ABOVE:
            return Problem(
                "machines",
                f"{resource} ranges from {sizes[0]} to {sizes[-1]}; Cluster Autoscaler is shown the least",
                "make one group for each shape, so that the larger machines are used to the full",
                severity="warning",
                reason="UnevenShape",
            )
    return _places(rows)


def _places(rows: Sequence[Shape]) -> Problem | None:
    """A warning where machines stand in different places: the template can name none of them."""
    for label in PLACE_LABELS:
        values = sorted({shape.labels[label] for shape in rows if label in shape.labels})
        if len(values) > 1:
            return Problem(
                "machines",
                f"{label} is {', '.join(values)}; Cluster Autoscaler is shown none of them, and wakes no machine for a pod or a "
                "volume that needs one",
                "make one group for each",
                severity="warning",
                reason="UnevenShape",
            )
    return None
