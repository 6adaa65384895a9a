"""Protobuf's wire format, written without a message class: betterproto takes 0.3 ms for an instance of two fields.

It knows tags, numbers and lengths. As in proto3, zero and empty values are left out, embedded messages are not.
"""

from collections.abc import Mapping
from typing import Final

_LENGTH: Final = 2
_SMALL: Final = tuple(bytes([value]) for value in range(128))


def varint(value: int) -> bytes:
    """A number; a negative one takes ten bytes."""
    if 0 <= value < 128:
        return _SMALL[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(field: int, content: bytes) -> bytes:
    """An embedded message, or bytes, in `field`."""
    return varint(field << 3 | _LENGTH) + varint(len(content)) + content


def text(field: int, value: str) -> bytes:
    """A string in `field`."""
    return message(field, value.encode()) if value else b""


def number(field: int, value: int) -> bytes:
    """An integer, a boolean or an enumeration in `field`."""
    return varint(field << 3) + varint(value) if value else b""


def texts(field: int, values: Mapping[str, str]) -> bytes:
    """A map of strings in `field`, in order, so that equal maps are equal bytes."""
    return b"".join(message(field, text(1, key) + text(2, value)) for key, value in sorted(values.items()))


def messages(field: int, values: Mapping[str, bytes]) -> bytes:
    """A map of embedded messages in `field`, in order."""
    return b"".join(message(field, text(1, key) + message(2, value)) for key, value in sorted(values.items()))
