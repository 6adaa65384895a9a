"""What of `spec.power` can't be used."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.problem import Problem
from hexa.domain.power.claims import IPV6, bare_host, plain_mac
from hexa.domain.power.jobs import LEAST, SPARE, named_secrets
from hexa.domain.power.roles import drivers, roles, settings
from hexa.domain.power.ways import below_spec, own_pod
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.v1alpha1 import Node

BY_NAME: Final = frozenset({"ipmi", "pdu", "ssh"})
"""Drivers whose address is no URL."""
BY_URL: Final = frozenset({"redfish", "http"})
"""Drivers whose address is one of the web."""
_MAC: Final = re.compile(
    r"[0-9A-Fa-f]{2}(?P<between>[:-]?)(?:[0-9A-Fa-f]{2}(?P=between)){4}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
)
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def power_problems(node: Node, limits: Limits) -> Iterator[Problem]:
    """What of `spec.power` can't be used."""
    spec = node.spec.power
    if spec is None:
        return
    if isinstance(found := roles(spec), Problem):
        yield below_spec(found)
    yield from _settings_problems(spec)
    for field, name in named_secrets(spec):
        if not _OBJECT_NAME.fullmatch(name) or len(name) > 253:
            yield Problem(f"spec.power.{field}", f"{name!r} is no name of a Secret", "write its name", reason="BadName")
    for direction, field in (("on", "turnOn"), ("off", "turnOff")):
        named = spec.turn_on if direction == "on" else spec.turn_off
        if named is not None and own_pod(node, "on" if direction == "on" else "off") is not None:
            pod = "startupPodSpec" if direction == "on" else "shutdownPodSpec"
            text, remedy = f"has no effect: spec.{pod} is the Job", f"remove it, or spec.{pod}"
            yield Problem(f"spec.power.{field}", text, remedy, severity="warning", reason="PodSpecWins")
    yield from _soft_problems(spec, limits)


def _settings_problems(spec: PowerSpec) -> Iterator[Problem]:
    for driver in drivers(spec):
        address = getattr(settings(spec, driver), "address", "")
        if address and not _is_address(address):
            remedy = "write a name, an IP address or a URL; an IPv6 address stands in brackets: [fd00::1]"
            yield Problem(f"spec.power.{driver}.address", f"{address!r} is no address", remedy, reason="BadAddress")
        elif address and driver in BY_NAME and not _is_host(address):
            text, remedy = f"{address!r} is more than a name or an IP address", "write that alone, and the port in port"
            yield Problem(f"spec.power.{driver}.address", text, remedy, reason="BadAddress")
        elif address and driver in BY_URL:
            yield from _url_problems(address, f"spec.power.{driver}.address")
    for index, mac in enumerate(spec.wake_on_lan.macs if spec.wake_on_lan is not None else ()):
        field, remedy = (
            f"spec.power.wakeOnLan.macs[{index}]",
            "write six bytes in hexadecimal, such as 52:54:00:12:34:56",
        )
        if not _MAC.fullmatch(mac):
            yield Problem(field, f"{mac!r} is no MAC address", remedy, reason="BadMac")
        elif int(plain_mac(mac)[:2], 16) & 1 or not plain_mac(mac).strip("0:"):
            what = f"{mac!r} is the address of no network card, but of all, of a group of them, or of none"
            yield Problem(field, what, "write the card's own, as ip link shows it", reason="BadMac")
    if spec.pdu is not None and (spec.pdu.profile is None) == (spec.pdu.oids is None):
        text = "names neither profile nor oids" if spec.pdu.oids is None else "has both profile and oids"
        yield Problem("spec.power.pdu", text, "set one of them", reason="BadSettings")
    if spec.http is not None and (spec.http.device == "template") == (spec.http.template is None):
        text = (
            "and device template go together" if spec.http.template is not None else "is absent, and device is template"
        )
        yield Problem("spec.power.http.template", text, "add it, or name the device", reason="BadSettings")


def _is_host(address: str) -> bool:
    """A name or an IP address alone, as it is looked up."""
    bare = bare_host(address)
    return IPV6.fullmatch(bare) is not None or not set(bare) & set(":/@ {}")


def _url_problems(address: str, field: str) -> Iterator[Problem]:
    """What its driver would refuse of a URL. A password in it is not repeated."""
    if IPV6.fullmatch(address):
        return
    url = urlsplit(address if "://" in address else f"//{address}")
    if url.username or url.password:
        remedy = "put them into a Secret and name it by secretName"
        yield Problem(field, "has credentials in it", remedy, reason="BadAddress")
    elif url.scheme not in ("", "http", "https") or set(url.hostname or "") & set(" {}"):
        remedy = 'write a URL such as "https://device-01.lan"'
        yield Problem(field, f"{address!r} is no URL of the web", remedy, reason="BadAddress")


def _is_address(address: str) -> bool:
    if IPV6.fullmatch(address):
        return True
    try:
        url = urlsplit(address if "//" in address else f"//{address}")
        return bool(url.hostname) and (url.port or 1) > 0 and address.isprintable()
    except ValueError:
        return False


def _soft_problems(spec: PowerSpec, limits: Limits) -> Iterator[Problem]:
    if spec.soft_timeout is None:
        return
    field = "spec.power.softTimeout"
    try:
        soft = parse_duration(spec.soft_timeout)
    except ValueError as error:
        yield Problem(field, str(error), 'write a duration such as "90s" or "3m"', reason="BadDuration")
        return
    if soft.total_seconds() > limits.power_off.total_seconds() - SPARE - LEAST:
        text = f"{spec.soft_timeout} leaves no time to cut the power within timeouts.powerOff ({format_duration(limits.power_off)})"
        yield Problem(
            field, text, "shorten it, or lengthen timeouts.powerOff", severity="warning", reason="SoftTooLong"
        )
