"""The network card that carries an address: its MAC address, whether it has a link, and whether a magic packet wakes the machine.

Standard library only, so that the pod that runs it starts at once. MAC and link are files that everybody may read; the wake
flags take an ioctl with CAP_NET_ADMIN, and without it what /sys says of the device is told instead. It changes nothing.
"""

import array
import errno
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SYS: Final = Path("/sys/class/net")

# linux/rtnetlink.h, linux/if_addr.h
_GET_ADDRESSES: Final = 22  # RTM_GETADDR
_NEW_ADDRESS: Final = 20  # RTM_NEWADDR
_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE: Final = 3  # NLMSG_DONE
_ADDRESS: Final = 1  # IFA_ADDRESS
_LOCAL: Final = 2  # IFA_LOCAL

# linux/ethtool.h, linux/sockios.h
_SIOCETHTOOL: Final = 0x8946
_GET_WAKE: Final = 5  # ETHTOOL_GWOL
_WAKE_FLAGS: Final = "pumbagsf"
"""As ethtool prints them, lowest bit first; g is the magic packet."""


def probe(address: str, *, sys: Path = SYS) -> dict[str, Any]:
    """What there is to say of the card that carries the address; `error` where that is nothing."""
    carriers = [name for name, found in addresses() if found == ipaddress.ip_address(address)]
    if not carriers:
        return {"error": f"no interface carries {address}"}
    return describe(carriers[0], sys=sys)


def describe(interface: str, *, sys: Path = SYS) -> dict[str, Any]:
    """The card at the bottom of an interface: of a bridge, bond or VLAN, the port that has a link."""
    ports = sorted(bottoms(sys / interface), key=lambda port: (not has_link(port), port.name))
    card = ports[0]
    found: dict[str, Any] = {
        "interface": interface,
        "card": card.name,
        "mac": _read(card / "address"),
        "link": has_link(card),
        "physical": (card / "device").exists(),
        "others": [port.name for port in ports[1:]],
    }
    return {**found, **wake_flags(card)}


def bottoms(interface: Path) -> Iterator[Path]:
    """The interfaces that this one stands on, or itself."""
    lower = sorted(interface.glob("lower_*"))
    if (interface / "device").exists() or not lower:
        yield interface
        return
    for link in lower:
        yield from bottoms(interface.parent / link.name.removeprefix("lower_"))


def has_link(card: Path) -> bool:
    """Whether a cable is in it; not to be read while the card is down."""
    return _read(card / "carrier") == "1"


def wake_flags(card: Path) -> dict[str, Any]:
    """`supported` and `current` in ethtool's letters; where that may not be read, `wakeup` is what /sys says."""
    try:
        supported, current = _ask_wake(card.name)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:  # the driver knows nothing of waking
            return {"supported": "d", "current": "d"}
        return {"wakeup": _read(card / "device" / "power" / "wakeup"), "hidden": error.strerror or str(error)}
    return {"supported": _letters(supported), "current": _letters(current)}


def _letters(bits: int) -> str:
    return "".join(letter for place, letter in enumerate(_WAKE_FLAGS) if bits & (1 << place)) or "d"


def _ask_wake(interface: str) -> tuple[int, int]:
    """ethtool's struct wol: {u32 command, u32 supported, u32 options, u8 password[6]}."""
    answer = array.array("B", struct.pack("=III6s2x", _GET_WAKE, 0, 0, b""))
    request = struct.pack("16sP", interface.encode(), answer.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request.ljust(40, b"\0"))
    _, supported, current = struct.unpack_from("=III", answer)
    return supported, current


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # a card that is down says nothing of its link
        return ""


def addresses() -> Iterator[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    """Every address of this network namespace with its interface, as `ip address` lists them."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.sendall(struct.pack("=IHHIIB3xI", 24, _GET_ADDRESSES, _DUMP, 1, 0, socket.AF_UNSPEC, 0))
        while True:
            data = netlink.recv(65_536)
            for kind, body in _messages(data):
                if kind == _DONE:
                    return
                if kind == _NEW_ADDRESS:
                    yield from _address(body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[_aligned(length) :]


def _address(body: bytes) -> Iterator[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    index = struct.unpack_from("=I", body, 4)[0]
    attributes: dict[int, bytes] = {}
    rest = body[8:]
    while len(rest) >= 4:
        length, kind = struct.unpack_from("=HH", rest)
        attributes[kind] = rest[4:length]
        rest = rest[max(_aligned(length), 4) :]
    raw = attributes.get(_LOCAL) or attributes.get(_ADDRESS)  # on a point-to-point link the first is our own
    if raw is not None:
        yield socket.if_indextoname(index), ipaddress.ip_address(raw)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
