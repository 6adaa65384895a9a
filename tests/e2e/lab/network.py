"""The network of a lab: a switch that machines are plugged into, reached from the host by one address.

Owns namespaces, the bridge and addresses; refuses to know who is plugged in. The bridge stands in a
namespace of its own, where no firewall of the host looks at what it carries. Namespaces have no names,
only our file descriptors: they and all in them are gone with us, however we end.
"""

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

SERVICES, FIRST_SERVICE = "10.0.0.0/24", "10.0.0.1"
"""Where Services are; the first is the API server's."""

_CLONE_NEWNET = 0x40000000
_RANGE = IPv4Network("198.18.0.0/15")  # RFC 2544: for tests, routed nowhere
_LAB_PREFIX = 20  # 32 labs beside each other, 4,000 machines each
_FIRST_MACHINE = 16
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace without a name."""

    def __init__(self) -> None:
        self._descriptor = _in_a_thread(_new_namespace)
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        """Gives it up; it ends with the last process and socket in it."""
        os.close(self._descriptor)

    def enter(self) -> list[str]:
        """The words before a command that make it run inside."""
        return ["nsenter", f"--net={self.path}"]

    def run(self, *command: str) -> None:
        """Runs a command inside."""
        _run(*self.enter(), *command)

    def udp_socket(self, port: int) -> socket.socket:
        """A socket that hears what arrives inside, broadcasts too."""

        def bind() -> socket.socket:
            _check(_libc.setns(self._descriptor, _CLONE_NEWNET))
            listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            listener.bind(("", port))
            return listener

        return _in_a_thread(bind)


@dataclass(frozen=True)
class Plug:
    """A machine's end of its cable."""

    namespace: Namespace
    address: str
    mac: str


class Network:
    """A switch, and the host's address at it."""

    def __init__(self) -> None:
        self._switch = Namespace()
        self._switch.run("ip", "link", "add", "switch", "type", "bridge")
        self._switch.run("ip", "link", "set", "switch", "up")
        self.subnet, self._host_end = self._plug_in_host()
        self.host_address = str(self.subnet[1])

    def close(self) -> None:
        """Takes the host's cable out; the switch goes with its namespace."""
        _run("ip", "link", "del", self._host_end)
        self._switch.close()

    def plug_in(self, number: int) -> Plug:
        """A new namespace with one interface at the switch, the Nth machine's."""
        address, mac = address_of(number, subnet=self.subnet), mac_of(number)
        namespace = Namespace()
        self._switch.run(
            *("ip", "link", "add", f"port{number}", "type", "veth"),
            *("peer", "name", "eth0", "address", mac, "netns", namespace.path),
        )
        self._switch.run("ip", "link", "set", f"port{number}", "master", "switch", "up")
        namespace.run("ip", "link", "set", "lo", "up")
        namespace.run("ip", "address", "add", f"{FIRST_SERVICE}/32", "dev", "lo")  # firmware.sh answers there
        namespace.run("ip", "address", "add", f"{address}/{_LAB_PREFIX}", "brd", "+", "dev", "eth0")
        namespace.run("ip", "link", "set", "eth0", "up")
        namespace.run("ip", "route", "add", "default", "via", self.host_address)
        return Plug(namespace, str(address), mac)

    def _plug_in_host(self) -> tuple[IPv4Network, str]:
        """The first subnet that no other lab has taken; the interface's name is the claim to it."""
        for index, subnet in enumerate(_RANGE.subnets(new_prefix=_LAB_PREFIX)):
            name = f"hexa-e2e{index}"
            if Path("/sys/class/net", name).exists() or not self._link_host(name):
                continue
            _run("ip", "address", "add", f"{subnet[1]}/{_LAB_PREFIX}", "brd", "+", "dev", name)
            _run("ip", "link", "set", name, "up")
            return subnet, name
        raise RuntimeError(f"32 labs run already in {_RANGE}")

    def _link_host(self, name: str) -> bool:
        link = ["ip", "link", "add", name, "type", "veth", "peer", "name", "host", "netns", self._switch.path]
        if subprocess.run(link, capture_output=True, check=False).returncode:
            return False
        self._switch.run("ip", "link", "set", "host", "master", "switch", "up")
        return True


def address_of(number: int, *, subnet: IPv4Network = _RANGE) -> IPv4Address:
    """Where the Nth machine lives."""
    return subnet[_FIRST_MACHINE + number]


def mac_of(number: int) -> str:
    """The hardware address of the Nth machine, locally administered."""
    return f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"


def _in_a_thread(work: Callable[[], T]) -> T:
    """The work's result; it may change the thread's namespace, since the thread ends with it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(work).result()


def _new_namespace() -> int:
    _check(_libc.unshare(_CLONE_NEWNET))
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _check(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _run(*command: str) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)}: {answer.stderr.strip()}")
