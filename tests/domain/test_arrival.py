"""What a node that became Ready still waits for, and for how long it is waited for."""

from datetime import timedelta

import pytest
from tests.domain.builders import at

from hexa.domain.machine.arrival import lacking, not_set_up, set_up_until
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.policy.conventions import DEFAULTS, Conventions, label_selectors, told_to_autoscaler
from hexa.domain.resources.core import KubeNode, KubeNodeSpec, KubeNodeStatus, Taint
from hexa.domain.resources.v1alpha1 import HistoryEntry, NodeStatus, Shape


def node(*taints: str, **allocatable: str) -> KubeNode:
    """A Kubernetes node with these taints; `gpu` is its GPUs."""
    resources = {"cpu": "4", **({"example.com/gpu": allocatable["gpu"]} if "gpu" in allocatable else {})}
    spec = KubeNodeSpec(taints=tuple(Taint(key=key, effect="NoSchedule") for key in taints))
    return KubeNode(spec=spec, status=KubeNodeStatus(allocatable=resources))


def up(*, woken: float | None = None, had: dict[str, str] | None = None) -> NodeStatus:
    """A machine that became Ready 100 s after the start, woken before that, and that had devices when it was last seen."""
    ready = HistoryEntry(at=at(100), action=str(Phase.READY))
    coming = () if woken is None else (HistoryEntry(at=at(woken), action=str(Phase.POWERING_ON)),)
    shape = Shape(allocatable={"cpu": "4", **had}) if had is not None else None
    return NodeStatus(phase=str(Phase.READY), since=at(100), history=(*coming, ready), template=shape)


@pytest.mark.parametrize(
    ("taint", "waits"),
    [
        ("node.cilium.io/agent-not-ready", True),
        ("ebs.csi.aws.com/agent-not-ready", True),
        ("csi.example.com/agent-not-ready", True),
        ("cni.istio.io/not-ready", True),
        ("kubeip.com/not-ready", True),
        ("readiness.k8s.io/example.com-storage", True),
        ("node.kubernetes.io/network-unavailable", True),
        ("startup-taint.cluster-autoscaler.kubernetes.io/mine", True),
        ("ignore-taint.cluster-autoscaler.kubernetes.io/mine", True),
        ("status-taint.cluster-autoscaler.kubernetes.io/mine", False),
        ("node.kubernetes.io/not-ready", False),
        ("node.kubernetes.io/unschedulable", False),
        ("example.com/dedicated", False),
    ],
)
def test_taints_of_a_start_are_told_from_others(taint: str, waits: bool) -> None:
    """What plug-ins and Cluster Autoscaler's own prefixes call a start is waited for; what stands for good, or is the kubelet's own
    word about being Ready, is not."""
    assert bool(list(lacking(node(taint), up(), DEFAULTS))) is waits


def test_a_site_names_taints_of_its_own() -> None:
    """The list is a setting, * stands for any text, and only keys without it can be told to Cluster Autoscaler."""
    ours = Conventions(startup_taints=("example.com/*", "rack/booting"))
    assert list(lacking(node("example.com/firmware", "node.cilium.io/agent-not-ready"), up(), ours)) == [
        "the taint example.com/firmware stands"
    ]
    assert list(told_to_autoscaler(ours.startup_taints)) == ["rack/booting"]


@pytest.mark.parametrize(
    ("had", "has", "waits"),
    [
        ({"example.com/gpu": "2"}, {}, True),
        ({"example.com/gpu": "2"}, {"gpu": "0"}, True),
        ({"example.com/gpu": "2"}, {"gpu": "1"}, False),
        ({"example.com/gpu": "0"}, {}, False),
        ({"hugepages-2Mi": "4Gi"}, {}, False),
        (None, {}, False),
    ],
)
def test_devices_that_a_machine_had_are_waited_for(
    had: dict[str, str] | None, has: dict[str, str], waits: bool
) -> None:
    """A device plug-in announces its devices some time after the kubelet is Ready: until then pods find no room for them."""
    assert list(lacking(node(**has), up(had=had), DEFAULTS)) == (["example.com/gpu is not there yet"] if waits else [])


@pytest.mark.parametrize(("woken", "provision", "seconds"), [(None, 15, 400), (0, 15, 400), (0, 5, 300), (0, 1, 100)])
def test_the_wait_has_a_limit(woken: float | None, provision: int, seconds: float) -> None:
    """Five minutes after Ready, and never longer than maxNodeProvisionTime after the wake, when Cluster Autoscaler gives up."""
    span = timedelta(minutes=provision)
    assert set_up_until(up(woken=woken), DEFAULTS, provision=span) == at(seconds)


def test_what_never_goes_is_told_once_the_wait_is_over() -> None:
    """A taint that stays is a condition for as long as it stands; a device that is gone belongs to the shape no more."""
    taint, device = ("the taint example.com/x stands",), ("example.com/gpu is not there yet",)
    assert list(not_set_up(taint, at(400), now=at(399))) == []
    for moment in (400, 9000):
        (found,) = not_set_up(taint, at(400), now=at(moment))
        assert (found.type, found.reason) == ("NotSetUp", "StartupTaint")
        assert found.message.startswith("the taint example.com/x stands: ")
    assert [found.reason for found in not_set_up(device, at(400), now=at(401))] == ["DeviceMissing"]
    assert list(not_set_up(device, at(400), now=at(9000))) == []


def test_one_list_finds_pods_by_one_label_each() -> None:
    """Selectors of one key and namespace share one watch; those of several labels have one each."""
    found = list(label_selectors(DEFAULTS.control_pods))
    assert len(found) == 3
    assert any("clusterapi-cluster-autoscaler" in labels and "hexa" in labels for _, labels in found)
