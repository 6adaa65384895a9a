"""Magic packets, and the command `wake-on-lan` that sends them.

Owns what a packet is made of and how it leaves the box. It needs the standard library only, and little of that: a pod that
runs the command acts a few hundredths of a second after it has started.
"""

import re
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

EVERYONE: Final = "255.255.255.255"
PORT: Final = 9
"""Discard; network cards look at the payload and not at the port."""

_MAC: Final = re.compile(
    r"[0-9A-Fa-f]{2}(?P<between>[:-]?)(?:[0-9A-Fa-f]{2}(?P=between)){4}[0-9A-Fa-f]{2}"
    r"|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
)
_IP_UNICAST_IF: Final = 50  # linux/in.h; unlike SO_BINDTODEVICE it asks for no capability on any kernel


class Target(NamedTuple):
    """Where packets go."""

    address: str = EVERYONE
    """The broadcast of a segment, or an address of the machine whose ARP entry somebody keeps."""
    port: int = PORT
    interface: str = ""
    """The network interface that they leave by; empty: as the routing table says."""

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" + (f" by {self.interface}" if self.interface else "")


def parse_mac(text: str) -> bytes:
    """The six bytes of a MAC address in any of its usual spellings. Raises `ValueError` with a sentence for people."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is no MAC address: write six bytes in hexadecimal, such as 52:54:00:12:34:56")
    mac = bytes.fromhex(re.sub(r"[:.-]", "", text))
    if mac[0] & 1:
        raise ValueError(
            f"{text!r} is a multicast address, which no network card has: correct a digit of its first byte"
        )
    return mac


def parse_password(text: str) -> bytes:
    """The bytes of a SecureOn password: six in hexadecimal, or four written as an IPv4 address. Its errors never repeat it."""
    text = text.strip()
    if _MAC.fullmatch(text):
        return bytes.fromhex(re.sub(r"[:.-]", "", text))
    try:
        return socket.inet_pton(socket.AF_INET, text)
    except OSError:
        raise ValueError(
            "the SecureOn password is neither six bytes in hexadecimal nor four written as an IPv4 address"
        ) from None


def packet(mac: bytes, password: bytes = b"") -> bytes:
    """What a sleeping network card waits for."""
    return b"\xff" * 6 + mac * 16 + password


def send(packets: Iterable[bytes], target: Target) -> None:
    """Send each packet once. UDP to an address in numbers never blocks. Raises `OSError`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if target.interface:
            index = socket.if_nametoindex(target.interface)
            sender.setsockopt(socket.IPPROTO_IP, _IP_UNICAST_IF, index.to_bytes(4, "big"))
        for each in packets:
            sender.sendto(each, (target.address, target.port))


def why(error: OSError, target: Target) -> str:
    """One sentence on why packets could not leave, with what to do."""
    if target.interface and "interface" in str(error):
        return f"there is no network interface {target.interface}: correct its name, or give the pod the host's network"
    reason = error.strerror or str(error)
    return f"sending to {target} failed ({reason}): the pod needs a route there; hostNetwork: true gives it the host's"


def main() -> None:
    """The console script enters here."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code, as in docs/cli.md."""
    import time
    from argparse import ArgumentParser
    from pathlib import Path

    parser = ArgumentParser("wake-on-lan", description="Send magic packets that wake machines.", allow_abbrev=False)
    parser.add_argument(
        "macs", nargs="+", metavar="MAC", help="MAC address of a network card, such as 52:54:00:12:34:56"
    )
    parser.add_argument(
        "--broadcast",
        "--address",
        action="append",
        metavar="ADDRESS",
        help="where packets go: the broadcast address of a segment, or the machine's own; may be repeated "
        f"(default: {EVERYONE})",
    )
    parser.add_argument("--port", type=int, default=PORT, help="UDP port (default: 9)")
    parser.add_argument("--interface", default="", metavar="NAME", help="network interface that packets leave by")
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="send each packet so many times (default: 3)"
    )
    parser.add_argument(
        "--interval", type=float, default=0.1, metavar="SECONDS", help="pause between them (default: 0.1)"
    )
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with a SecureOn password")
    given = parser.parse_args(arguments)

    try:
        password = parse_password(given.password_file.read_text()) if given.password_file else b""
        packets = [packet(parse_mac(mac), password) for mac in given.macs]
        targets = [Target(address, _port(given.port), given.interface) for address in given.broadcast or [EVERYONE]]
    except (OSError, ValueError) as error:
        return _fail(str(error), 2)
    for turn in range(max(1, given.repeat)):
        if turn:
            time.sleep(max(0.0, given.interval))  # noqa: TID251 - no Trio here, see above
        for target in targets:
            try:
                send(packets, target)
            except OSError as error:
                return _fail(why(error, target), 1)
    print(f"sent magic packets for {', '.join(given.macs)} to {', '.join(map(str, targets))}")  # noqa: T201
    return 0


def _port(number: int) -> int:
    if not 0 < number < 65536:
        raise ValueError(f"port {number} is none: ports go from 1 to 65535")
    return number


def _fail(text: str, code: int) -> int:
    print(f"wake-on-lan: {text}", file=sys.stderr)  # noqa: T201
    return code
