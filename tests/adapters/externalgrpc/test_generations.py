"""Both generations of Cluster Autoscaler's messages are understood and answered, each by a client that knows only its own."""

from typing import Any

from hexa.ports.cloud import Options
from hexa.testing.fake_cloud import FakeCloud

GROUP = "default/group-0"
EARLIER_DURATIONS = ("scaleDownUnneededTime", "scaleDownUnreadyTime", "MaxNodeProvisionTime")
LATER_DURATIONS = ("scaleDownUnneededDuration", "scaleDownUnreadyDuration", "MaxNodeProvisionDuration")


async def test_earlier_template(client: Any, earlier: Any) -> None:
    """Up to 1.34 the template is a Node message inside the answer."""
    request = earlier.NodeGroupTemplateNodeInfoRequest(id=GROUP)
    answer = await client.call("NodeGroupTemplateNodeInfo", request, earlier.NodeGroupTemplateNodeInfoResponse)
    assert answer.nodeInfo.metadata.labels["kubernetes.io/arch"] == "amd64"
    assert answer.nodeInfo.status.capacity["cpu"].string == "8"


async def test_later_template(client: Any, later: Any, earlier: Any) -> None:
    """Since 1.35 the template is the bytes of a Node."""
    request = later.NodeGroupTemplateNodeInfoRequest(id=GROUP)
    answer = await client.call("NodeGroupTemplateNodeInfo", request, later.NodeGroupTemplateNodeInfoResponse)
    assert earlier.k8s("Node").FromString(answer.nodeBytes).status.capacity["cpu"].string == "8"


async def test_earlier_options(client: Any, earlier: Any, cloud: FakeCloud) -> None:
    """Up to 1.34 every duration must be there, zeros too: Cluster Autoscaler would end on one that is not."""
    cloud.fake_groups[GROUP].options = Options(scale_down_unneeded_time=30.0, scale_down_unready_time=0.0)
    defaults = earlier.NodeGroupAutoscalingOptions(
        scaleDownUtilizationThreshold=0.5, **{name: {"duration": 600 * 10**9} for name in EARLIER_DURATIONS}
    )
    told = await options(client, earlier, defaults)
    assert all(told.HasField(name) for name in EARLIER_DURATIONS)
    assert [getattr(told, name).duration // 10**9 for name in EARLIER_DURATIONS] == [30, 0, 600]
    assert told.scaleDownUtilizationThreshold == 0.5


async def test_later_options(client: Any, later: Any, cloud: FakeCloud) -> None:
    """Since 1.35 the durations are google.protobuf's; a field that only a newer release knows comes back untouched."""
    cloud.fake_groups[GROUP].options = Options(max_node_provision_time=120.0)
    defaults = later.NodeGroupAutoscalingOptions(
        ofTheFuture={"seconds": 7}, **{name: {"seconds": 600} for name in LATER_DURATIONS}
    )
    told = await options(client, later, defaults)
    assert [getattr(told, name).seconds for name in LATER_DURATIONS] == [600, 600, 120]
    assert told.ofTheFuture.seconds == 7


async def test_options_without_defaults(client: Any, earlier: Any, later: Any) -> None:
    """A caller that sends no defaults gets zeros, never an answer with a hole in it."""
    for generation, names in ((earlier, EARLIER_DURATIONS), (later, LATER_DURATIONS)):
        told = await options(client, generation, None)
        assert all(told.HasField(name) for name in names)


async def options(client: Any, generation: Any, defaults: Any) -> Any:
    """The answer of NodeGroupGetOptions."""
    request = generation.NodeGroupAutoscalingOptionsRequest(id=GROUP, defaults=defaults)
    answer = await client.call("NodeGroupGetOptions", request, generation.NodeGroupAutoscalingOptionsResponse)
    return answer.nodeGroupAutoscalingOptions


async def test_node_price_in_both_generations(client: Any, earlier: Any, later: Any) -> None:
    """The window is read as metav1.Time and as google.protobuf.Timestamp."""
    old = earlier.PricingNodePriceRequest(
        node={"name": "group-0-0"}, startTime={"seconds": 1000}, endTime={"seconds": 4600, "nanos": 0}
    )
    new = later.PricingNodePriceRequest(
        node={"name": "group-0-0"}, startTimestamp={"seconds": 1000}, endTimestamp={"seconds": 4600}
    )
    for generation, request in ((earlier, old), (later, new)):
        answer = await client.call("PricingNodePrice", request, generation.PricingNodePriceResponse)
        assert answer.price == 1.0


async def test_pod_price_in_both_generations(client: Any, earlier: Any, later: Any, cloud: FakeCloud) -> None:
    """The pod is read as a message and as bytes."""
    pod = earlier.k8s("Pod")(metadata={"name": "web"}, spec={"containers": [{"name": "main"}]})
    old = earlier.PricingPodPriceRequest(pod=pod, startTime={}, endTime={"seconds": 3600})
    new = later.PricingPodPriceRequest(
        pod_bytes=pod.SerializeToString(), startTimestamp={}, endTimestamp={"seconds": 3600}
    )
    for generation, request in ((earlier, old), (later, new)):
        answer = await client.call("PricingPodPrice", request, generation.PricingPodPriceResponse)
        assert answer.price == 1.0
        assert cloud.calls[-1][1].metadata.name == "web"
