"""Which hardware a machine claims for itself: BMCs, outlets, network cards, in one spelling each."""

import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from hexa.domain.policy.problem import Problem
from hexa.domain.resources.power_spec import Http, PowerSpec
from hexa.domain.resources.v1alpha1 import Lookup, Node

DUPLICATE_POWER: Final = "DuplicatePower"
"""Reason of the condition of machines that share what switches them."""

FIRST_OUTLET: Final = {"shelly": "0", "tasmota": "1", "template": "1"}
"""The outlet of a plug that names none, by device."""

IPV6: Final = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[^\s%/\[\]]+)?")
"""Bare, as drivers take it whose address is no URL. After % stands the interface of a link-local address."""


def claims(node: Node) -> frozenset[str]:
    """The BMCs, outlets, network cards and accounts that belong to this machine alone, in words."""
    return frozenset(_claims(node.spec.power)) if node.spec.power is not None else frozenset()


def _claims(spec: PowerSpec) -> Iterator[str]:
    if spec.wake_on_lan is not None:
        yield from (f"MAC address {plain_mac(mac)}" for mac in spec.wake_on_lan.macs)
    if spec.ipmi is not None:
        yield f"BMC {plain_host(spec.ipmi.address, spec.ipmi.port, usual=(623,))}"
    if spec.redfish is not None:
        system = spec.redfish.system.rstrip("/").rpartition("/")[2]
        below = _path(spec.redfish.address).removesuffix("/redfish/v1")
        host = plain_host(spec.redfish.address, None, usual=(443,))
        yield f"BMC {host}{below}" + (f" system {system}" if system else "")
    if spec.pdu is not None:
        yield from _outlets("PDU", spec.pdu.address, spec.pdu.port, spec.pdu.outlets, usual=(161,))
    if spec.http is not None:
        yield from _plugs(spec.http)
    if spec.ssh is not None:
        yield f"SSH server {plain_host(spec.ssh.address, spec.ssh.port, usual=(22,))}"


def _plugs(http: Http) -> Iterator[str]:
    """Its outlets. A device with requests of its own may stand for many: what tells one from another is what switches it off."""
    outlets = http.outlets or (FIRST_OUTLET[http.device],)
    if http.template is None:
        yield from _outlets("plug", http.address, None, outlets, usual=(80, 443))
        return
    off = http.template.turn_off
    for claim in _outlets("plug", http.address, None, outlets, usual=(80, 443)):
        yield f"{claim} by {' '.join(filter(None, (off.method, off.path, off.body)))}"


def _outlets(
    what: str, address: str, port: int | None, outlets: Iterable[str], *, usual: Collection[int]
) -> Iterator[str]:
    for outlet in outlets:
        elsewhere, slash, name = outlet.rpartition("/")
        device = elsewhere or address
        yield f"outlet {name if slash else outlet} of {what} {plain_host(device, port, usual=usual)}{_path(device)}"


def _path(address: str) -> str:
    """Of a device behind a gateway, one of several at its address."""
    if IPV6.fullmatch(address):
        return ""
    try:
        return urlsplit(address if "//" in address else f"//{address}").path.rstrip("/")
    except ValueError:
        return ""


def bare_host(address: str) -> str:
    """A host as resolvers take it: an IPv6 address without the brackets and the %25 of URLs."""
    return address[1:-1].replace("%25", "%", 1) if address[:1] == "[" and address[-1:] == "]" else address


def plain_host(address: str, port: int | None, *, usual: Collection[int]) -> str:
    """The same text for each way of writing the same address."""
    try:
        url = urlsplit(f"//[{address}]" if IPV6.fullmatch(address) else address if "//" in address else f"//{address}")
        port = url.port or port
    except ValueError:
        return address.lower()
    host = _plain_ip((url.hostname or address).rstrip("."))
    return host if port is None or port in usual else f"{host}:{port}"


def _plain_ip(host: str) -> str:
    """An IP address in its shortest form; other names as they are."""
    try:
        found = ip_address(host.replace("%25", "%", 1))
    except ValueError:
        return host
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def plain_mac(mac: str) -> str:
    """The same text for each way of writing the same MAC address."""
    digits = re.sub(r"[-:.]", "", mac.strip().lower())
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def rivals_problem(rivals: Iterable[tuple[str, Collection[Lookup]]]) -> Problem | None:
    """Several machines claim the same hardware: none of them is switched or read through it."""
    shared = [
        f"{claim} is also named by {', '.join(sorted(map(str, others)))}"
        for claim, others in sorted(rivals, key=_first)
    ]
    if not shared:
        return None
    remedy = "give each machine its own; none of them is switched until then"
    return Problem("spec.power", "; ".join(shared), remedy, reason=DUPLICATE_POWER)


def _first(rival: tuple[str, Collection[Lookup]]) -> str:
    return rival[0]
