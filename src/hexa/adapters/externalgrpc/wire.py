"""Messages of the CloudProvider service to and from the structs of ports.cloud. No I/O, no decisions about groups.

Both generations of the messages (see proto/externalgrpc.proto) are read, whichever is set, and both are filled.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from betterproto import Message
from betterproto.lib.google.protobuf import Any as ProtoAny

from hexa.adapters.externalgrpc import scan
from hexa.adapters.externalgrpc.pb import k8s
from hexa.adapters.externalgrpc.pb.clusterautoscaler.cloudprovider.v1 import externalgrpc as pb
from hexa.adapters.externalgrpc.scan import Malformed
from hexa.domain.names import ARCH_LABEL, OS_LABEL
from hexa.domain.resources.core import (
    Container,
    Metadata,
    Pod,
    PodSpec,
    ResourceRequirements,
    Taint,
    Toleration,
)
from hexa.ports.cloud import ExternalNode, Instance, NodeGroup, NodeTemplate, Options

M = TypeVar("M", bound=Message)

EMPTY: Final = b""
"""The answer of RPCs that have nothing to say, and of NodeGroupForNode for a node that Cluster Autoscaler leaves alone."""

_INT32: Final = range(-(1 << 31), 1 << 31)
_SECOND: Final = 1_000_000_000
_MICROSECOND: Final = 1_000

read_node_names = scan.node_names
"""Name and providerID of the node in a NodeGroupForNodeRequest."""


def _decode(data: bytes, message: type[M]) -> M:
    scan.check(data, message)
    try:
        return message().parse(data)
    except (ValueError, OverflowError, EOFError) as error:  # not UTF-8, a year beyond 9999, a number of eleven bytes
        raise Malformed(str(error)) from error


# --- requests -----------------------------------------------------------------------------------------------------------


def read_group(data: bytes) -> str:
    """The group id of NodeGroupTargetSize, NodeGroupNodes and NodeGroupTemplateNodeInfo."""
    return _decode(data, pb.NodeGroupTargetSizeRequest).id


def read_increase(data: bytes) -> tuple[str, int]:
    """Group id and delta; delta is above zero."""
    request = _decode(data, pb.NodeGroupIncreaseSizeRequest)
    if not 0 < request.delta < _INT32.stop:
        raise Malformed(f"delta is {request.delta}, it must be above 0")
    return request.id, request.delta


def read_decrease(data: bytes) -> tuple[str, int]:
    """Group id and delta; delta is below zero."""
    request = _decode(data, pb.NodeGroupDecreaseTargetSizeRequest)
    if not _INT32.start <= request.delta < 0:
        raise Malformed(f"delta is {request.delta}, it must be below 0")
    return request.id, request.delta


def read_delete(data: bytes) -> tuple[str, tuple[ExternalNode, ...]]:
    """Group id and the nodes to delete."""
    request = _decode(data, pb.NodeGroupDeleteNodesRequest)
    return request.id, tuple(_node(node) for node in request.nodes)


def read_node_price(data: bytes) -> tuple[ExternalNode, datetime, datetime]:
    """The node and the window."""
    request = _decode(data, pb.PricingNodePriceRequest)
    return _node(request.node), *_window(request)


def read_pod_price(data: bytes) -> tuple[Pod, datetime, datetime]:
    """The pod and the window."""
    request = _decode(data, pb.PricingPodPriceRequest)
    pod = request.pod_bytes or request.pod
    if not pod:
        raise Malformed("there is no pod in the request")
    return read_pod(pod), *_window(request)


def read_options(data: bytes) -> tuple[str, pb.NodeGroupAutoscalingOptions]:
    """Group id and the caller's defaults, for `options`."""
    request = _decode(data, pb.NodeGroupAutoscalingOptionsRequest)
    return request.id, request.defaults


def _node(node: pb.ExternalGrpcNode) -> ExternalNode:
    return ExternalNode(node.name, node.provider_id, node.labels, node.annotations)


def _window(request: pb.PricingNodePriceRequest | pb.PricingPodPriceRequest) -> tuple[datetime, datetime]:
    start = request.start_timestamp or _instant(request.start_time)
    end = request.end_timestamp or _instant(request.end_time)
    if start is None or end is None or end < start:
        raise Malformed("the request needs a start and an end that is no earlier")
    return start, end


def _instant(time: k8s.Time | None) -> datetime | None:
    if time is None:
        return None
    try:
        return datetime.fromtimestamp(time.seconds, UTC) + timedelta(microseconds=time.nanos // _MICROSECOND)
    except (ValueError, OverflowError, OSError) as error:
        raise Malformed(f"time {time.seconds}: {error}") from error


def read_pod(data: bytes) -> Pod:
    """A core/v1 Pod: the fields that scheduling and prices look at."""
    pod = _decode(data, k8s.Pod)
    meta, spec = pod.metadata, pod.spec
    return Pod(
        metadata=Metadata(
            name=meta.name, namespace=meta.namespace, uid=meta.uid, labels=meta.labels, annotations=meta.annotations
        ),
        spec=PodSpec(
            node_name=spec.node_name,
            scheduler_name=spec.scheduler_name,
            node_selector=spec.node_selector,
            tolerations=tuple(_toleration(toleration) for toleration in spec.tolerations),
            containers=tuple(_container(container) for container in spec.containers),
            init_containers=tuple(_container(container) for container in spec.init_containers),
            overhead=_texts(spec.overhead),
            priority=spec.priority,
            host_network=spec.host_network,
        ),
    )


def _toleration(toleration: k8s.Toleration) -> Toleration:
    return Toleration(
        key=toleration.key,
        operator=toleration.operator,
        value=toleration.value,
        effect=toleration.effect,
        toleration_seconds=toleration.toleration_seconds,
    )


def _container(container: k8s.Container) -> Container:
    resources = container.resources
    return Container(
        name=container.name,
        image=container.image,
        resources=ResourceRequirements(requests=_texts(resources.requests), limits=_texts(resources.limits)),
        restart_policy=container.restart_policy,
    )


def _texts(quantities: Mapping[str, k8s.Quantity]) -> dict[str, str]:
    return {name: quantity.string for name, quantity in quantities.items()}


# --- answers ------------------------------------------------------------------------------------------------------------


def groups(all_groups: Iterable[NodeGroup]) -> bytes:
    """NodeGroupsResponse."""
    return bytes(pb.NodeGroupsResponse([_group(group) for group in all_groups]))


@lru_cache(maxsize=4096)
def group_for_node(group: NodeGroup) -> bytes:
    """NodeGroupForNodeResponse; encoded once for each state of a group."""
    return bytes(pb.NodeGroupForNodeResponse(_group(group)))


def _group(group: NodeGroup) -> pb.NodeGroup:
    return pb.NodeGroup(group.id, group.min_size, group.max_size, group.debug)


def target_size(size: int) -> bytes:
    """NodeGroupTargetSizeResponse."""
    return bytes(pb.NodeGroupTargetSizeResponse(size))


def instances(all_instances: Iterable[Instance]) -> bytes:
    """NodeGroupNodesResponse."""
    return bytes(pb.NodeGroupNodesResponse([_instance(instance) for instance in all_instances]))


def _instance(instance: Instance) -> pb.Instance:
    status = pb.InstanceStatus(pb.InstanceStatusInstanceState(instance.state))
    if instance.error is not None:
        error = instance.error
        status.error_info = pb.InstanceErrorInfo(error.code, error.message, int(error.error_class))
    return pb.Instance(instance.id, status)


def template(node: NodeTemplate) -> bytes:
    """NodeGroupTemplateNodeInfoResponse, with the same bytes for both generations."""
    node_bytes = bytes(_template_node(node))
    return bytes(pb.NodeGroupTemplateNodeInfoResponse(node_info=node_bytes, node_bytes=node_bytes))


def _template_node(node: NodeTemplate) -> k8s.Node:
    shape = node.shape
    return k8s.Node(
        metadata=k8s.ObjectMeta(name=node.name, labels=_sorted(shape.labels), annotations=_sorted(shape.annotations)),
        spec=k8s.NodeSpec(
            provider_id=shape.provider_id,
            unschedulable=shape.unschedulable,
            taints=[_taint(taint) for taint in shape.taints],
        ),
        status=k8s.NodeStatus(
            capacity=_quantities(shape.capacity),
            allocatable=_quantities(shape.allocatable or shape.capacity),
            conditions=[k8s.NodeCondition(type="Ready", status="True", reason="Template")],
            node_info=k8s.NodeSystemInfo(
                operating_system=shape.labels.get(OS_LABEL, ""), architecture=shape.labels.get(ARCH_LABEL, "")
            ),
        ),
    )


def _taint(taint: Taint) -> k8s.Taint:
    return k8s.Taint(taint.key, taint.value, taint.effect)


def _sorted(texts: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(texts.items()))


def _quantities(texts: Mapping[str, str]) -> dict[str, k8s.Quantity]:
    return {name: k8s.Quantity(text) for name, text in sorted(texts.items())}


def options(chosen: Options, defaults: pb.NodeGroupAutoscalingOptions) -> bytes:
    """NodeGroupAutoscalingOptionsResponse: the defaults, with what the group sets laid over them.

    Every known field is filled in both generations, zeros included: an absent duration is 0 to releases since 1.35 and
    the end of the process to those before. Fields that only a newer release knows come back as they were sent.
    """
    answer = defaults
    unneeded = _nanoseconds(
        chosen.scale_down_unneeded_time, answer.scale_down_unneeded_duration, answer.scale_down_unneeded_time
    )
    unready = _nanoseconds(
        chosen.scale_down_unready_time, answer.scale_down_unready_duration, answer.scale_down_unready_time
    )
    provision = _nanoseconds(
        chosen.max_node_provision_time, answer.max_node_provision_duration, answer.max_node_provision_time
    )
    answer.scale_down_unneeded_time, answer.scale_down_unneeded_duration = _both(unneeded)
    answer.scale_down_unready_time, answer.scale_down_unready_duration = _both(unready)
    answer.max_node_provision_time, answer.max_node_provision_duration = _both(provision)
    for name in _PLAIN_OPTIONS:
        if (value := getattr(chosen, name)) is not None:
            setattr(answer, name, value)
    return bytes(pb.NodeGroupAutoscalingOptionsResponse(answer))


_PLAIN_OPTIONS: Final = (
    "scale_down_utilization_threshold",
    "scale_down_gpu_utilization_threshold",
    "zero_or_max_node_scaling",
    "ignore_daemon_sets_utilization",
)


def _nanoseconds(chosen: float | None, later: timedelta | None, earlier: k8s.Duration | None) -> int:
    if chosen is not None:
        return round(chosen * _SECOND)
    if later is not None:
        return later // timedelta(microseconds=1) * _MICROSECOND
    return earlier.duration if earlier is not None else 0


def _both(nanoseconds: int) -> tuple[k8s.Duration, timedelta]:
    return k8s.Duration(nanoseconds), timedelta(microseconds=nanoseconds // _MICROSECOND)


def price(value: float) -> bytes:
    """PricingNodePriceResponse and PricingPodPriceResponse."""
    return bytes(pb.PricingNodePriceResponse(value))


def gpu_label(label: str) -> bytes:
    """GPULabelResponse."""
    return bytes(pb.GpuLabelResponse(label))


def gpu_types(types: Sequence[str]) -> bytes:
    """GetAvailableGPUTypesResponse: the types are the keys, nobody reads the values."""
    return bytes(pb.GetAvailableGpuTypesResponse({name: ProtoAny() for name in sorted(types)}))
