"""The shape of a machine that is off: what is kept of its node, what is declared over it, and what a group can promise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import at, kube_node, machine

from hexa.domain.group.template import declared_shape, group_shape, mixed, same_shape, shape_of, transient, uneven
from hexa.domain.names import (
    ARCH_LABEL,
    CA_CANDIDATE_TAINT,
    CA_TO_BE_DELETED_TAINT,
    CORDON_ANNOTATION,
    GROUP_LABEL,
    HOSTNAME_LABEL,
    OS_LABEL,
    SCALE_DOWN_DISABLED,
    UNINITIALIZED_TAINT,
    UNSCHEDULABLE_TAINT,
)
from hexa.domain.policy.policy import Policy
from hexa.domain.quantity import parse_quantity
from hexa.domain.resources.core import KubeNodeSpec, KubeNodeStatus, Taint
from hexa.domain.resources.v1alpha1 import NodeStatus, Shape, TemplateSpec

POLICY = Policy(namespace="site", name="rack", labels={"rack": "b"})
SIZE = {"cpu": "8", "memory": "16Gi", "pods": "110"}
GPU_TAINT = Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule")


def node(**changes: Any) -> Any:
    """A Ready machine's node with labels, annotations and taints of all origins."""
    spec = KubeNodeSpec(
        provider_id="k3s://m1", taints=changes.pop("taints", ()), unschedulable=changes.pop("cordon", False)
    )
    size = changes.pop("size", SIZE)
    return kube_node(spec=spec, status=KubeNodeStatus(capacity=size, allocatable=size), **changes)


def seen(kube: Any, *, previous: Shape | None = None, our_cordon: bool = False) -> Shape:
    """The shape that is kept of a node."""
    return shape_of(kube, previous=previous, our_cordon=our_cordon, now=at(5))


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_shape_keeps_what_belongs_to_the_machine() -> None:
    """Capacity, labels, providerID, and the annotations and taints that people or their tools set."""
    kube = node(labels={"zone": "cellar", HOSTNAME_LABEL: "m1"}, annotations={"owner": "ana"}, taints=(GPU_TAINT,))
    assert seen(kube) == Shape(
        capacity=SIZE,
        allocatable=SIZE,
        labels={"zone": "cellar", HOSTNAME_LABEL: "m1"},
        annotations={"owner": "ana"},
        taints=(GPU_TAINT,),
        provider_id="k3s://m1",
        unschedulable=False,
        at=at(5),
    )


@pytest.mark.parametrize(
    "key",
    [
        "node.alpha.kubernetes.io/ttl",
        "volumes.kubernetes.io/controller-managed-attach-detach",
        "csi.volume.kubernetes.io/nodeid",
        "kubeadm.alpha.kubernetes.io/cri-socket",
        SCALE_DOWN_DISABLED,
        CORDON_ANNOTATION,
    ],
)
def test_annotations_that_programs_keep_by_themselves_are_not_given_back(key: str) -> None:
    """What the kubelet, a controller, Cluster Autoscaler or hexa writes anew is not kept."""
    assert seen(node(annotations={key: "x", "mine": "y"})).annotations == {"mine": "y"}


@pytest.mark.parametrize(
    "key",
    [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/memory-pressure",
        UNSCHEDULABLE_TAINT,
        UNINITIALIZED_TAINT,
        CA_TO_BE_DELETED_TAINT,
        CA_CANDIDATE_TAINT,
    ],
)
def test_taints_of_a_moment_are_not_given_back(key: str) -> None:
    """A taint that speaks of a condition, or of a scale-down, would keep pods off the next boot."""
    taint = Taint(key=key, effect="NoSchedule")
    assert transient(taint)
    assert seen(node(taints=(taint, GPU_TAINT))).taints == (GPU_TAINT,)
    assert not transient(GPU_TAINT)


def test_startup_taints_are_in_no_template() -> None:
    """A plug-in takes them off each node that it sets up: declared, or remembered by an older hexa, they would keep pods from
    waking the machine, and nobody would take them off again."""
    agent = Taint(key="node.cilium.io/agent-not-ready", effect="NoExecute")
    last = seen(node(taints=(agent, GPU_TAINT)))
    assert last.taints == (GPU_TAINT,)
    for template, remembered in ((TemplateSpec(), (agent, GPU_TAINT)), (TemplateSpec(taints=(agent, GPU_TAINT)), ())):
        shape = declared(template, last=structs.replace(last, taints=remembered))
        assert shape is not None
        assert shape.taints == (GPU_TAINT,)


def test_cordon_of_others_is_kept_and_ours_is_not() -> None:
    """Somebody's cordon comes back with the machine; the one that hexa drains with does not."""
    assert seen(node(cordon=True)).unschedulable
    assert not seen(node(cordon=True), our_cordon=True).unschedulable
    assert not seen(node(cordon=False)).unschedulable


def test_cordon_of_a_scale_down_is_nobodys() -> None:
    """Cluster Autoscaler cordons what it deletes: what counts is how the node was before."""
    going = node(cordon=True, taints=(Taint(key=CA_TO_BE_DELETED_TAINT, effect="NoSchedule"),))
    assert not seen(going).unschedulable
    assert seen(going, previous=Shape(unschedulable=True)).unschedulable


def test_node_that_just_registered_does_not_wipe_the_known_capacity() -> None:
    """A kubelet that has not reported resources yet leaves what was known; what it reports counts."""
    before = seen(node())
    fresh = structs.replace(node(size={}), spec=KubeNodeSpec())
    after = seen(fresh, previous=before)
    assert (after.capacity, after.allocatable, after.provider_id) == (SIZE, SIZE, "k3s://m1")
    assert seen(node(size={"cpu": "4"}), previous=before).capacity == {"cpu": "4"}


def test_shapes_are_compared_without_their_time() -> None:
    """A shape that was only seen again is not worth a write."""
    one = seen(node())
    assert same_shape(one, structs.replace(one, at=at(99)))
    assert not same_shape(one, structs.replace(one, provider_id="other"))
    assert not same_shape(one, None)
    assert same_shape(None, None)


# --- what is declared --------------------------------------------------------------------------------------------------


def declared(template: TemplateSpec, *, last: Shape | None = None, remove: tuple[Taint, ...] = ()) -> Shape | None:
    """The shape of a machine with that template, last seen so."""
    known = structs.replace(machine(template=template, taints_to_remove=remove), status=NodeStatus(template=last))
    return declared_shape(known, POLICY)


def test_machine_of_which_no_capacity_is_known_has_no_shape() -> None:
    """Neither declared nor ever seen: nothing is promised, not even labels."""
    assert declared(TemplateSpec()) is None
    assert declared(TemplateSpec(labels={"zone": "cellar"})) is None


def test_declared_capacity_is_enough_for_a_machine_never_seen() -> None:
    """A machine can be enrolled while off: capacity and allocatable are what was declared, numbers as texts, and besides what every
    kubelet offers: 110 pods, and more ephemeral-storage than anybody asks for."""
    shape = declared(TemplateSpec(capacity={"cpu": 8, "memory": "16Gi"}))
    assert shape is not None
    assert shape.capacity == {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "1Ti"}
    assert shape.allocatable == shape.capacity
    assert shape.labels == {"rack": "b", GROUP_LABEL: "rack"}


@pytest.mark.parametrize(
    ("huge", "memory"),
    [
        ({"hugepages-1Gi": "12Gi"}, 4 * 2**30),
        ({"hugepages-1Gi": "8Gi", "hugepages-2Mi": "6Gi"}, 2 * 2**30),
        ({"hugepages-2Mi": "20Gi"}, 1),
    ],
)
def test_memory_in_huge_pages_is_no_memory_for_others(huge: dict[str, int | str], memory: int) -> None:
    """Of a machine never seen it is taken off, as its kubelet will: no pod wakes it that would then not fit. Once seen, what was
    seen counts."""
    template = TemplateSpec(capacity={"memory": "16Gi", **huge})
    shape = declared(template)
    assert shape is not None
    assert (shape.capacity["memory"], shape.allocatable["memory"]) == ("16Gi", str(memory))
    last = Shape(
        capacity={"memory": "16Gi", **{k: str(v) for k, v in huge.items()}},
        allocatable={"memory": "3Gi", **{k: str(v) for k, v in huge.items()}},
    )
    seen = declared(template, last=last)
    assert seen is not None
    assert seen.allocatable["memory"] == "3Gi"


def test_declared_stands_over_seen_field_by_field() -> None:
    """What is declared counts, what is not is taken from the last shape seen, and the group's labels stand over both."""
    last = Shape(
        capacity=SIZE, allocatable={**SIZE, "cpu": "7500m"}, labels={"zone": "cellar", "rack": "a"}, taints=(GPU_TAINT,)
    )
    shape = declared(TemplateSpec(capacity={"memory": "8Gi"}, labels={"zone": "attic"}), last=last)
    assert shape is not None
    assert shape.capacity == {**SIZE, "memory": "8Gi"}
    assert shape.allocatable == {**SIZE, "cpu": "7500m", "memory": "8Gi"}
    assert shape.labels == {"zone": "attic", "rack": "b", GROUP_LABEL: "rack"}
    assert shape.taints == (GPU_TAINT,)


def test_what_is_declared_stands_over_what_every_kubelet_offers() -> None:
    """A machine never seen that declares pods and ephemeral-storage has these."""
    size = {"cpu": "8", "memory": "16Gi", "pods": "30", "ephemeral-storage": "20Gi"}
    shape = declared(TemplateSpec(capacity=dict(size)))
    assert shape is not None
    assert shape.capacity == size


def test_what_was_seen_is_never_raised_by_a_declaration() -> None:
    """No pod is promised more than the kubelet offered, allocatable included, and no ephemeral-storage that was not seen."""
    last = Shape(capacity=SIZE, allocatable={**SIZE, "cpu": "7500m", "memory": "15Gi"})
    shape = declared(TemplateSpec(capacity={"cpu": 8, "memory": "64Gi"}), last=last)
    assert shape is not None
    assert shape.capacity == SIZE
    assert shape.allocatable == last.allocatable


def test_declared_gpu_that_was_not_offered_yet_stands() -> None:
    """A device plug-in is late after a boot: what it had not offered when the machine was last seen is still asked for."""
    last = Shape(capacity={**SIZE, "nvidia.com/gpu": "0"}, allocatable={**SIZE, "nvidia.com/gpu": "0"})
    shape = declared(TemplateSpec(capacity={"nvidia.com/gpu": 2, "example.com/fpga": 1}), last=last)
    assert shape is not None
    assert shape.allocatable == {**SIZE, "nvidia.com/gpu": "2", "example.com/fpga": "1"}


def test_taints_that_are_removed_at_boot_are_not_shown() -> None:
    """taintsToRemove counts by key and effect; without an effect by key alone. Declared taints stand over seen ones."""
    other = Taint(key="nvidia.com/gpu", effect="NoExecute")
    template = TemplateSpec(capacity={"cpu": 1}, taints=(GPU_TAINT, other))
    for remove, left in [
        ((), (GPU_TAINT, other)),
        ((Taint(key="nvidia.com/gpu", effect="NoSchedule"),), (other,)),
        ((Taint(key="nvidia.com/gpu"),), ()),
        ((Taint(key="nvidia.com"),), (GPU_TAINT, other)),
    ]:
        shape = declared(template, remove=remove)
        assert shape is not None
        assert shape.taints == left


# --- groups ------------------------------------------------------------------------------------------------------------

quantities = st.dictionaries(
    st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), st.sampled_from(["1", "2", "500m", "8Gi", "9000Mi"])
)
taints = st.lists(st.sampled_from([GPU_TAINT, Taint(key="a", effect="NoSchedule"), Taint(key="a", effect="NoExecute")]))
shapes = st.lists(
    st.builds(
        Shape,
        capacity=quantities,
        allocatable=quantities,
        labels=st.dictionaries(st.sampled_from(["zone", "disk", HOSTNAME_LABEL]), st.sampled_from("xy")),
        taints=taints.map(tuple),
    ),
    min_size=1,
    max_size=5,
)


@given(shapes)
def test_any_machine_is_at_least_what_its_group_shows(members: list[Shape]) -> None:
    """What Cluster Autoscaler is shown, every machine has: no more resources, no other labels, no fewer taints."""
    shown = group_shape(members)
    assert shown is not None
    for each in members:
        assert all(parse_quantity(each.capacity[n]) >= parse_quantity(q) for n, q in shown.capacity.items())
        assert all(parse_quantity(each.allocatable[n]) >= parse_quantity(q) for n, q in shown.allocatable.items())
        assert shown.labels.items() <= each.labels.items()
        assert set(each.taints) <= set(shown.taints)
    assert HOSTNAME_LABEL not in shown.labels


@given(shapes)
def test_group_shows_as_much_as_all_of_its_machines_have(members: list[Shape]) -> None:
    """The template is not smaller than need be: each amount is that of some machine, and common labels are all there."""
    shown = group_shape(members)
    assert shown is not None
    for name in set.intersection(*({*each.capacity} for each in members)):
        assert shown.capacity[name] in {each.capacity[name] for each in members}
    common = set.intersection(*({*each.labels.items()} for each in members))
    assert {pair for pair in common if pair[0] != HOSTNAME_LABEL} == set(shown.labels.items())
    assert group_shape(members[::-1]) is not None


def test_group_without_shapes_shows_none() -> None:
    """Nothing is known of any machine: there is no template."""
    assert group_shape([]) is None


@pytest.mark.parametrize(
    ("label", "values", "word"),
    [(ARCH_LABEL, ("arm64", "amd64"), "architectures"), (OS_LABEL, ("linux", "windows"), "operating systems")],
)
def test_group_of_two_kinds_is_refused(label: str, values: tuple[str, str], word: str) -> None:
    """Pods built for one would be sent to the other: an error that names both, until the group is split."""
    problem = mixed([Shape(labels={label: value}) for value in values])
    assert problem is not None
    assert (problem.reason, problem.severity) == ("MixedShape", "error")
    assert f"{word}: {', '.join(sorted(values))}" in problem.text
    assert mixed([Shape(labels={label: values[0]}), Shape()]) is None


@pytest.mark.parametrize(
    ("sizes", "uneven_group"),
    [
        (("8", "8"), False),
        (("4", "6"), False),
        (("4", "6001m"), True),
        (("4", "16"), True),
        (("many", "8"), True),
        ((), False),
    ],
)
def test_group_of_very_different_sizes_is_warned_of(sizes: tuple[str, ...], uneven_group: bool) -> None:
    """More than half as much again: the larger machines are never used to the full, and people are told."""
    for resource in ("cpu", "memory"):
        problem = uneven([Shape(capacity={resource: size}) for size in sizes] + [Shape()])
        assert (problem is not None) == uneven_group
        if problem is not None:
            assert (problem.reason, problem.severity) == ("UnevenShape", "warning")
            assert f"{resource} ranges from {sizes[0]} to {sizes[-1]}" in problem.text


@pytest.mark.parametrize("label", ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"])
def test_a_group_in_several_places_is_warned_of(label: str) -> None:
    """The template names no place then, and a pod or volume that needs one wakes nothing; one place, or none told, is no matter."""
    rows = [Shape(labels={label: place}) for place in ("attic", "cellar")]
    problem = uneven([*rows, Shape()])
    assert problem is not None
    assert (problem.reason, problem.severity) == ("UnevenShape", "warning")
    assert f"{label} is attic, cellar" in str(problem)
    assert uneven([rows[0], rows[0], Shape()]) is None
