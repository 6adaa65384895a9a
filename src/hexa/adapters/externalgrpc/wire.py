"""Messages of the CloudProvider service to and from the structs of ports.cloud. No I/O, no decisions about groups.

What comes often or is large is read and written by hand (`scan`, `emit`), the rest by betterproto. The field numbers are
those of proto/, and the tests hold both against protobuf's own parser.

Both generations of the messages (see proto/externalgrpc.proto) are read, whichever is set, and both are filled.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from betterproto import Message
from betterproto.lib.google.protobuf import Any as ProtoAny

from hexa.adapters.externalgrpc import emit, scan
from hexa.adapters.externalgrpc.emit import message, number, text
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
_INT64: Final = range(-(1 << 63), 1 << 63)
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
    return b"".join(message(1, _group(group)) for group in all_groups)


@lru_cache(maxsize=4096)
def group_for_node(group: NodeGroup) -> bytes:
    """NodeGroupForNodeResponse; encoded once for each state of a group."""
    return message(1, _group(group))


def _group(group: NodeGroup) -> bytes:
    return text(1, group.id) + number(2, group.min_size) + number(3, group.max_size) + text(4, group.debug)


def target_size(size: int) -> bytes:
    """NodeGroupTargetSizeResponse."""
    return number(1, size)


def instances(all_instances: Iterable[Instance]) -> bytes:
    """NodeGroupNodesResponse."""
    return b"".join(message(1, _instance(instance)) for instance in all_instances)


def _instance(instance: Instance) -> bytes:
    status = number(1, instance.state)
    if (error := instance.error) is not None:
        status += message(2, text(1, error.code) + text(2, error.message) + number(3, error.error_class))
    return text(1, instance.id) + message(2, status)


def template(node: NodeTemplate) -> bytes:
    """NodeGroupTemplateNodeInfoResponse, with the same core/v1 Node for both generations."""
    shape = node.shape
    metadata = text(1, node.name) + emit.texts(11, shape.labels) + emit.texts(12, shape.annotations)
    taints = b"".join(message(5, _taint(taint)) for taint in shape.taints)
    spec = text(3, shape.provider_id) + number(4, shape.unschedulable) + taints
    system = text(9, shape.labels.get(OS_LABEL, "")) + text(10, shape.labels.get(ARCH_LABEL, ""))
    status = (
        emit.messages(1, _quantities(shape.capacity))
        + emit.messages(2, _quantities(shape.allocatable or shape.capacity))
        + message(4, text(1, "Ready") + text(2, "True"))
        + message(7, system)
    )
    node_bytes = message(1, metadata) + message(2, spec) + message(3, status)
    return message(1, node_bytes) + message(2, node_bytes)


def _taint(taint: Taint) -> bytes:
    return text(1, taint.key) + text(2, taint.value) + text(3, taint.effect)


def _quantities(shares: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text(1, quantity) for name, quantity in shares.items()}


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
    held = min(max(nanoseconds, _INT64.start), _INT64.stop - 1)  # as Go cuts a duration that it cannot hold
    return k8s.Duration(held), timedelta(microseconds=nanoseconds // _MICROSECOND)


def price(value: float) -> bytes:
    """PricingNodePriceResponse and PricingPodPriceResponse."""
    return bytes(pb.PricingNodePriceResponse(value))


def gpu_label(label: str) -> bytes:
    """GPULabelResponse."""
    return bytes(pb.GpuLabelResponse(label))


def gpu_types(types: Sequence[str]) -> bytes:
    """GetAvailableGPUTypesResponse: the types are the keys, nobody reads the values."""
    return bytes(pb.GetAvailableGpuTypesResponse({name: ProtoAny() for name in sorted(types)}))
