"""Protobuf's wire format, read without a message class: what betterproto is too slow or too lenient for.

It knows tags, varints and lengths. The only message that it knows by number is ExternalGrpcNode, whose maps it skips.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Final, get_args, get_type_hints

import betterproto
from betterproto import FieldMetadata, Message

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types. 3 and 4 (groups) have not been written by anybody since proto2 and are refused."""

_WIRE_TYPES: Final = {
    betterproto.TYPE_DOUBLE: FIXED64,
    betterproto.TYPE_FIXED64: FIXED64,
    betterproto.TYPE_SFIXED64: FIXED64,
    betterproto.TYPE_FLOAT: FIXED32,
    betterproto.TYPE_FIXED32: FIXED32,
    betterproto.TYPE_SFIXED32: FIXED32,
    betterproto.TYPE_STRING: LENGTH,
    betterproto.TYPE_BYTES: LENGTH,
    betterproto.TYPE_MESSAGE: LENGTH,
    betterproto.TYPE_MAP: LENGTH,
}  # the rest are varints

_NODE: Final = 0x0A
"""NodeGroupForNodeRequest.node: field 1, a length follows."""
_PROVIDER_ID: Final = 0x0A
_NAME: Final = 0x12
_MAX_TAG: Final = (1 << 32) - 1


class Malformed(Exception):
    """The bytes are not a message of the type that was asked for."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The number that starts at `position`, and where it ends. At most ten bytes, cut to 64 bits."""
    value = shift = 0
    while shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise Malformed("a number of more than ten bytes")


def skip(data: bytes, position: int, wire_type: int) -> int:
    """Where the value ends that starts at `position` and has no length in front."""
    if wire_type == VARINT:
        return varint(data, position)[1]
    if wire_type == FIXED64:
        return position + 8
    if wire_type == FIXED32:
        return position + 4
    raise Malformed(f"wire type {wire_type}")


def node_names(request: bytes) -> tuple[str, str]:
    """Name and providerID of the node in a NodeGroupForNodeRequest. Labels and annotations are skipped, not read.

    One call for each Kubernetes node and loop of Cluster Autoscaler makes this the hottest code of the service.
    """
    texts = {_NAME: b"", _PROVIDER_ID: b""}
    try:
        position, end = 0, len(request)
        while position < end:
            tag, start, position = _field(request, position, end)
            if tag == _NODE:
                _read_texts(request, start, position, texts)
        return texts[_NAME].decode(), texts[_PROVIDER_ID].decode()
    except IndexError:
        raise Malformed("the message ends within a field") from None
    except UnicodeDecodeError:
        raise Malformed("a text that is not UTF-8") from None


def first_text(message: bytes) -> str:
    """The text in field 1, which is all that the message has."""
    texts = {0x0A: b""}
    try:
        _read_texts(message, 0, len(message), texts)
        return texts[0x0A].decode()
    except IndexError:
        raise Malformed("the message ends within a field") from None
    except UnicodeDecodeError:
        raise Malformed("a text that is not UTF-8") from None


def _read_texts(data: bytes, position: int, end: int, texts: dict[int, bytes]) -> None:
    """Collect the fields whose tags are keys of `texts`; the last one of a tag counts, as everywhere in protobuf."""
    while position < end:
        tag = data[position]
        if tag & 7 == LENGTH and 7 < tag < 0x80:  # one of the first 15 fields, with a length: here that is all of them
            start = position + 2
            size = data[position + 1]
            if size > 0x7F:
                size, start = varint(data, position + 1)
            position = start + size
            if position > end:
                raise Malformed("a field reaches beyond its message")
        else:
            tag, start, position = _field(data, position, end)
        if tag in texts:
            texts[tag] = data[start:position]


def _field(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """Tag, start and end of the value of the field at `position`."""
    tag, position = varint(data, position)
    if not 7 < tag <= _MAX_TAG:
        raise Malformed("a field without a number")
    if tag & 7 == LENGTH:
        size, start = varint(data, position)
        stop = start + size
    else:
        start = position
        stop = skip(data, position, tag & 7)
    if stop > end:
        raise Malformed("a field reaches beyond its message")
    return tag, start, stop


# --- strictness for betterproto ---------------------------------------------------------------------------------------


class _Shape:
    """What the fields of a message must look like: wire type by number, and the shapes of embedded messages."""

    def __init__(self, wire_types: Mapping[int, int], messages: Mapping[int, "_Shape"]) -> None:
        self.wire_types = wire_types
        self.messages = messages


_INSTANT: Final = _Shape({1: VARINT, 2: VARINT}, {})
"""google.protobuf Timestamp and Duration, which betterproto turns into datetime types."""


def check(data: bytes, message: type[Message]) -> None:
    """Raise Malformed where betterproto would guess: cut-off fields, and known numbers with another wire type."""
    try:
        _check(data, 0, len(data), _shape(message))
    except IndexError:
        raise Malformed("the message ends within a field") from None


def _check(data: bytes, position: int, end: int, shape: _Shape) -> None:
    while position < end:
        tag, start, position = _field(data, position, end)
        number = tag >> 3
        if shape.wire_types.get(number, tag & 7) != tag & 7:
            raise Malformed(f"field {number} has wire type {tag & 7}")
        if number in shape.messages:
            _check(data, start, position, shape.messages[number])


@cache
def _shape(message: type[Message]) -> _Shape:
    hints = get_type_hints(message)
    wire_types: dict[int, int] = {}
    messages: dict[int, _Shape] = {}
    for field in dataclasses.fields(message):  # type: ignore[arg-type]  # every generated class is a dataclass
        meta = FieldMetadata.get(field)
        wire_types[meta.number] = _WIRE_TYPES.get(meta.proto_type, VARINT)
        if meta.map_types:
            key, value = (_WIRE_TYPES.get(kind, VARINT) for kind in meta.map_types)
            embedded = meta.map_types[1] == betterproto.TYPE_MESSAGE
            messages[meta.number] = _Shape({1: key, 2: value}, {2: _embedded(hints[field.name])} if embedded else {})
        elif meta.proto_type == betterproto.TYPE_MESSAGE:
            messages[meta.number] = _embedded(hints[field.name])
    return _Shape(wire_types, messages)


def _embedded(hint: object) -> _Shape:
    """The shape of the message class inside Optional[...], List[...] or Dict[..., ...]; an instant where there is none."""
    for candidate in (hint, *get_args(hint)):
        if isinstance(candidate, type) and issubclass(candidate, Message):
            return _shape(candidate)
    return _INSTANT
