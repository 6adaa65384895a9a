"""What can never work is told in advance, each by its row."""

from typing import Any

import msgspec
import pytest

from hexa.domain.group.template import declared_shape
from hexa.domain.policy.policy import policy_of
from hexa.domain.resources.v1alpha1 import Group, Node
from hexa.domain.written.pod_specs import hints, pod_problems
from hexa.domain.written.unworkable import GROUP_ROWS, MACHINE_ROWS, unworkable, unworkable_group
from hexa.domain.written.validation import group_problems, machine_problems, members_problems

SEEN = {"template": {"capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"}}}
PASSING = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def machine(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: str) -> Node:
    """A Node of a group."""
    named = {"name": "m1", "namespace": "site", "labels": {"group": "rack"}, **metadata}
    return msgspec.convert({"metadata": named, "spec": spec or {}, "status": status or {}}, Node)


def told(node: Node) -> dict[str, str]:
    """Reason by field."""
    return {problem.field.removeprefix("spec."): problem.reason for problem in unworkable(node)}


@pytest.mark.parametrize(
    ("spec", "status", "field", "reason"),
    [
        ({"template": {"capacity": {"cpu": 8, "memory": "1Gi", "pods": 0}}}, {}, "template.capacity.pods", "FitsNoPod"),
        ({"template": {"capacity": {"cpu": "0", "memory": "1Gi"}}}, {}, "template.capacity.cpu", "FitsNoPod"),
        ({"template": {"capacity": {"cpu": 8, "memory": 16}}}, {}, "template.capacity.memory", "FitsNoPod"),
        ({"template": {"capacity": {"cpu": 8, "memory": "512m"}}}, {}, "template.capacity.memory", "FitsNoPod"),
        ({"template": {"capacity": {"cpu": 8}}}, {}, "template.capacity", "TemplateIncomplete"),
        ({"template": {"capacity": {"memory": "64Gi"}}}, SEEN, "template.capacity.memory", "CapacityAboveSeen"),
        (
            {"template": {"capacity": {"nvidia.com/gpu": 1}}},
            SEEN,
            "template.capacity.nvidia.com/gpu",
            "CapacityAboveSeen",
        ),
        ({"template": {"taints": [PASSING]}}, {}, "template.taints[0]", "FitsNoPod"),
        ({"taintsToRemove": [{"key": ""}]}, {}, "taintsToRemove[0].key", "NoKey"),
        ({"energy": {"idleWatts": "60", "maxWatts": 20}}, {}, "energy.maxWatts", "MaxBelowIdle"),
    ],
)
def test_failure_55_a_template_that_no_pod_fits_is_told(
    spec: dict[str, Any], status: dict[str, Any], field: str, reason: str
) -> None:
    """A template that no pod fits, that promises too little to wake, or more than was seen, is a warning on its field."""
    node = machine(spec, status)
    assert told(node) == {field: reason}
    assert {problem.severity for problem in unworkable(node)} == {"warning"}
    assert [*unworkable(node)] == [problem for problem in machine_problems(node, None) if problem.reason == reason]


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"template": {"capacity": {"cpu": 8, "memory": "32Gi"}}}, {}),
        ({"template": {"capacity": {"cpu": 4, "memory": "32Gi"}}}, SEEN),
        ({"template": {"capacity": {"memory": "32Gi"}}}, SEEN),
        ({"template": {"taints": [PASSING]}, "taintsToRemove": [{"key": PASSING["key"]}]}, {}),
        ({}, SEEN),
    ],
)
def test_a_template_that_works_is_left_in_peace(spec: dict[str, Any], status: dict[str, Any]) -> None:
    """What every kubelet offers need not be declared, and less than was seen may be."""
    assert told(machine(spec, status)) == {}


def of_group(spec: dict[str, Any], *members: Node) -> dict[str, str]:
    """Reason by field, of a group with these machines."""
    group = msgspec.convert({"metadata": {"name": "rack", "namespace": "site"}, "spec": spec}, Group)
    policy, _ = policy_of(group)
    shapes = [declared_shape(member, policy) for member in members]
    found = [*unworkable_group(policy, members, shapes)]
    known = [*members_problems(group, members), *group_problems(group)]
    assert all(problem in known for problem in found)
    return {problem.field.removeprefix("spec."): problem.reason for problem in found}


SHAPED = machine({"template": {"capacity": {"cpu": 8, "memory": "1Gi"}}, "shutdownPodSpec": {"image": "off"}})


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"maxSize": 0}, "maxSize", "MaxSizeZero"),
        ({"drain": {"gracePeriod": "1h"}}, "drain.gracePeriod", "GraceOutlastsDrain"),
        (
            {"timeouts": {"powerOn": "1m", "boot": "2m"}, "retries": {"wakeInterval": "5m"}},
            "retries.wakeInterval",
            "NeverWokenAgain",
        ),
        ({"scaleDownUtilizationThreshold": 0}, "scaleDownUtilizationThreshold", "NeverScaledDown"),
        ({"retries": {"hedge": True}}, "retries.hedge", "NoSpare"),
        ({"zeroOrMaxNodeScaling": True, "minSize": 1, "maxSize": 3}, "zeroOrMaxNodeScaling", "NeverScaledDown"),
        ({"remediation": {"outOfService": True}}, "remediation.outOfService", "NoSensor"),
    ],
)
def test_a_group_that_can_not_do_what_it_says_is_told(spec: dict[str, Any], field: str, reason: str) -> None:
    """A limit of no machine, a wake that is never repeated, a spare that is not there: a warning on the field."""
    assert of_group(spec, SHAPED) == {field: reason}


def test_power_that_no_machine_can_cut_is_told() -> None:
    """Remediation by power cycle needs a driver that cuts power, or a pod of one's own."""
    only_ssh = {"power": {"ssh": {"address": "m1", "secretName": "ssh"}}, "template": {"capacity": {"cpu": 8}}}
    assert of_group({"remediation": {"powerCycle": True}}, machine(only_ssh)) == {
        "remediation.powerCycle": "CannotCycle"
    }
    assert of_group({"remediation": {"powerCycle": True}}, SHAPED) == {}


def test_host_name_as_selector_of_several_machines_is_told() -> None:
    """One host name is not the label of two machines."""
    selector = {"nodeSelector": {"kubernetes.io/hostname": "m1"}}
    assert of_group(selector, SHAPED, SHAPED) == {"nodeSelector": "SelectorOfOneMachine"}
    assert of_group(selector, SHAPED) == {}


@pytest.mark.parametrize(
    ("node", "unknown"),
    [
        (machine({"powerState": "off"}), True),
        (machine({"powerState": False}), True),
        (machine({"powerState": "on"}), False),
        (machine(), False),
        (machine(uid="u1"), False),
        (machine(status={"phase": "Off"}, uid="u1"), True),
        (machine(status={"phase": "StartFailed"}, uid="u1"), True),
        (machine(status={"phase": "Ready"}, uid="u1"), False),
        (machine(status={"phase": "Unknown"}, uid="u1"), False),
        (machine(status={"phase": "Off", **SEEN}, uid="u1"), False),
        (SHAPED, False),
    ],
)
def test_failure_56_a_group_whose_shape_nobody_knows_is_told(node: Node, unknown: bool) -> None:
    """A group is told of when all its machines are off from birth and none declares what it has, and not while one is about to be
    seen."""
    assert of_group({}, node) == ({"machines": "ShapeUnknown"} if unknown else {})
    assert of_group({}, node, SHAPED) == {}


POD_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"image": "Example/Wake"}, "image"),
    ({"image": "wake me"}, "image"),
    ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "bmc"}}}]}, "env[0].valueFrom.secretKeyRef.key"),
    ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "k"}}}]}, "env[0].valueFrom.configMapKeyRef.name"),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.node"}}}]},
        "env[0].valueFrom.fieldRef.fieldPath",
    ),
    ({"volumes": [{"name": "my_keys", "mountPath": "/x", "secretName": "s"}]}, "volumes[0].name"),
    ({"volumes": [{"name": "a", "mountPath": "/x", "secretName": "My Keys"}]}, "volumes[0].secretName"),
    ({"volumes": [{"name": "a", "mountPath": "/x", "configMapName": "Keys"}]}, "volumes[0].configMapName"),
    ({"serviceAccount": "Power"}, "serviceAccount"),
    ({"nodeSelector": {"rack": "upper floor"}}, "nodeSelector.rack"),
    ({"volumes": [{"name": "a", "mountPath": "/x:y", "secretName": "s"}]}, "volumes[0].mountPath"),
    (
        {"volumes": [{"name": n, "mountPath": "/x", "secretName": "s"} for n in "ab"]},
        "volumes[1].mountPath",
    ),
    ({"tolerations": [{"key": "a", "operator": "In"}]}, "tolerations[0].operator"),
    ({"tolerations": [{"operator": "Equal"}]}, "tolerations[0].key"),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, "tolerations[0].tolerationSeconds"),
    ({"imagePullSecrets": [""]}, "imagePullSecrets[0]"),
    ({"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "500m"}}}, "resources.requests.cpu"),
    ({"nodeSelector": {"infra.homecluster.dev/group": "rack"}}, "nodeSelector"),
    ({"nodeSelector": {"kubernetes.io/hostname": "m1"}}, "nodeSelector"),
]


@pytest.mark.parametrize(("pod", "field"), POD_MISTAKES, ids=[field for _, field in POD_MISTAKES])
def test_a_pod_that_could_never_run_is_told(pod: dict[str, Any], field: str) -> None:
    """What the API server refuses of a Job's pod, and what no node would run, is told on its field before the Job is needed. As a
    condition it is a warning: the other way is switched all the same."""
    node = machine({"startupPodSpec": {"image": "wake", **pod}})
    assert [problem.field for problem in pod_problems(node)] == [f"spec.startupPodSpec.{field}"]
    assert [(problem.severity, problem.reason) for problem in hints(node)] == [("warning", "PodSpecInvalid")]


@pytest.mark.parametrize(
    "image",
    [
        "wake",
        "registry.example:5000/team/wake-on-lan:1.2_a",
        "ghcr.io/a/b@sha256:0123456789abcdef",
        "10.0.0.1/x__y:latest",
    ],
)
def test_names_of_images_are_taken(image: str) -> None:
    """Registries with ports, tags and digests are names of images."""
    assert [*pod_problems(machine({"startupPodSpec": {"image": image}}))] == []


def test_each_row_is_about_something_else() -> None:
    """The tables have no row twice."""
    assert len(set(MACHINE_ROWS)) == len(MACHINE_ROWS)
    assert len(set(GROUP_ROWS)) == len(GROUP_ROWS)
