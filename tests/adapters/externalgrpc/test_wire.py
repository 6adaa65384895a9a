"""The codec reads what protobuf reads, and refuses what is no message, whatever the bytes."""

import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexa.adapters.externalgrpc import wire
from hexa.adapters.externalgrpc.pb.clusterautoscaler.cloudprovider.v1 import externalgrpc as pb
from hexa.adapters.externalgrpc.scan import Malformed, node_names
from hexa.domain.resources.core import Taint
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.cloud import NodeGroup, NodeTemplate, Options

# The fixtures only hold message classes, which examples may share.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(["x" * 127, "y" * 128, "z" * 20_000])
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
maps = st.dictionaries(names, texts, max_size=3)
nodes = st.fixed_dictionaries({}, optional={"name": texts, "providerID": texts, "labels": maps, "annotations": maps})
readers = [
    wire.read_group,
    wire.read_increase,
    wire.read_decrease,
    wire.read_delete,
    wire.read_node_price,
    wire.read_pod_price,
    wire.read_options,
    wire.read_pod,
    wire.read_node_names,
]


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def unknown_field(number: int, content: bytes, kind: int) -> bytes:
    """A field that no message here declares."""
    tag = varint((number + 1000) << 3 | kind)
    fixed = {0: varint(int.from_bytes(content[:8], "big")), 1: content[:8].ljust(8), 5: content[:4].ljust(4)}
    return tag + (fixed[kind] if kind in fixed else varint(len(content)) + content)


unknown_fields = st.builds(
    unknown_field, st.integers(0, 1 << 20), st.binary(max_size=200), st.sampled_from([0, 1, 2, 5])
)


@shared
@given(node=nodes)
def test_node_names_agree_with_protobuf(messages: Any, node: dict[str, Any]) -> None:
    """Name and providerID are those that protobuf's own parser finds."""
    data = messages.NodeGroupForNodeRequest(node=node).SerializeToString()
    assert node_names(data) == (node.get("name", ""), node.get("providerID", ""))


@shared
@given(
    parts=st.lists(st.one_of(nodes, unknown_fields), max_size=4),
    inside=st.lists(unknown_fields, max_size=2),
    seed=st.integers(),
)
def test_node_names_agree_on_unusual_messages(messages: Any, parts: list[Any], inside: list[bytes], seed: int) -> None:
    """So they are where fields are unknown, repeated or in another order, which a parser must accept."""
    data = b""
    for part in parts:
        if isinstance(part, bytes):
            data += part
            continue
        fields = [messages.ExternalGrpcNode(**{key: value}).SerializeToString() for key, value in part.items()]
        fields += inside
        random.Random(seed).shuffle(fields)
        node = b"".join(fields)
        data += b"\x0a" + varint(len(node)) + node
    parsed = messages.NodeGroupForNodeRequest.FromString(data).node
    assert node_names(data) == (parsed.name, parsed.providerID)


@given(data=st.binary(max_size=200))
def test_random_bytes_are_read_or_malformed(data: bytes) -> None:
    """No bytes make a reader raise anything but Malformed."""
    for read in readers:
        with suppress(Malformed):
            read(data)


@shared
@given(node=nodes, place=st.integers(0, 1 << 16), byte=st.integers(0, 255))
def test_damaged_messages_are_read_or_malformed(messages: Any, node: dict[str, Any], place: int, byte: int) -> None:
    """So it is for messages with one byte changed, which come much closer."""
    data = bytearray(messages.NodeGroupDeleteNodesRequest(nodes=[node, node], id="a/b").SerializeToString())
    data[place % len(data)] = byte
    for read in readers:
        with suppress(Malformed):
            read(bytes(data))


@pytest.mark.parametrize("wrap", [b"\x0a", b"\x0a\x02\x12"])
def test_node_names_refuse_what_is_cut_off(messages: Any, wrap: bytes) -> None:
    """A message that ends within a field is malformed at every length but a whole one."""
    data = messages.NodeGroupForNodeRequest(node={"name": "n" * 200, "providerID": "p"}).SerializeToString()
    assert node_names(data) == ("n" * 200, "p")
    for end in range(1, len(data)):
        with pytest.raises(Malformed):
            node_names(data[:end])
    with pytest.raises(Malformed):
        node_names(wrap)


@pytest.mark.parametrize("inner", [b"\x12\x05", b"\x12\x81\x01", b"\x92\x01\x05", b"\x0d\x00", b"\x08\x80"])
def test_node_names_refuse_a_field_that_leaves_its_message(inner: bytes) -> None:
    """A field of the node that reaches into what follows the node is malformed, although the bytes are there."""
    with pytest.raises(Malformed):
        node_names(b"\x0a" + varint(len(inner)) + inner + b"\x12\x7f" + b"x" * 127)


@pytest.mark.parametrize("read", [wire.read_group, wire.read_increase, wire.read_delete, wire.read_options])
@pytest.mark.parametrize(
    "data",
    [
        b"\x12\x05ab",  # a text of five bytes, two of them there
        b"\x0a\x05ab",
        b"\x0d\x01\x00\x00\x00",  # field 1 as a 32-bit number
        b"\x0b\x0c",  # a group
        b"\x00\x01",  # field 0
        b"\x12\x02\xff\xfe\x0a\x02\xff\xfe",  # not UTF-8
        b"\xff" * 11,
    ],
)
def test_requests_refuse_what_is_no_message(read: Any, data: bytes) -> None:
    """What protobuf refuses is refused here, although betterproto would make something of it."""
    with pytest.raises(Malformed):
        read(data)


@shared
@given(
    capacity=maps,
    labels=maps,
    annotations=maps,
    taints=st.lists(st.builds(Taint, key=texts, value=texts, effect=texts), max_size=3),
    provider_id=texts,
    unschedulable=st.booleans(),
)
def test_template_parses_as_a_node(messages: Any, capacity: dict[str, str], taints: list[Taint], **fields: Any) -> None:
    """Whatever a shape holds, the template is a Node with exactly that in it."""
    shape = Shape(capacity=capacity, taints=tuple(taints), **fields)
    answer = messages.NodeGroupTemplateNodeInfoResponse.FromString(wire.template(NodeTemplate("t", shape)))
    node = messages.k8s("Node").FromString(answer.nodeBytes)
    assert dict(node.metadata.labels) == shape.labels
    assert dict(node.metadata.annotations) == shape.annotations
    assert [(t.key, t.value, t.effect) for t in node.spec.taints] == [(t.key, t.value, t.effect) for t in taints]
    assert (node.spec.providerID, node.spec.unschedulable) == (shape.provider_id, shape.unschedulable)
    for quantities in (node.status.capacity, node.status.allocatable):
        assert {name: quantity.string for name, quantity in quantities.items()} == capacity


@given(seconds=st.floats(0, 1e9, allow_nan=False))
def test_durations_are_the_same_in_both_generations(seconds: float) -> None:
    """To the microsecond, which is finer than any setting."""
    request = wire.read_options(b"")[1]
    wire.options(Options(scale_down_unneeded_time=seconds), request)
    later, earlier = request.scale_down_unneeded_duration, request.scale_down_unneeded_time
    assert later is not None
    assert earlier is not None
    assert abs(earlier.duration - round(later.total_seconds() * 1e9)) <= 2000
    assert earlier.duration == round(seconds * 1e9)


@pytest.mark.parametrize("days", [200_000, -200_000])
def test_a_default_that_nanoseconds_cannot_hold_keeps_its_sign(days: int) -> None:
    """A span of centuries comes back as the longest there is, not as one of the other sign."""
    asked = pb.NodeGroupAutoscalingOptions(scale_down_unready_duration=timedelta(days=days))
    request = wire.read_options(bytes(pb.NodeGroupAutoscalingOptionsRequest("d/g", asked)))[1]
    answer = pb.NodeGroupAutoscalingOptionsResponse().parse(wire.options(Options(), request))
    found = answer.node_group_autoscaling_options
    assert found.scale_down_unready_duration == timedelta(days=days)
    assert found.scale_down_unready_time.duration == (2**63 - 1 if days > 0 else -(2**63))


def test_template_bytes_do_not_depend_on_order() -> None:
    """Equal shapes give equal bytes, so a comparison of answers tells whether something changed."""
    one = Shape(capacity={"cpu": "1", "memory": "2"}, labels={"a": "1", "b": "2"})
    other = Shape(capacity={"memory": "2", "cpu": "1"}, labels={"b": "2", "a": "1"})
    assert wire.template(NodeTemplate("t", one)) == wire.template(NodeTemplate("t", other))


def test_negative_numbers_arrive(messages: Any) -> None:
    """What must not be negative but is arrives as it is, and the log of Cluster Autoscaler shows it."""
    assert messages.NodeGroupTargetSizeResponse.FromString(wire.target_size(-1)).targetSize == -1


def test_sizes_of_every_group_survive(messages: Any) -> None:
    """Limits are 32-bit numbers on the wire; the largest and the smallest arrive."""
    group = NodeGroup("a/b", 0, (1 << 31) - 1, "ü")
    told = messages.NodeGroupForNodeResponse.FromString(wire.group_for_node(group)).nodeGroup
    assert (told.id, told.minSize, told.maxSize, told.debug) == ("a/b", 0, (1 << 31) - 1, "ü")
