"""`spec.power` of a machine: what its Jobs are, what reads its power, which hardware it claims, and what is wrong with it.

A direction that has a pod spec of its own (startupPodSpec, shutdownPodSpec) is that pod's; `spec.power` does the rest.
Pure: it reads no Secret, it only knows their names.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import structs

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.group import Limits, Problem
from hexa.domain.power import DRIVERS, FIELDS, ORDER, Ability, Roles, can, drivers, roles, settings, tells
from hexa.domain.resources.power import DriverName, Http, PowerSpec
from hexa.domain.resources.v1alpha1 import EnvVar, HardOff, Lookup, Node, PowerPodSpec, VolumeMount

Direction = Literal["on", "off"]

SECRETS: Final = "/etc/hexa/power"
"""Where Secrets are mounted in power Jobs, a folder each."""

READ_BY_AGENT: Final = frozenset({"ipmi", "redfish", "pdu", "http"})
"""Drivers that the agent reads power by. A script or a plugin runs in Jobs only, and silence over SSH proves nothing."""

BY_NAME: Final = frozenset({"ipmi", "pdu", "ssh"})
"""Drivers whose address is no URL."""

DUPLICATE_POWER: Final = "DuplicatePower"
"""Reason of the condition of machines that share what switches them."""

SOFT_TIMEOUT: Final = 120.0
"""Seconds, where spec.power does not say (hexa.domain.resources.power)."""

SOFT_IN_VAIN: Final = "10s"
"""How long a system that hangs is given for an orderly shutdown."""

SPARE: Final = 20.0
"""Seconds of a Job's deadline that are left for its pod to start and to say how it ended."""

LEAST: Final = 10.0
"""Seconds that a power reading is waited for at least."""

IMAGE_UNKNOWN: Final = (
    "spec.power runs in Jobs of hexa's own image, and hexa was not told which that is; set HEXA_JOBS_IMAGE (jobs.image)"
)

FIRST_OUTLET: Final = {"shelly": "0", "tasmota": "1", "template": "1"}
"""The outlet of a plug that names none, by device."""

_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[^\s%/\[\]]+)?")
"""Bare, as drivers take it whose address is no URL. After % stands the interface of a link-local address."""
_MAC: Final = re.compile(
    r"[0-9A-Fa-f]{2}(?P<between>[:-]?)(?:[0-9A-Fa-f]{2}(?P=between)){4}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
)
_CHANGED_ON_THE_WAY: Final = re.compile(r"[$\x7f-\uffff]")
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


# --- ways on and off ------------------------------------------------------------------------------


def lacks(node: Node, direction: Direction, *, image_known: bool = True) -> str:
    """Why nothing can switch the machine in this direction, with the remedy; empty: something can."""
    if own_pod(node, direction) is not None:
        return ""
    field = "startupPodSpec" if direction == "on" else "shutdownPodSpec"
    if node.spec.power is None:
        what = "be woken" if direction == "on" else "rest"
        return f"spec.{field} is absent; add it, or spec.power, to let the machine {what}"
    found = roles(node.spec.power)
    if isinstance(found, Problem):
        return str(_below_spec(found))
    if not _able(node.spec.power, found, direction):
        return _no_way(node.spec.power, found, direction)
    return "" if image_known else IMAGE_UNKNOWN


def own_pod(node: Node, direction: Direction) -> PowerPodSpec | None:
    """The pod spec that the machine itself brings for this direction."""
    return node.spec.startup_pod_spec if direction == "on" else node.spec.shutdown_pod_spec


def _able(spec: PowerSpec, found: Roles, direction: Direction) -> bool:
    if direction == "on":
        return found.on is not None
    return found.off is not None or (found.cut is not None and spec.hard)


def _no_way(spec: PowerSpec, found: Roles, direction: Direction) -> str:
    given = ", ".join(drivers(spec))
    if direction == "on":
        return f"no driver of spec.power ({given}) turns it on; add one that does, such as wakeOnLan"
    if found.cut is not None:
        return f"{found.cut} of spec.power can only cut the power; add a driver that shuts down, such as ssh, or hard: true"
    return f"no driver of spec.power ({given}) turns it off; add one that does, such as ssh"


def governed(node: Node, hard_off: HardOff) -> Node:
    """The machine as its group lets it be switched."""
    power = node.spec.power
    if power is None or not power.hard or hard_off is HardOff.ALLOW:
        return node
    return structs.replace(node, spec=structs.replace(node.spec, power=structs.replace(power, hard=False)))


def hard_problems(node: Node, hard_off: HardOff) -> Iterator[Problem]:
    """That `hard` of the machine counts no more."""
    if governed(node, hard_off) is not node:
        text, remedy = "has no effect: hardOff of the group is Forbid", "remove one of them"
        yield Problem("spec.power.hard", text, remedy, severity="warning", reason="HardOffForbidden")


def cuts(node: Node) -> bool:
    """Whether the way off can end a system that hangs: by a driver that cuts power. A pod of the machine's own is trusted to."""
    if own_pod(node, "off") is not None:
        return True
    found = roles(node.spec.power) if node.spec.power is not None else None
    return isinstance(found, Roles) and found.cut is not None


def off_is_told_apart(node: Node) -> bool:
    """Whether what switches the machine off is another device than what reads its power, so that one that lies is found out. Of a
    pod of the machine's own nobody knows."""
    spec, sense = node.spec.power, sensor(node)
    if spec is None or sense is None or own_pod(node, "off") is not None or isinstance(found := roles(spec), Problem):
        return False
    return sense not in (found.off, found.cut if spec.hard else None)


# --- power Jobs -----------------------------------------------------------------------------------


def pod_for(node: Node, direction: Direction, *, image: str, limits: Limits, cut: bool = False) -> PowerPodSpec | None:
    """The pod of the Job that switches the machine: its own, else `hexa power` of `image`. None: there is no way. `cut`: its system
    hangs, and power may be cut whatever `hard` says."""
    own = own_pod(node, direction)
    if own is not None or node.spec.power is None or lacks(node, direction, image_known=bool(image)):
        return own
    power = structs.replace(node.spec.power, hard=True, soft_timeout=SOFT_IN_VAIN) if cut else node.spec.power
    part = part_for(power, direction)
    within, soft = _patience(part, direction, limits)
    if soft is not None:
        part = structs.replace(part, soft_timeout=soft)
    return PowerPodSpec(
        image=image,
        args=("power", direction, "--within", within),
        env=(
            EnvVar(name="HEXA_MACHINE", value=node.metadata.name),
            EnvVar(name="HEXA_POWER", value=environment_text(part)),
            EnvVar(name="HEXA_SECRETS", value=SECRETS),
        ),
        volumes=tuple(
            VolumeMount(name=f"secret-{index}", mount_path=f"{SECRETS}/{name}", secret_name=name)
            for index, name in enumerate(secret_names(part))
        ),
        host_network=direction == "on" and "wakeOnLan" in (part.turn_on, part.turn_on_else),
    )


def environment_text(spec: PowerSpec) -> str:
    """The spec as JSON that reaches a container as it is, whoever reads it there as JSON or YAML: Kubernetes reduces $$ and expands
    $(NAME) in values of the environment, and YAML takes no escape of half a character, and some characters only as an escape."""
    text = json.dumps(msgspec.to_builtins(spec), sort_keys=True, ensure_ascii=False)
    return _CHANGED_ON_THE_WAY.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def part_for(spec: PowerSpec, direction: Direction) -> PowerSpec:
    """What a Job of this direction needs of the spec and no more. A Job that wakes never sees the key that shuts down, nor does it
    take whoever answers at the address of the machine's SSH server for the machine."""
    found = roles(spec)
    if isinstance(found, Problem):
        return spec
    on = direction == "on"
    sense = None if on and found.sense == "ssh" else found.sense
    needed = {found.on, found.on_else, sense} if on else {found.off, found.cut if spec.hard else None, sense}
    others = {FIELDS.get(name, name): None for name in DRIVERS if name not in needed}
    return structs.replace(
        spec,
        **others,
        turn_on=found.on if on else None,
        turn_on_else=found.on_else if on else None,
        turn_off=None if on else spec.turn_off,
        sense=sense,
    )


def _patience(spec: PowerSpec, direction: Direction, limits: Limits) -> tuple[str, str | None]:
    """How long the Job waits for the reading that proves it, and of these for an orderly shutdown: within the phase's limit, and
    on: so that a lost wake is sent again within its interval."""
    if direction == "on":
        ways = 2 if spec.turn_on_else is None else 3  # each has as long, and the pod has its part
        return _seconds(
            min(limits.wake_interval.total_seconds() / ways, limits.power_on.total_seconds() / (ways - 1) - SPARE)
        ), None
    whole = limits.power_off.total_seconds() - SPARE
    if not spec.hard:
        return _seconds(whole), None
    soft = min(soft_seconds(spec), whole - LEAST)
    return _seconds(whole - soft), _seconds(soft)


def _seconds(value: float) -> str:
    return f"{max(LEAST, value):.0f}s"


def soft_seconds(spec: PowerSpec) -> float:
    """How long an orderly shutdown may take before power is cut."""
    try:
        return parse_duration(spec.soft_timeout).total_seconds() if spec.soft_timeout else SOFT_TIMEOUT
    except ValueError:
        return SOFT_TIMEOUT  # told as what it is


def secret_names(spec: PowerSpec) -> tuple[str, ...]:
    """The Secrets that the drivers of the spec name."""
    return tuple(dict.fromkeys(name for _, name in _secrets(spec)))


def _secrets(spec: PowerSpec) -> Iterator[tuple[str, str]]:
    """Field and name of each Secret."""
    for driver in drivers(spec):
        given: Any = settings(spec, driver)
        if name := getattr(given, "secret_name", ""):
            yield f"{driver}.secretName", name
        if name := getattr(getattr(given, "tls", None), "ca_secret_name", ""):
            yield f"{driver}.tls.caSecretName", name
        if driver == "plugin" and isinstance(name := given.settings.get("secretName"), str):
            yield f"{driver}.settings.secretName", name


# --- sensing --------------------------------------------------------------------------------------


def sensor(node: Node) -> DriverName | None:
    """The driver by which the agent reads the machine's power; None: it does not."""
    spec = node.spec.power
    if spec is None or isinstance(found := roles(spec), Problem):
        return None
    if spec.sense is not None or found.sense in READ_BY_AGENT:
        return found.sense if found.sense in READ_BY_AGENT else None
    soft = found.off is not None or node.spec.shutdown_pod_spec is not None
    for name in ORDER[Ability.SENSE]:
        if name in READ_BY_AGENT and can(spec, Ability.SENSE, name) and tells(spec, name, soft=soft):
            return name
    return None


def sensing_part(spec: PowerSpec, driver: DriverName) -> PowerSpec:
    """The driver alone."""
    others = {FIELDS.get(name, name): None for name in DRIVERS if name != driver}
    return structs.replace(spec, **others, turn_on=None, turn_on_else=None, turn_off=None, sense=driver)


def sensing_secrets(node: Node) -> tuple[str, ...]:
    """The Secrets that the agent reads the machine's power with."""
    driver = sensor(node)
    return secret_names(sensing_part(node.spec.power, driver)) if node.spec.power is not None and driver else ()


# --- claims ---------------------------------------------------------------------------------------


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
    if _IPV6.fullmatch(address):
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
        url = urlsplit(f"//[{address}]" if _IPV6.fullmatch(address) else address if "//" in address else f"//{address}")
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


# --- what is wrong --------------------------------------------------------------------------------


def power_problems(node: Node, limits: Limits) -> Iterator[Problem]:
    """What of `spec.power` can't be used."""
    spec = node.spec.power
    if spec is None:
        return
    if isinstance(found := roles(spec), Problem):
        yield _below_spec(found)
    yield from _settings_problems(spec)
    for field, name in _secrets(spec):
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
    return _IPV6.fullmatch(bare) is not None or not set(bare) & set(":/@")


def _is_address(address: str) -> bool:
    if _IPV6.fullmatch(address):
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


def _below_spec(problem: Problem) -> Problem:
    field = problem.field if problem.field == "power" else f"power.{problem.field}"
    return structs.replace(problem, field=f"spec.{field}")
