"""The 15 calls of Cluster Autoscaler, as an independent client sees them answered."""

import inspect
import math
from typing import Any

import pytest
import trio

from hexa.domain.errors import Conflict, Refused, Unavailable
from hexa.domain.resources.core import Taint
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.cloud import (
    Cloud,
    ExternalNode,
    Instance,
    InstanceError,
    InstanceErrorClass,
    InstanceState,
    Options,
)
from hexa.testing.fake_cloud import FakeCloud

GROUP = "default/group-0"
GROUP_RPCS = [
    "NodeGroupTargetSize",
    "NodeGroupIncreaseSize",
    "NodeGroupDeleteNodes",
    "NodeGroupDecreaseTargetSize",
    "NodeGroupNodes",
    "NodeGroupTemplateNodeInfo",
    "NodeGroupGetOptions",
]
WRITES = ["NodeGroupIncreaseSize", "NodeGroupDeleteNodes", "NodeGroupDecreaseTargetSize"]


class Calls:
    """Calls by RPC and fields: `await calls("NodeGroupIncreaseSize", id=GROUP, delta=1)`."""

    def __init__(self, client: Any, messages: Any) -> None:
        self.client, self.rpcs = client, messages.rpcs()

    async def __call__(self, rpc: str, **fields: Any) -> Any:
        request, answer = self.rpcs[rpc]
        return await self.client.call(rpc, request(**fields), answer)

    async def refused(self, rpc: str, **fields: Any) -> tuple[str, str]:
        request, answer = self.rpcs[rpc]
        status, message = await self.client.refused(rpc, request(**fields), answer)
        return status.name, message


@pytest.fixture
async def calls(client: Any, messages: Any) -> Calls:
    """The RPCs of the served cloud."""
    return Calls(client, messages)


def fields_for(rpc: str, **fields: Any) -> dict[str, Any]:
    """Fields of a request that is in order but for its group."""
    delta = {"NodeGroupIncreaseSize": {"delta": 1}, "NodeGroupDecreaseTargetSize": {"delta": -1}}
    return {**delta.get(rpc, {}), **fields}


async def test_every_rpc_is_served(calls: Calls) -> None:
    """The service has the 15 RPCs of the contract, and none is refused as unknown."""
    window = {"startTime": {"seconds": 0}, "endTime": {"seconds": 3600}}
    fields: dict[str, dict[str, Any]] = {
        "NodeGroupForNode": {"node": {"name": "group-0-1"}},
        "PricingNodePrice": {"node": {"name": "group-0-1"}, **window},
        "PricingPodPrice": {"pod_bytes": b"\x0a\x00", **window},
    }
    assert len(calls.rpcs) == 15
    for rpc in calls.rpcs:
        group = {"id": GROUP} if rpc in GROUP_RPCS else {}
        await calls(rpc, **fields_for(rpc, **group, **fields.get(rpc, {})))


def test_fake_cloud_is_a_cloud() -> None:
    """What these tests are run against has every method of the port."""
    port = {name for name, _ in inspect.getmembers(Cloud, inspect.isfunction) if not name.startswith("_")}
    assert port <= set(dir(FakeCloud))


# --- reads --------------------------------------------------------------------------------------------------------------


async def test_groups_are_listed(calls: Calls, cloud: FakeCloud) -> None:
    """NodeGroups tells id, limits and a text for people."""
    cloud.fake_groups[GROUP].min_size = 1
    answer = await calls("NodeGroups")
    told = [(group.id, group.minSize, group.maxSize, group.debug) for group in answer.nodeGroups]
    assert told == [(GROUP, 1, 3, "3 machines"), ("default/group-1", 0, 3, "3 machines")]


@pytest.mark.parametrize(
    "node",
    [
        {"name": "group-1-2"},
        {"providerID": "hexa://default/group-1-2"},
        {"name": "group-1-2", "providerID": "hexa://default/group-1-2", "labels": {"a": "b" * 300}},
    ],
    ids=["name", "providerID", "both"],
)
async def test_node_is_found_by_name_or_provider_id(calls: Calls, node: dict[str, Any]) -> None:
    """A node of a group is answered with the whole group, whichever of name and providerID is sent."""
    group = (await calls("NodeGroupForNode", node=node)).nodeGroup
    assert (group.id, group.minSize, group.maxSize) == ("default/group-1", 0, 3)


async def test_node_of_no_group_is_left_alone(calls: Calls) -> None:
    """A node that belongs to no group gets a group with an empty id, which Cluster Autoscaler takes as "not mine"."""
    assert (await calls("NodeGroupForNode", node={"name": "control-plane"})).nodeGroup.id == ""


async def test_group_change_shows_at_once(calls: Calls, cloud: FakeCloud) -> None:
    """What changes between two calls is in the second answer: kept answers are dropped with the version."""
    before = await calls("NodeGroupForNode", node={"name": "group-0-0"}), await calls("NodeGroups")
    cloud.fake_groups[GROUP].max_size = 2
    cloud.changed()
    after = await calls("NodeGroupForNode", node={"name": "group-0-0"}), await calls("NodeGroups")
    assert [before[0].nodeGroup.maxSize, before[1].nodeGroups[0].maxSize] == [3, 3]
    assert [after[0].nodeGroup.maxSize, after[1].nodeGroups[0].maxSize] == [2, 2]


async def test_answers_are_kept_while_the_version_stands(calls: Calls, cloud: FakeCloud) -> None:
    """The same question twice costs the snapshot one look, so a loop of Cluster Autoscaler stays cheap."""
    for _ in range(3):
        for rpc in ("NodeGroupTargetSize", "NodeGroupNodes", "NodeGroupTemplateNodeInfo", "NodeGroupGetOptions"):
            await calls(rpc, id=GROUP)
        await calls("NodeGroups")
        await calls("NodeGroupForNode", node={"name": "group-0-0"})
    assert len(cloud.calls) == len(set(cloud.calls)) == 6


async def test_each_loop_sees_what_the_clock_changed(calls: Calls, cloud: FakeCloud) -> None:
    """A hold may end without any change to the snapshot; Refresh begins a loop, and the loop asks anew."""
    for _ in range(2):
        await calls("Refresh")
        await calls("NodeGroupTargetSize", id=GROUP)
        await calls("NodeGroupForNode", node={"name": "group-0-0"})
    assert [call[0] for call in cloud.calls] == ["refresh", "target_size", "group_for_node"] * 2


async def test_instances_carry_state_and_error(calls: Calls, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """NodeGroupNodes tells providerID and state, and for a machine that failed why."""
    error = InstanceError("NoSignOfLife", "three wakes, no answer", InstanceErrorClass.OTHER)
    instances = [
        Instance("hexa://a", InstanceState.RUNNING),
        Instance("hexa://b", InstanceState.CREATING, error),
        Instance("hexa://c", InstanceState.DELETING),
        Instance("hexa://d", InstanceState.UNSPECIFIED),
    ]
    monkeypatch.setattr(cloud, "instances", lambda group: instances)
    told = (await calls("NodeGroupNodes", id=GROUP)).instances
    assert [(i.id, i.status.instanceState) for i in told] == [
        ("hexa://a", 1),
        ("hexa://b", 2),
        ("hexa://c", 3),
        ("hexa://d", 0),
    ]
    info = told[1].status.errorInfo
    assert (info.errorCode, info.errorMessage, info.instanceErrorClass) == (error.code, error.message, 99)
    assert told[0].status.errorInfo.errorCode == ""


async def test_target_size_follows_wishes(calls: Calls) -> None:
    """The target is what was asked for, from the answer of IncreaseSize on."""
    assert (await calls("NodeGroupTargetSize", id=GROUP)).targetSize == 0
    await calls("NodeGroupIncreaseSize", id=GROUP, delta=2)
    assert (await calls("NodeGroupTargetSize", id=GROUP)).targetSize == 2


async def test_template_is_a_kubernetes_node(calls: Calls, cloud: FakeCloud, messages: Any) -> None:
    """The template parses as a core/v1 Node that pods can be placed on: labels, taints, resources, Ready."""
    cloud.fake_groups[GROUP].shape = Shape(
        capacity={"cpu": "8", "nvidia.com/gpu": "1"},
        allocatable={"cpu": "7500m", "nvidia.com/gpu": "1"},
        labels={"kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "rack": "7"},
        annotations={"note": "warm"},
        taints=(Taint(key="gpu", value="yes", effect="NoSchedule"),),
        provider_id="hexa://default/group-0-0",
        unschedulable=True,
    )
    answer = await calls("NodeGroupTemplateNodeInfo", id=GROUP)
    assert answer.nodeInfo == answer.nodeBytes
    node = messages.k8s("Node").FromString(answer.nodeBytes)
    assert node.metadata.name == "group-0-template"
    assert dict(node.metadata.labels)["rack"] == "7"
    assert dict(node.metadata.annotations) == {"note": "warm"}
    assert node.spec.providerID == "hexa://default/group-0-0"
    assert node.spec.unschedulable
    assert [(taint.key, taint.value, taint.effect) for taint in node.spec.taints] == [("gpu", "yes", "NoSchedule")]
    assert {name: q.string for name, q in node.status.capacity.items()} == {"cpu": "8", "nvidia.com/gpu": "1"}
    assert node.status.allocatable["cpu"].string == "7500m"
    assert [(c.type, c.status) for c in node.status.conditions] == [("Ready", "True")]
    assert (node.status.nodeInfo.architecture, node.status.nodeInfo.operatingSystem) == ("arm64", "linux")


async def test_template_without_allocatable_offers_its_capacity(calls: Calls, messages: Any) -> None:
    """A shape that was declared by hand names capacity only; pods may use all of it."""
    answer = await calls("NodeGroupTemplateNodeInfo", id=GROUP)
    node = messages.k8s("Node").FromString(answer.nodeBytes)
    assert node.status.allocatable["memory"].string == "32Gi"


async def test_options_lie_over_the_defaults(calls: Calls, cloud: FakeCloud) -> None:
    """What the group sets counts, zeros and false too; what it leaves open comes back as the caller sent it."""
    cloud.fake_groups[GROUP].options = Options(
        scale_down_utilization_threshold=0.0,
        scale_down_unneeded_time=90.5,
        scale_down_unready_time=0.0,
        zero_or_max_node_scaling=False,
    )
    defaults = {
        "scaleDownUtilizationThreshold": 0.5,
        "scaleDownGpuUtilizationThreshold": 0.25,
        "scaleDownUnneededDuration": {"seconds": 600},
        "scaleDownUnreadyDuration": {"seconds": 1200},
        "MaxNodeProvisionDuration": {"seconds": 900, "nanos": 500_000_000},
        "zeroOrMaxNodeScaling": True,
        "ignoreDaemonSetsUtilization": True,
    }
    told = (await calls("NodeGroupGetOptions", id=GROUP, defaults=defaults)).nodeGroupAutoscalingOptions
    assert (told.scaleDownUtilizationThreshold, told.scaleDownGpuUtilizationThreshold) == (0.0, 0.25)
    assert (told.zeroOrMaxNodeScaling, told.ignoreDaemonSetsUtilization) == (False, True)
    later = (told.scaleDownUnneededDuration, told.scaleDownUnreadyDuration, told.MaxNodeProvisionDuration)
    assert [duration.ToNanoseconds() for duration in later] == [90_500_000_000, 0, 900_500_000_000]
    earlier = (told.scaleDownUnneededTime, told.scaleDownUnreadyTime, told.MaxNodeProvisionTime)
    assert [duration.duration for duration in earlier] == [90_500_000_000, 0, 900_500_000_000]


async def test_node_price_covers_the_window(calls: Calls, cloud: FakeCloud) -> None:
    """The price is that of the window which was asked for, and the node's labels and annotations reach the cost model."""
    cloud.fake_groups[GROUP].hourly_rate = 0.5
    node = {"name": "group-0-0", "providerID": "hexa://x", "labels": {"a": "1"}, "annotations": {"b": "2"}}
    window = {"startTimestamp": {"seconds": 7200}, "endTimestamp": {"seconds": 14400}}
    assert (await calls("PricingNodePrice", node=node, **window)).price == 1.0
    assert cloud.calls[-1][1] == ExternalNode("group-0-0", "hexa://x", {"a": "1"}, {"b": "2"})


async def test_node_price_of_a_stranger_is_not_found(calls: Calls) -> None:
    """A node of no group has no price; 0 would make it the best choice."""
    window = {"startTime": {"seconds": 0}, "endTime": {"seconds": 3600}}
    status, message = await calls.refused("PricingNodePrice", node={"name": "stranger"}, **window)
    assert (status, message) == ("NOT_FOUND", "UnknownNode: stranger belongs to no group")


async def test_pod_price_sees_the_pod(calls: Calls, cloud: FakeCloud, messages: Any) -> None:
    """What a pod asks for reaches the cost model: requests, tolerations, selector, overhead."""
    cpu = {"requests": {"cpu": {"string": "500m"}}, "limits": {"cpu": {"string": "1"}}}
    pod = messages.k8s("Pod")(
        metadata={"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        spec={
            "containers": [{"name": "main", "image": "nginx", "resources": cpu}],
            "initContainers": [{"name": "side", "restartPolicy": "Always"}],
            "nodeSelector": {"rack": "7"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 0}],
            "overhead": {"memory": {"string": "64Mi"}},
            "priority": -5,
        },
    )
    window = {"startTimestamp": {"seconds": 0}, "endTimestamp": {"seconds": 1800, "nanos": 0}}
    assert (await calls("PricingPodPrice", pod_bytes=pod.SerializeToString(), **window)).price == 0.5
    seen = cloud.calls[-1][1]
    assert (seen.metadata.name, seen.metadata.namespace, seen.metadata.labels) == ("web", "shop", {"app": "web"})
    assert seen.spec.containers[0].resources.requests == {"cpu": "500m"}
    assert seen.spec.containers[0].resources.limits == {"cpu": "1"}
    assert seen.spec.init_containers[0].restart_policy == "Always"
    assert (seen.spec.node_selector, seen.spec.overhead) == ({"rack": "7"}, {"memory": "64Mi"})
    assert (seen.spec.tolerations[0].key, seen.spec.tolerations[0].toleration_seconds) == ("gpu", 0)
    assert seen.spec.priority == -5


async def test_gpu_label_and_types(calls: Calls) -> None:
    """The label of GPU nodes and its values are told; only the keys of the map count."""
    assert (await calls("GPULabel")).label == "hexa.test/gpu"
    assert sorted((await calls("GetAvailableGPUTypes")).gpuTypes) == ["blue", "red"]


async def test_refresh_before_the_snapshot_is_complete(calls: Calls, cloud: FakeCloud) -> None:
    """Cluster Autoscaler skips its loop while hexa does not know the cluster yet."""
    cloud.complete = False
    assert (await calls.refused("Refresh"))[0] == "UNAVAILABLE"
    cloud.complete = True
    await calls("Refresh")


async def test_cleanup_changes_nothing(calls: Calls, cloud: FakeCloud) -> None:
    """Cluster Autoscaler says goodbye; the machines stay as they are."""
    await calls("Cleanup")
    assert cloud.calls == []


# --- writes -------------------------------------------------------------------------------------------------------------


async def test_increase_size_is_stored_before_the_answer(calls: Calls, cloud: FakeCloud) -> None:
    """When the answer is there, delta machines are wished on."""
    await calls("NodeGroupIncreaseSize", id=GROUP, delta=2)
    assert [machine.wished for machine in cloud.fake_groups[GROUP].machines] == [True, True, False]


async def test_delete_nodes_and_again(calls: Calls, cloud: FakeCloud) -> None:
    """The named nodes are wished off; a second call for them is a success too."""
    cloud.arrive("group-0-0")
    cloud.arrive("group-0-1")
    node = {"name": "group-0-1", "providerID": "hexa://default/group-0-1", "labels": {"a": "b"}}
    for _ in range(2):
        await calls("NodeGroupDeleteNodes", id=GROUP, nodes=[node])
        assert (await calls("NodeGroupTargetSize", id=GROUP)).targetSize == 1


async def test_decrease_target_size(calls: Calls, cloud: FakeCloud) -> None:
    """Wishes of machines that have not come are taken back."""
    cloud.arrive("group-0-0")
    await calls("NodeGroupIncreaseSize", id=GROUP, delta=2)
    await calls("NodeGroupDecreaseTargetSize", id=GROUP, delta=-1)
    assert (await calls("NodeGroupTargetSize", id=GROUP)).targetSize == 2


async def test_writes_run_side_by_side(calls: Calls, cloud: FakeCloud) -> None:
    """A write that takes its time holds up neither reads nor other writes."""
    cloud.write_seconds = 0.4
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for group in ("default/group-0", "default/group-1"):
            nursery.start_soon(lambda group: calls("NodeGroupIncreaseSize", id=group, delta=1), group)
        await trio.sleep(0.1)
        await calls("NodeGroups")
        assert trio.current_time() - started < 0.4
    assert trio.current_time() - started < 0.8


# --- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rpc", GROUP_RPCS)
async def test_unknown_group_is_not_found(calls: Calls, rpc: str) -> None:
    """Every RPC about a group says NOT_FOUND and names the group that does not exist."""
    status, message = await calls.refused(rpc, **fields_for(rpc, id="default/gone"))
    assert (status, message) == ("NOT_FOUND", "UnknownGroup: there is no group 'default/gone'")


async def test_denied_write_says_why(calls: Calls, cloud: FakeCloud) -> None:
    """A refused write is FAILED_PRECONDITION with reason and sentence, and nothing was changed."""
    status, message = await calls.refused("NodeGroupIncreaseSize", id=GROUP, delta=4)
    assert (status, message) == ("FAILED_PRECONDITION", f"MaxSizeReached: {GROUP} has no room for 4 more")
    stranger = [{"name": "group-1-0"}]
    assert (await calls.refused("NodeGroupDeleteNodes", id=GROUP, nodes=stranger))[0] == "FAILED_PRECONDITION"
    assert not any(machine.wished for machine in cloud.fake_groups[GROUP].machines)


async def test_group_without_shape_has_no_template(calls: Calls, cloud: FakeCloud) -> None:
    """UNIMPLEMENTED makes Cluster Autoscaler pass over this group; any other status ends its loop up to 1.33."""
    cloud.fake_groups[GROUP].shape = None
    status, message = await calls.refused("NodeGroupTemplateNodeInfo", id=GROUP)
    assert (status, message) == ("UNIMPLEMENTED", f"NoShape: no machine of {GROUP} was ever seen")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("the API server is away", reason="ApiServerDown"), "UNAVAILABLE"),
        (Refused("patch of nodes is forbidden", reason="Forbidden"), "FAILED_PRECONDITION"),
        (Conflict("changed since", reason="Conflict"), "ABORTED"),
    ],
)
@pytest.mark.parametrize("rpc", ["NodeGroupIncreaseSize", "NodeGroupTargetSize"])
async def test_errors_become_statuses(calls: Calls, cloud: FakeCloud, rpc: str, error: Any, status: str) -> None:
    """Errors of reads and writes reach the caller as a status, with their reason and message."""
    cloud.fail_next(error)
    assert await calls.refused(rpc, **fields_for(rpc, id=GROUP)) == (status, f"{error.reason}: {error}")


@pytest.mark.parametrize("rpc", ["NodeGroupIncreaseSize", "NodeGroupTargetSize", "NodeGroupForNode"])
async def test_defect_is_logged_and_the_service_goes_on(
    calls: Calls, cloud: FakeCloud, rpc: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect is INTERNAL for the one who met it and a traceback in the log; the next call works."""
    fields = {"node": {"name": "group-0-0"}} if rpc == "NodeGroupForNode" else fields_for(rpc, id=GROUP)
    cloud.fail_next(ZeroDivisionError("secret detail"))
    status, message = await calls.refused(rpc, **fields)
    assert status == "INTERNAL"
    assert "secret detail" not in message
    assert "secret detail" in caplog.text
    await calls(rpc, **fields)


@pytest.mark.parametrize(
    ("rpc", "delta"),
    [
        ("NodeGroupIncreaseSize", 0),
        ("NodeGroupIncreaseSize", -1),
        ("NodeGroupDecreaseTargetSize", 0),
        ("NodeGroupDecreaseTargetSize", 1),
    ],
)
async def test_delta_of_the_wrong_sign(calls: Calls, cloud: FakeCloud, rpc: str, delta: int) -> None:
    """A delta that contradicts the call is INVALID_ARGUMENT and never reaches the groups."""
    assert (await calls.refused(rpc, id=GROUP, delta=delta))[0] == "INVALID_ARGUMENT"
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("rpc", "fields"),
    [
        ("PricingNodePrice", {"node": {"name": "group-0-0"}}),
        ("PricingNodePrice", {"node": {"name": "group-0-0"}, "startTime": {"seconds": 9}, "endTime": {"seconds": 8}}),
        ("PricingNodePrice", {"startTime": {"seconds": 1 << 60}, "endTime": {"seconds": 1 << 61}}),
        ("PricingPodPrice", {"startTime": {"seconds": 0}, "endTime": {"seconds": 8}}),
        ("PricingPodPrice", {"pod_bytes": b"\x0a\x05a", "startTime": {"seconds": 0}, "endTime": {"seconds": 8}}),
    ],
    ids=["no window", "backwards", "beyond time", "no pod", "broken pod"],
)
async def test_price_of_nonsense(calls: Calls, rpc: str, fields: dict[str, Any]) -> None:
    """A price needs a window, and a pod that parses."""
    assert (await calls.refused(rpc, **fields))[0] == "INVALID_ARGUMENT"


async def test_price_is_a_number_of_full_precision(calls: Calls, cloud: FakeCloud) -> None:
    """Small prices of short windows are not rounded."""
    cloud.fake_groups[GROUP].hourly_rate = 0.123456789
    window = {"startTimestamp": {"seconds": 0}, "endTimestamp": {"seconds": 1}}
    price = (await calls("PricingNodePrice", node={"name": "group-0-0"}, **window)).price
    assert math.isclose(price, 0.123456789 / 3600, rel_tol=1e-12)
