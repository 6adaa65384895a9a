"""The reference autoscaler keeps the stock Cluster Autoscaler's rules, one by one."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.names import (
    CA_CANDIDATE_TAINT,
    CA_TO_BE_DELETED_TAINT,
    HOSTNAME_LABEL,
    SAFE_TO_EVICT,
    SCALE_DOWN_DISABLED,
)
from hexa.domain.resources.core import (
    BUDGETS,
    NODES,
    Container,
    KubeNode,
    KubeNodeStatus,
    Metadata,
    Pod,
    PodSpec,
    ResourceRequirements,
    Taint,
)
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.cloud import InstanceState, Options
from hexa.ports.kube import Patch
from hexa.testing.autoscaler.packing import estimate, template_of
from hexa.testing.autoscaler.view import PodView
from tests.testing.fakes import SHAPE, Cluster

MINUTE = 60.0


@pytest.fixture
async def cluster(autojump_clock: MockClock) -> Cluster:
    """A cluster with one group, "rack", and no node."""
    cluster = Cluster()
    cluster.cloud.add("rack")
    return cluster


def reasons(decisions: Any) -> list[str]:
    """What was decided, in order."""
    return [decision.what for decision in decisions]


# --- up -------------------------------------------------------------------------------------------


async def test_scale_from_zero_asks_for_what_the_pods_need(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Eight pods of 2 cores need four machines of 4: one call asks for all of them, within a scan interval and the 2 s in
    which more pods may follow."""
    for _ in range(8):
        cluster.pod(cpu="2")
    async with cluster.autoscaler():
        await trio.sleep(9)
        assert cluster.cloud.calls == []
        await trio.sleep(2)
    assert cluster.cloud.calls == [("increase_size", "rack", 4)]


@pytest.mark.parametrize(("interval", "earliest", "latest"), [(2.0, 2.0, 4.1), (5.0, 2.0, 7.1), (10.0, 2.0, 12.1)])
async def test_the_scan_interval_is_paid_at_each_scale_up(
    autojump_clock: MockClock, cluster: Cluster, interval: float, earliest: float, latest: float
) -> None:
    """Pods younger than 2 s wait for the next loop: a machine is asked for between 2 s and a scan interval more."""
    async with cluster.autoscaler(scan_interval=interval) as autoscaler:
        await trio.sleep(3 * interval + 1)
        cluster.pod(cpu="2")
        await trio.sleep(earliest - 0.1)
        assert cluster.cloud.calls == []
        await trio.sleep(latest - earliest + 0.1)
        assert cluster.cloud.calls == [("increase_size", "rack", 1)], autoscaler.decisions


async def test_pods_that_ask_for_a_gpu_are_waited_for_longer(autojump_clock: MockClock, cluster: Cluster) -> None:
    """While the oldest pod that asks for a GPU is younger than 30 s, no machine is asked for."""
    gpu = {"name": "c", "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}}}
    resources = {**SHAPE.capacity, "nvidia.com/gpu": "1"}
    cluster.cloud.add("gpu", shape=structs.replace(SHAPE, capacity=resources, allocatable=resources))
    async with cluster.autoscaler(scan_interval=2.0):
        cluster.pod(containers=[gpu])
        await trio.sleep(29)
        assert cluster.cloud.calls == []
        await trio.sleep(4)
    assert cluster.cloud.calls == [("increase_size", "gpu", 1)]


async def test_upcoming_machines_are_not_asked_for_twice(autojump_clock: MockClock, cluster: Cluster) -> None:
    """While machines that were asked for are on their way, pods that will fit on them cause no further request."""
    cluster.pod(cpu="4")
    async with cluster.autoscaler():
        await trio.sleep(2 * MINUTE)
        assert cluster.cloud.asked("increase_size") == [1]
        cluster.pod(cpu="4")
        await trio.sleep(MINUTE)
    assert cluster.cloud.asked("increase_size") == [1, 1]


async def test_scale_up_stops_at_max_size(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group is never asked to grow beyond the max size that it tells."""
    for _ in range(9):
        cluster.pod(cpu="4")
    async with cluster.autoscaler():
        await trio.sleep(2 * MINUTE)
    assert cluster.cloud.asked("increase_size") == [5]


async def test_pods_that_fit_on_a_node_need_no_machine(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An unschedulable pod for which a node has room since is left to the scheduler."""
    cluster.node("free")
    cluster.pod(cpu="2")
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == []


@pytest.mark.parametrize(
    "spec",
    [
        {"cpu": "5"},
        {"nodeSelector": {"group": "other"}},
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "group", "operator": "DoesNotExist"}]}]
                    }
                }
            }
        },
    ],
    ids=["too large", "node selector", "affinity"],
)
async def test_no_machine_is_woken_for_a_pod_that_it_cannot_take(
    autojump_clock: MockClock, cluster: Cluster, spec: Any
) -> None:
    """Requests, node selectors and required node affinity are matched with the group's template first."""
    cluster.pod(**spec)
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == []


@pytest.mark.parametrize("tolerates", [False, True])
async def test_taints_of_the_template_count(autojump_clock: MockClock, cluster: Cluster, tolerates: bool) -> None:
    """A group whose nodes carry a taint grows only for pods that tolerate it."""
    cluster.cloud.templates["rack"] = structs.replace(SHAPE, taints=(Taint(key="gpu", effect="NoSchedule"),))
    cluster.pod(tolerations=[{"key": "gpu", "operator": "Exists"}] if tolerates else [])
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert bool(cluster.cloud.calls) is tolerates


async def test_without_a_template_there_is_no_scale_up(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group that cannot say what its nodes look like does not grow from zero."""
    cluster.cloud.templates.clear()
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == []


async def test_a_good_node_is_the_template(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Where a node of the group has been Ready for a minute, new nodes are expected to look like it and not like the answer
    of the provider."""
    small = Shape(capacity={"cpu": "1", "pods": "110"}, allocatable={"cpu": "1", "pods": "110"})
    cluster.cloud.templates["rack"] = small
    cluster.node("node-1", group="rack")
    cluster.pod(cpu="4", node="node-1")
    cluster.pod(cpu="4")
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.asked("increase_size") == [1]


async def test_least_waste_chooses_the_group_that_fits(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Of two groups that could take the pods, the one that leaves the least unused grows."""
    large = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    cluster.cloud.add("large", shape=Shape(capacity=large, allocatable=large))
    cluster.pod(cpu="4")
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == [("increase_size", "rack", 1)]


def test_no_more_nodes_are_reckoned_with_than_can_come() -> None:
    """Of eight pods that need a node each, a group that can bring two is weighed for two."""
    container = Container(resources=ResourceRequirements(requests={"cpu": "3"}))
    pods = [
        PodView(Pod(metadata=Metadata(name=f"pod-{number}"), spec=PodSpec(containers=(container,))), None)
        for number in range(8)
    ]
    status = KubeNodeStatus(capacity=SHAPE.capacity, allocatable=SHAPE.allocatable)
    template = template_of(KubeNode(status=status), (), name="rack")
    assert estimate(pods, template, limit=9).nodes == 8
    assert (found := estimate(pods, template, limit=2)).nodes == 2
    assert len(found.pods) == 2


def test_a_pod_that_names_a_node_fits_no_new_one_like_it() -> None:
    """A group is judged by a node of it that is up, under another host name, as Cluster Autoscaler does."""
    node = KubeNode(
        metadata=Metadata(name="rack-1", labels={HOSTNAME_LABEL: "rack-1"}),
        status=KubeNodeStatus(capacity=SHAPE.capacity, allocatable=SHAPE.allocatable),
    )
    named = PodView(Pod(metadata=Metadata(name="db"), spec=PodSpec(node_selector={HOSTNAME_LABEL: "rack-1"})), None)
    template = template_of(node, (), name="template")
    assert template.node.metadata.labels == {HOSTNAME_LABEL: "template"}
    assert estimate([named], template, limit=3).nodes == 0


async def test_news_of_the_provider_alone_are_noticed(autojump_clock: MockClock, cluster: Cluster) -> None:
    """While pods wait, a group that may grow again is asked within a scan interval, though nothing changed in the cluster."""
    cluster.cloud.add("rack", max_size=0)
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(10 * MINUTE)
        cluster.cloud.add("rack", max_size=1)
        await trio.sleep(11)
    assert cluster.cloud.asked("increase_size") == [1]


async def test_the_price_expander_chooses_the_cheaper_group(autojump_clock: MockClock, cluster: Cluster) -> None:
    """With the price expander the cheaper of two equal groups grows, and a group without a price never does."""
    for name, price in (("dear", 3.0), ("cheap", 1.0)):
        cluster.cloud.add(name)
        cluster.cloud.prices[name] = price
    cluster.pod(cpu="4")
    async with cluster.autoscaler(expander="price"):
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == [("increase_size", "cheap", 1)]


async def test_a_refused_scale_up_backs_the_group_off(autojump_clock: MockClock, cluster: Cluster) -> None:
    """After a refusal the group is asked again after 5 minutes, then 10, 20, 30 and 30."""
    cluster.cloud.deny.add("increase_size")
    cluster.pod()
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(100 * MINUTE)
        times = [decision.at for decision in autoscaler.decisions]
    gaps = [int((later - earlier).total_seconds() / 60) for earlier, later in pairwise(times)]
    assert gaps == [5, 10, 20, 30, 30]


async def test_backoff_is_forgotten_after_three_hours(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group that has not failed for 3 hours starts again with a back-off of 5 minutes."""
    cluster.cloud.deny.add("increase_size")
    name = cluster.pod()
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(MINUTE)
        cluster.remove_pod(name)
        await trio.sleep(181 * MINUTE)
        cluster.pod()
        await trio.sleep(8 * MINUTE)
        later = [d.at for d in autoscaler.decisions][1:]
    assert [round((at - later[0]).total_seconds() / 60) for at in later] == [0, 5]


async def test_a_scale_up_that_does_not_come_is_taken_back(autojump_clock: MockClock, cluster: Cluster) -> None:
    """After the group's max provision time the request is reverted by DecreaseTargetSize and the group backs off."""
    cluster.cloud.group_options["rack"] = Options(max_node_provision_time=120.0)
    cluster.pod()
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(4 * MINUTE)
        told = reasons(autoscaler.decisions)
    assert cluster.cloud.calls == [("increase_size", "rack", 1), ("decrease_target_size", "rack", -1)]
    assert told == ["ScaleUp", "ScaleUpTimedOut"]


async def test_an_instance_that_failed_is_deleted_and_its_group_backs_off(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    """An instance that reports an error while the group grows is deleted at once, and the group is left alone."""
    cluster.pod()
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(15)
        cluster.cloud.show("rack", "fake://broken", InstanceState.CREATING, error="BootFailed")
        await trio.sleep(20)
        told = reasons(autoscaler.decisions)
        assert autoscaler.state.backoff.until("rack", now=cluster.clock.now()) is not None
    assert told[:3] == ["ScaleUp", "ScaleUpFailed", "DeleteFailedInstance"]
    assert cluster.cloud.asked("delete_nodes")[0] == ["fake://broken"]


async def test_upcoming_counts_only_while_a_request_stands(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A target above the nodes that are there, which the autoscaler did not ask for, hides no pending pod."""
    cluster.node("node-1", group="rack")
    cluster.pod(cpu="4", node="node-1")
    cluster.cloud.targets["rack"] = 3
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(15)
    assert cluster.cloud.asked("increase_size") == [1]


async def test_a_group_that_lacks_nodes_unexplained_never_grows(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group without a node whose target counts machines that nobody asked for is unhealthy, and is not asked to grow:
    a provider must not count machines that were never on."""
    cluster.cloud.targets["rack"] = 2
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(30 * MINUTE)
    assert cluster.cloud.calls == []


async def test_an_instance_that_never_registers_is_removed(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An instance that no node carries is deleted after the max provision time, as far as min size lets it."""
    cluster.cloud.add("rack", min_size=1, target=3)
    for name in ("one", "two", "three"):
        cluster.cloud.show("rack", f"fake://{name}", InstanceState.CREATING)
    async with cluster.autoscaler():
        await trio.sleep(14 * MINUTE)
        assert cluster.cloud.asked("delete_nodes") == []
        await trio.sleep(1.5 * MINUTE)
    assert cluster.cloud.asked("delete_nodes")[0] == ["fake://one", "fake://two"]


async def test_a_loop_waits_for_the_provider(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A failed Refresh ends the loop before anything is asked for."""
    cluster.cloud.ready = False
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
        assert cluster.cloud.calls == []
        cluster.cloud.ready = True
        await trio.sleep(11)
    assert cluster.cloud.asked("increase_size") == [1]


async def test_an_instance_that_failed_is_not_waited_for(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An instance with an error, or on its way down, is not expected to register; one that is being made is."""
    cluster.cloud.show("rack", "fake://broken", InstanceState.CREATING, error="BootFailed")
    cluster.cloud.show("rack", "fake://leaving", InstanceState.DELETING)
    cluster.cloud.show("rack", "fake://coming", InstanceState.CREATING)
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(1)
        assert autoscaler.state.total.unregistered == ["fake://coming"]


async def test_min_size_keeps_unregistered_instances(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Instances that never registered stay while the group is at its minimum size, or below."""
    cluster.cloud.add("rack", min_size=3, target=2)
    for name in ("one", "two"):
        cluster.cloud.show("rack", f"fake://{name}", InstanceState.CREATING)
    async with cluster.autoscaler():
        await trio.sleep(16 * MINUTE)
    assert cluster.cloud.calls == []


async def test_a_group_that_stays_too_small_is_corrected(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A target above what is there and on its way, for the whole provision time, is taken down to what is there."""
    cluster.node("node-1", group="rack", annotations={SCALE_DOWN_DISABLED: "true"})
    cluster.cloud.targets["rack"] = 3
    async with cluster.autoscaler():
        await trio.sleep(14 * MINUTE)
        assert cluster.cloud.calls == []
        await trio.sleep(2 * MINUTE)
    assert cluster.cloud.calls == [("decrease_target_size", "rack", -2)]


async def test_a_group_looks_as_it_did(autojump_clock: MockClock, cluster: Cluster) -> None:
    """After its last node has gone, a group is still expected to bring nodes like that one."""
    small = Shape(capacity={"cpu": "1", "pods": "110"}, allocatable={"cpu": "1", "pods": "110"})
    cluster.cloud.templates["rack"] = small
    cluster.node("node-1", group="rack", annotations={SCALE_DOWN_DISABLED: "true"})
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
        cluster.remove_node("node-1")
        cluster.pod(cpu="4")
        await trio.sleep(MINUTE)
    assert cluster.cloud.asked("increase_size") == [1]


@pytest.mark.parametrize("pod", [{"owner": "DaemonSet"}, {"priority": -11}], ids=["DaemonSet", "expendable"])
async def test_pods_that_are_worth_no_machine(autojump_clock: MockClock, cluster: Cluster, pod: Any) -> None:
    """Pods of DaemonSets and pods of a priority below -10 wake nothing."""
    cluster.pod(**pod)
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == []


async def test_nodes_in_total_are_limited(autojump_clock: MockClock, cluster: Cluster) -> None:
    """With max-nodes-total reached nothing grows."""
    for name in ("one", "two"):
        cluster.node(name)
        cluster.pod(cpu="4", node=name)
    cluster.pod()
    async with cluster.autoscaler(max_nodes_total=2):
        await trio.sleep(MINUTE)
    assert cluster.cloud.calls == []


async def test_zero_or_max_scales_as_a_whole(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group that scales between none and all is asked for all its machines by one pod, and gives none back while one of
    them is needed."""
    cluster.cloud.group_options["rack"] = Options(zero_or_max_node_scaling=True)
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert cluster.cloud.asked("increase_size") == [5]
    cluster.remove_pod("pod-1")
    cluster.cloud.targets["rack"] = 0
    for number in range(5):
        cluster.node(f"node-{number}", group="rack")
    busy = cluster.pod(cpu="3", node="node-0")
    async with cluster.autoscaler():
        await trio.sleep(20 * MINUTE)
        assert cluster.cloud.asked("delete_nodes") == []
        cluster.remove_pod(busy)
        await trio.sleep(11 * MINUTE)
    assert len(cluster.cloud.asked("delete_nodes")) == 5


# --- health ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unready", "ready", "acts"), [(3, 0, True), (4, 4, False), (4, 5, True)])
async def test_an_unhealthy_cluster_stops_everything(
    autojump_clock: MockClock, cluster: Cluster, unready: int, ready: int, acts: bool
) -> None:
    """More than 3 and more than 45 percent unready nodes, whether in a group or not: no scale-up."""
    for number in range(unready):
        cluster.node(f"dead-{number}", ready=False)
    for number in range(ready):
        cluster.node(f"busy-{number}")
        cluster.pod(cpu="4", node=f"busy-{number}")
    await trio.sleep(16 * MINUTE)
    cluster.pod()
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
    assert bool(cluster.cloud.calls) is acts


async def test_suspended_nodes_are_not_unready(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Nodes with the condition Suspended=True do not make the cluster unhealthy, however many there are."""
    for number in range(9):
        cluster.node(f"asleep-{number}", ready=False, suspended=True)
    await trio.sleep(16 * MINUTE)
    cluster.pod(cpu="5")
    cluster.pod(cpu="4", node="asleep-1")
    cluster.pod()
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(MINUTE)
        assert len(autoscaler.state.total.suspended) == 9
        assert "ClusterUnhealthy" not in reasons(autoscaler.decisions)


async def test_a_young_node_counts_as_starting(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An unready node is on its way up until 15 minutes after its creation, and unready from then on."""
    cluster.node("slow", ready=False)
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(14.5 * MINUTE)
        assert autoscaler.state.total.not_started == ["slow"]
        await trio.sleep(MINUTE)
        assert autoscaler.state.total.unready == ["slow"]


# --- down -----------------------------------------------------------------------------------------


async def down(cluster: Cluster, minutes: float = 12, **settings: Any) -> Any:
    """Let an autoscaler work for so long; what it decided, and why nodes stayed."""
    async with cluster.autoscaler(**settings) as autoscaler:
        await trio.sleep(minutes * MINUTE)
        return autoscaler


async def test_an_empty_node_goes_after_ten_minutes(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An empty node is first softly tainted, and after 10 minutes tainted with the time, cordoned and given back."""
    cluster.node("node-1", group="rack")
    async with cluster.autoscaler():
        await trio.sleep(9.5 * MINUTE)
        assert set(cluster.taints("node-1")) == {CA_CANDIDATE_TAINT}
        await trio.sleep(MINUTE)
        assert cluster.taints("node-1")[CA_TO_BE_DELETED_TAINT].isdigit()
        assert cluster.cordoned("node-1")
    assert cluster.cloud.asked("delete_nodes") == [["node-1"]]


async def test_pods_move_before_their_node_goes(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A node below the threshold is drained by eviction, and given back once its pods are gone."""
    cluster.node("node-1", group="rack")
    cluster.node("node-2", group="rack")
    cluster.pod(cpu="3", node="node-1")
    small = cluster.pod(cpu="1", node="node-2")
    async with cluster.autoscaler():
        await trio.sleep(11 * MINUTE)
        assert cluster.cloud.asked("delete_nodes") == []
        assert "evict" in {verb for verb, _ in cluster.kube.calls}
        cluster.remove_pod(small)
        await trio.sleep(20)
    assert cluster.cloud.asked("delete_nodes") == [["node-2"]]


def _busy(cluster: Cluster) -> None:
    cluster.pod(cpu="3", node="node-1")


def _unmovable(cluster: Cluster) -> None:
    cluster.pod(cpu="1", node="node-1", nodeSelector={"kubernetes.io/hostname": "node-1"})


STAYS: list[tuple[str, Callable[[Cluster], object]]] = [
    ("it is used by more than half", _busy),
    ("its pod fits nowhere else", _unmovable),
    ("its pod has no controller", lambda c: c.pod(node="node-1", owner="")),
    ("its pod has a controller that is not known", lambda c: c.pod(node="node-1", owner="Database")),
    ("its pod is not safe to evict", lambda c: c.pod(node="node-1", annotations={SAFE_TO_EVICT: "false"})),
    ("its pod shall finish first", lambda c: c.pod(node="node-1", annotations={SAFE_TO_EVICT: "on-completion"})),
    ("its pod has local storage", lambda c: c.pod(node="node-1", volumes=[{"name": "data", "emptyDir": {}}])),
    ("its pod is young and of kube-system", lambda c: c.pod(node="node-1", namespace="kube-system")),
    ("a budget allows no disruption", lambda c: (c.pod(node="node-1"), c.budget(allowed=0))),
]


@pytest.mark.parametrize("prepare", [row[1] for row in STAYS], ids=[row[0] for row in STAYS])
async def test_a_node_stays(autojump_clock: MockClock, cluster: Cluster, prepare: Callable[[Cluster], object]) -> None:
    """A node that is used, or whose pods cannot or may not move, is not taken away."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    prepare(cluster)
    await down(cluster, 12)
    assert CA_TO_BE_DELETED_TAINT not in cluster.taints("node-1")


def _system_pod_with_budget(cluster: Cluster) -> None:
    cluster.pod(node="node-1", namespace="kube-system")
    cluster.budget(allowed=1, namespace="kube-system")


def _in_memory(cluster: Cluster) -> None:
    cluster.pod(node="node-1", volumes=[{"name": "tmp", "emptyDir": {"medium": "Memory"}}])


GOES: list[tuple[str, Callable[[Cluster], object]]] = [
    ("its pod is safe to evict", lambda c: c.pod(node="node-1", owner="", annotations={SAFE_TO_EVICT: "true"})),
    ("its pod's storage is in memory", _in_memory),
    ("its pod is of a DaemonSet", lambda c: c.pod(node="node-1", owner="DaemonSet")),
    ("its pod of kube-system has a budget", _system_pod_with_budget),
    ("a budget allows the disruption", lambda c: (c.pod(node="node-1"), c.budget(allowed=1))),
]


@pytest.mark.parametrize("prepare", [row[1] for row in GOES], ids=[row[0] for row in GOES])
async def test_a_node_goes(autojump_clock: MockClock, cluster: Cluster, prepare: Callable[[Cluster], object]) -> None:
    """Pods that may move do not keep their node."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    prepare(cluster)
    autoscaler = await down(cluster, 11)
    assert CA_TO_BE_DELETED_TAINT in cluster.taints("node-1"), autoscaler.planner.unremovable


async def test_a_system_pod_blocks_for_an_hour(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A pod of kube-system without a budget keeps its node until it is an hour old."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    cluster.pod(node="node-1", namespace="kube-system")
    async with cluster.autoscaler():
        await trio.sleep(59 * MINUTE)
        assert cluster.taints("node-1") == {}
        await trio.sleep(7 * MINUTE)
        assert set(cluster.taints("node-1")) == {CA_CANDIDATE_TAINT}


@pytest.mark.parametrize(("owner", "goes"), [("Database", True), ("", False)])
async def test_custom_controllers_may_be_trusted(
    autojump_clock: MockClock, cluster: Cluster, owner: str, goes: bool
) -> None:
    """Told to, pods of any controller may be moved; pods without one still may not."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    cluster.pod(node="node-1", owner=owner)
    await down(cluster, 11, skip_nodes_with_custom_controller_pods=False)
    assert (CA_TO_BE_DELETED_TAINT in cluster.taints("node-1")) is goes


async def test_scale_down_disabled_is_respected(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A node with the annotation scale-down-disabled is neither tainted nor taken away."""
    cluster.node("node-1", group="rack", annotations={SCALE_DOWN_DISABLED: "true"})
    await down(cluster, 30)
    assert cluster.cloud.calls == []
    assert cluster.taints("node-1") == {}


async def test_min_size_is_respected(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Of three empty nodes in a group with min size 2, one goes."""
    cluster.cloud.add("rack", min_size=2)
    for name in ("node-1", "node-2", "node-3"):
        cluster.node(name, group="rack")
    await down(cluster, 30)
    assert len(cluster.cloud.asked("delete_nodes")) == 1


async def test_at_min_size_no_node_is_marked(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group at its minimum size has no candidates: none of its nodes is softly tainted."""
    cluster.cloud.add("rack", min_size=1)
    cluster.node("node-1", group="rack")
    await down(cluster, 2)
    assert cluster.taints("node-1") == {}


async def test_a_node_that_is_going_is_left_alone(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A node that was given back counts as going, not as Ready, and is not given back again within 5 minutes."""
    cluster.cloud.group_options["rack"] = Options(scale_down_unneeded_time=30.0)
    cluster.node("node-1", group="rack")
    cluster.node("node-2", group="rack", annotations={SCALE_DOWN_DISABLED: "true"})
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(4 * MINUTE)
        assert autoscaler.state.total.deleted == ["node-1"]
        assert cluster.cloud.asked("delete_nodes") == [["node-1"]]
        await trio.sleep(3 * MINUTE)
    assert cluster.cloud.asked("delete_nodes") == [["node-1"], ["node-1"]]


async def test_an_unremovable_node_is_looked_at_again_after_five_minutes(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    """A node that could not be removed becomes a candidate 5 minutes later, even if its pod is gone before."""
    cluster.node("node-1", group="rack")
    pod = cluster.pod(node="node-1", annotations={SAFE_TO_EVICT: "false"})
    async with cluster.autoscaler():
        await trio.sleep(MINUTE)
        cluster.remove_pod(pod)
        await trio.sleep(3.5 * MINUTE)
        assert cluster.taints("node-1") == {}
        await trio.sleep(MINUTE)
        assert set(cluster.taints("node-1")) == {CA_CANDIDATE_TAINT}


async def test_a_budget_is_spent_once(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Of two nodes with a pod each under a budget that allows one disruption, one is a candidate."""
    for name in ("node-1", "node-2"):
        cluster.node(name, group="rack")
        cluster.pod(node=name)
    cluster.node("elsewhere")
    cluster.budget(allowed=1)
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(1)
        assert len(autoscaler.planner.unneeded) == 1


async def test_two_nodes_do_not_move_to_one_another(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Of two half-empty nodes whose pods would fit on either, one goes and the other stays."""
    for name in ("node-1", "node-2"):
        cluster.node(name, group="rack")
        cluster.pod(cpu="1", node=name)
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(1)
        assert len(autoscaler.planner.unneeded) == 1


async def test_a_removal_that_fails_takes_no_room(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Where one of a node's pods fits nowhere, the room that was tried for the others is free for the next node."""
    cluster.node("first", group="rack")
    cluster.node("then", group="rack")
    cluster.node("elsewhere", shape=structs.replace(SHAPE, labels={"group": "rack", "zone": "far"}))
    cluster.pod(cpu="3", node="elsewhere")
    cluster.pod(cpu="1", node="first", name="a", nodeSelector={"zone": "far"})
    cluster.pod(cpu="1", node="first", name="b", nodeSelector={"kubernetes.io/hostname": "first"})
    cluster.pod(cpu="1", node="then", name="c", nodeSelector={"zone": "far"})
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(1)
        assert list(autoscaler.planner.unneeded) == ["then"]


async def test_a_pod_that_comes_late_saves_its_node(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A pod that lands on an empty node between the taint and the deletion keeps the node, which is set free."""
    cluster.node("node-1", group="rack")
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(10 * MINUTE + 12)
        assert CA_TO_BE_DELETED_TAINT in cluster.taints("node-1")
        cluster.pod(cpu="3", node="node-1")
        await trio.sleep(5)
        assert reasons(autoscaler.decisions) == ["ScaleDownFailed"]
    assert CA_TO_BE_DELETED_TAINT not in cluster.taints("node-1")
    assert cluster.cloud.calls == []


async def test_pods_of_a_draining_node_are_thought_of(autojump_clock: MockClock, cluster: Cluster) -> None:
    """While a node drains and its pods' new place is taken by others, a machine is asked for before they are evicted."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    cluster.pod(cpu="3", node="elsewhere", name="big")
    cluster.pod(cpu="1", node="node-1", name="moving")
    cluster.kube.fail_next(Unavailable("busy"), verb="evict", times=9)
    async with cluster.autoscaler():
        await trio.sleep(10 * MINUTE + 11)
        cluster.pod(cpu="1", node="elsewhere", name="taker")
        await trio.sleep(MINUTE)
        assert cluster.cloud.asked("increase_size") == [1]


async def test_a_node_outside_all_groups_stays(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Nodes that the provider does not claim are never touched."""
    cluster.node("elsewhere")
    await down(cluster, 30)
    assert cluster.taints("elsewhere") == {}


async def test_the_groups_own_options_count(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A group's unneeded time and threshold stand above the flags."""
    cluster.cloud.group_options["rack"] = Options(scale_down_unneeded_time=60.0, scale_down_utilization_threshold=0.8)
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    cluster.pod(cpu="3", node="node-1")
    await down(cluster, 2)
    assert CA_TO_BE_DELETED_TAINT in cluster.taints("node-1")


async def test_no_scale_down_soon_after_a_scale_up(autojump_clock: MockClock, cluster: Cluster) -> None:
    """For 10 minutes after a scale-up nothing goes, even if it has been unneeded for long enough."""
    cluster.cloud.group_options["rack"] = Options(scale_down_unneeded_time=60.0)
    cluster.node("node-1", group="rack")
    cluster.pod(cpu="4", nodeSelector={"group": "other"})
    cluster.cloud.add(
        "other", shape=Shape(capacity=SHAPE.capacity, allocatable=SHAPE.allocatable, labels={"group": "other"})
    )
    async with cluster.autoscaler():
        await trio.sleep(9 * MINUTE)
        assert cluster.cloud.asked("delete_nodes") == []
        await trio.sleep(2 * MINUTE)
    assert cluster.cloud.asked("delete_nodes") == [["node-1"]]


async def test_an_unready_node_goes_after_twenty_minutes(autojump_clock: MockClock, cluster: Cluster) -> None:
    """A node of a group that is not Ready needs 20 minutes, not 10."""
    cluster.node("node-1", group="rack", ready=False)
    async with cluster.autoscaler():
        await trio.sleep(19 * MINUTE)
        assert cluster.cloud.asked("delete_nodes") == []
        await trio.sleep(2 * MINUTE)
    assert cluster.cloud.asked("delete_nodes") == [["node-1"]]


async def test_one_node_is_drained_at_a_time(autojump_clock: MockClock, cluster: Cluster) -> None:
    """Empty nodes go together, nodes with pods one after another."""
    for number in range(4):
        cluster.node(f"node-{number}", group="rack")
    cluster.node("elsewhere")
    for number in (0, 1):
        cluster.pod(node=f"node-{number}", name=f"web-{number}")
    async with cluster.autoscaler():
        await trio.sleep(10.5 * MINUTE)
        going = {name for name in map("node-{}".format, range(4)) if CA_TO_BE_DELETED_TAINT in cluster.taints(name)}
        assert going - {"node-0", "node-1"} == {"node-2", "node-3"}
        assert len(going) == 3


async def test_a_blocked_eviction_lets_the_node_go_free(autojump_clock: MockClock, cluster: Cluster) -> None:
    """When a budget refuses the eviction for 2 minutes, the node is untainted, uncordoned and stays."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    cluster.pod(node="node-1")
    cluster.budget(allowed=1)
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(10 * MINUTE + 11)
        assert CA_TO_BE_DELETED_TAINT in cluster.taints("node-1")
        stored = cluster.api.get(BUDGETS, "web", "default")
        assert stored is not None
        cluster.api.write(BUDGETS, stored, status={**stored.raw["status"], "disruptionsAllowed": 0})
        await trio.sleep(3 * MINUTE)
        assert "ScaleDownFailed" in reasons(autoscaler.decisions)
    assert CA_TO_BE_DELETED_TAINT not in cluster.taints("node-1")
    assert not cluster.cordoned("node-1")
    assert cluster.cloud.calls == []


async def test_a_refusal_by_the_provider_lets_the_node_go_free(autojump_clock: MockClock, cluster: Cluster) -> None:
    """When the provider refuses DeleteNodes, the node is untainted and uncordoned."""
    cluster.cloud.deny.add("delete_nodes")
    cluster.node("node-1", group="rack")
    async with cluster.autoscaler():
        await trio.sleep(10 * MINUTE + 17)
        assert cluster.cloud.asked("delete_nodes") == [["node-1"]]
        assert CA_TO_BE_DELETED_TAINT not in cluster.taints("node-1")
        assert not cluster.cordoned("node-1")


async def test_a_restart_removes_old_taints(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An autoscaler that starts takes the taint ToBeDeleted off the nodes of groups: nobody works on them any more."""
    cluster.node("node-1", group="rack")
    cluster.node("elsewhere")
    taint = {"key": CA_TO_BE_DELETED_TAINT, "value": "1", "effect": "NoSchedule"}
    for name in ("node-1", "elsewhere"):
        cluster.api.patch(NODES, ("", name), Patch({"spec": {"taints": [taint], "unschedulable": True}}))
    async with cluster.autoscaler():
        await trio.sleep(1)
    assert CA_TO_BE_DELETED_TAINT not in cluster.taints("node-1")
    assert not cluster.cordoned("node-1")
    assert set(cluster.taints("elsewhere")) == {CA_TO_BE_DELETED_TAINT}


# --- clocks that are set --------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-7200, 7200])
async def test_a_clock_that_is_set_changes_no_span(autojump_clock: MockClock, cluster: Cluster, seconds: float) -> None:
    """What is measured in memory is measured by a monotonic clock, as in the stock one: an empty node goes after 10 minutes."""
    cluster.node("node-1", group="rack")
    async with cluster.autoscaler(skip_idle_loops=False) as autoscaler:
        await trio.sleep(5 * MINUTE)
        cluster.clock.set_by(seconds)
        await trio.sleep(4.5 * MINUTE)
        assert CA_TO_BE_DELETED_TAINT not in cluster.taints("node-1")
        await trio.sleep(MINUTE)
        assert CA_TO_BE_DELETED_TAINT in cluster.taints("node-1"), autoscaler.decisions


async def test_a_clock_that_is_set_back_keeps_no_pod_waiting(autojump_clock: MockClock, cluster: Cluster) -> None:
    """An idle autoscaler whose clock is set back by hours acts on a pod that comes after within a scan interval or two."""
    async with cluster.autoscaler():
        await trio.sleep(10 * MINUTE)
        cluster.clock.set_by(-7200)
        await trio.sleep(MINUTE)
        cluster.pod()
        await trio.sleep(25)
    assert cluster.cloud.calls == [("increase_size", "rack", 1)]


@pytest.mark.parametrize("seconds", [-7200, 7200])
async def test_a_clock_that_is_set_changes_no_back_off(
    autojump_clock: MockClock, cluster: Cluster, seconds: float
) -> None:
    """A group that was refused is asked again after 5 minutes, whatever the clock shows."""
    cluster.cloud.deny.add("increase_size")
    name = cluster.pod()
    async with cluster.autoscaler() as autoscaler:
        await trio.sleep(3 * MINUTE)
        cluster.remove_pod(name)
        cluster.clock.set_by(seconds)
        cluster.pod()
        await trio.sleep(1.8 * MINUTE)
        assert len(autoscaler.decisions) == 1
        await trio.sleep(MINUTE)
        assert len(autoscaler.decisions) == 2
