"""Machines that are there, or are listed, as Groups and Nodes to be: who is left out and why, which group, what is missing.

It decides and words; it reads nothing, and writes no YAML.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct, structs

from hexa.domain.names import ARCH_LABEL, CONTROL_PLANE_LABELS, OS_LABEL
from hexa.domain.quantity import size_of
from hexa.domain.resources.cluster import AddressedNode
from hexa.domain.resources.v1alpha1 import Lookup

MAGIC: Final = "g"


class Card(Struct, frozen=True, kw_only=True, rename="camel"):
    """What `hexa probe-nic` says."""

    interface: str = ""
    card: str = ""
    mac: str = ""
    link: bool = False
    physical: bool = True
    others: tuple[str, ...] = ()
    supported: str | None = None
    """Letters of ethtool; None: they could not be read."""
    current: str | None = None
    wakeup: str = ""
    """enabled or disabled, as /sys says of the device; empty: it says nothing."""
    hidden: str = ""
    """Why the letters could not be read."""
    error: str = ""


class Bmc(Struct, frozen=True):
    """A management controller, as the list names it."""

    address: str
    secret: str = ""


class Candidate(Struct, frozen=True, kw_only=True):
    """A machine that may be enrolled."""

    name: str
    kubernetes_node: str
    group: str = ""
    """As the list says; empty: by shape."""
    arch: str = ""
    os: str = "linux"
    capacity: Mapping[str, str] = {}
    address: str = ""
    """The node's InternalIP."""
    here: bool = False
    """There is a Kubernetes node of it."""
    ready: bool = False
    mac: str = ""
    card: Card | None = None
    bmc: Bmc | None = None


class LeftOut(Struct, frozen=True):
    """A Kubernetes node that is not printed, and why."""

    name: str
    reason: str
    wanted: bool = False
    """It was asked for by name."""


class Group(Struct, frozen=True, kw_only=True):
    """A group and its machines."""

    name: str
    machines: tuple[Candidate, ...]
    exists: bool = False
    """There is a Group of that name already: it is not printed."""
    profiled: bool = False
    """The same of a PowerProfile."""


class Shared(Struct, frozen=True, kw_only=True):
    """What machines of a group have in common, and what they have not."""

    like: Candidate
    """One of them, whose shape is that of all."""
    macs: bool
    """Each has a MAC address."""
    secret: str
    """Name of each one's Secret, with what stands in braces."""
    parameters: Mapping[str, Mapping[str, str]]
    """By machine."""


class Known(Struct, frozen=True, kw_only=True):
    """What is enrolled already."""

    machines: Mapping[str, Lookup] = {}
    """Kubernetes node -> the Node resource that declares it."""
    groups: frozenset[str] = frozenset()
    """Names of the Groups in the namespace that is printed for."""
    profiles: frozenset[str] = frozenset()
    """The same of PowerProfiles."""


# --- who ------------------------------------------------------------------------------------------


def select(
    nodes: Iterable[AddressedNode], *, wanted: Sequence[str] = (), known: Known, everything: bool = False
) -> tuple[list[Candidate], list[LeftOut]]:
    """The nodes to enrol, all or those named, and those that are left out with the reason."""
    by_name = {node.metadata.name: node for node in nodes}
    chosen, left_out = (
        [],
        [LeftOut(name, "there is no such Kubernetes node", True) for name in wanted if name not in by_name],
    )
    for name, node in sorted(by_name.items()):
        if wanted and name not in wanted:
            continue
        reason = _refusal(node, {} if everything else known.machines)
        if reason:
            left_out.append(LeftOut(name, reason, name in wanted))
        else:
            chosen.append(candidate(node))
    return chosen, left_out


def _refusal(node: AddressedNode, enrolled: Mapping[str, Lookup]) -> str:
    if not CONTROL_PLANE_LABELS.isdisjoint(node.metadata.labels):
        return "it belongs to the control plane, which hexa does not switch"
    if (machine := enrolled.get(node.metadata.name)) is not None:
        return f"Node {machine} declares it already (--all prints it all the same)"
    return ""


def candidate(node: AddressedNode) -> Candidate:
    """A Kubernetes node as a machine."""
    labels, info = node.metadata.labels, node.status.node_info
    address = next((each.address for each in node.status.addresses if each.type == "InternalIP"), "")
    return Candidate(
        name=node.metadata.name,
        kubernetes_node=node.metadata.name,
        arch=labels.get(ARCH_LABEL) or info.architecture,
        os=labels.get(OS_LABEL) or info.operating_system or "linux",
        capacity={name: text for name, text in node.status.capacity.items() if _matters(name, text)},
        address=address,
        here=True,
        ready=any(each.type == "Ready" and each.status == "True" for each in node.status.conditions),
    )


def _matters(resource: str, text: str) -> bool:
    """cpu, memory, pods, and devices such as nvidia.com/gpu."""
    return resource in ("cpu", "memory", "pods") or ("/" in resource and size_of(text) > 0)


def complete(machine: Candidate, row: Candidate) -> Candidate:
    """A machine that is there with what the list says of it; what was seen counts more than what is written."""
    return structs.replace(
        machine,
        group=row.group,
        mac=row.mac,
        bmc=row.bmc,
        arch=machine.arch or row.arch,
        capacity={**row.capacity, **machine.capacity},
    )


# --- which group ----------------------------------------------------------------------------------


def grouped(machines: Iterable[Candidate], known: Known) -> tuple[list[Group], list[str]]:
    """Groups by what the list says, else by shape; one that would mix processors or systems is split, and that is told."""
    by_name: dict[str, list[Candidate]] = {}
    for machine in machines:
        by_name.setdefault(machine.group or shape_name(machine), []).append(machine)
    groups, notes = [], []
    for name, members in by_name.items():
        parts = _parts(members)
        if len(parts) > 1:
            notes.append(f"group {name}: it would mix {', '.join(parts)}: printed as one group for each")
        for platform, part in parts.items():
            own = f"{name}-{platform.replace('/', '-')}" if len(parts) > 1 else name
            there, profiled = own in known.groups, own in known.profiles
            groups.append(Group(name=own, machines=tuple(part), exists=there, profiled=profiled))
    return sorted(groups, key=lambda group: group.name), notes


def _parts(members: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Machines by processor and system; those of which neither is known go with the first."""
    parts: dict[str, list[Candidate]] = {}
    for machine in sorted(members, key=lambda machine: not machine.arch):
        platform = f"{machine.os}/{machine.arch}" if machine.os != "linux" else machine.arch
        parts.setdefault(platform or next(iter(parts), ""), []).append(machine)
    return parts


def shape_name(machine: Candidate) -> str:
    """A name that says the shape, such as amd64-8cpu-32gi; machines whose memory differs by what the firmware keeps share it."""
    cpu, memory = (size_of(machine.capacity.get(name, "0")) for name in ("cpu", "memory"))
    devices = sorted((name, text) for name, text in machine.capacity.items() if "/" in name)
    parts = [
        machine.os if machine.os != "linux" else "",
        machine.arch,
        f"{cpu.normalize():f}cpu" if cpu else "",
        nominal(memory) if memory else "",
        *(f"{text}{name.partition('/')[2] or name}" for name, text in devices),
    ]
    name = _NOT_IN_NAMES.sub("-", "-".join(filter(None, parts)).lower()).strip("-")
    return name[:_LONGEST].strip("-") or "machines"


_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_LONGEST: Final = 50
"""A platform may be put behind it, and the name of a group goes into a label of 63."""
_STEPS: Final = (4, 5, 6, 7)


def nominal(memory: Decimal) -> str:
    """The size that the modules add up to: the next of 4, 5, 6, 7 times a power of two at or above what the system has."""
    unit, suffix = (2**30, "gi") if memory > 2**29 else (2**20, "mi")
    size = memory / unit
    power = Decimal("0.25")
    while power * 8 < size:
        power *= 2
    best = next(step * power for step in (*_STEPS, 8) if step * power >= size)
    return f"{best.normalize():f}{suffix}"


def shared_profile(group: Group) -> Shared | None:
    """What its machines share, where there are several and each has a management controller; None: they are not so alike."""
    machines = group.machines
    bmcs = {machine.name: machine.bmc for machine in machines if machine.bmc is not None}
    unseen = [machine for machine in machines if not machine.here]
    shapes = {(*sorted(machine.capacity.items()), machine.arch, machine.os) for machine in unseen}
    if len(machines) < 2 or len(bmcs) < len(machines) or len(shapes) > 1:
        return None
    secret, macs = _shared_secret(bmcs), all(map(mac_of, machines))
    parameters = {
        machine.name: {"bmc": bmcs[machine.name].address}
        | ({"secret": bmcs[machine.name].secret or "SECRET"} if secret == "{secret}" else {})
        | ({"mac": mac_of(machine)} if macs else {})
        for machine in machines
    }
    return Shared(like=(unseen or machines)[0], macs=macs, secret=secret, parameters=parameters)


def _shared_secret(bmcs: Mapping[str, Bmc]) -> str:
    names = {bmc.secret for bmc in bmcs.values()}
    if all(bmc.secret == f"{name}-bmc" for name, bmc in bmcs.items()):
        return "{machine}-bmc"
    return next(iter(names)) or "SECRET" if len(names) == 1 else "{secret}"


# --- what is missing ------------------------------------------------------------------------------


def mac_of(machine: Candidate) -> str:
    """The address that wakes it: as the list says, else as it was read. Empty: none is known."""
    seen = machine.card.mac if machine.card else ""
    return machine.mac or (seen if _is_mac(seen) else "")


def _is_mac(text: str) -> bool:
    """Whether an Ethernet card can have it: six bytes, not all zero, and not of many cards (Infiniband has twenty)."""
    return _MAC.fullmatch(text.lower()) is not None and text.strip("0:") != "" and not int(text[:2], 16) & 1


def shortcomings(machine: Candidate, *, probed: bool) -> list[str]:
    """What stands in the way of waking the machine, each with what to do. Not `probed`: nobody looked at its network card."""
    card, found = machine.card, []
    if machine.here and not machine.ready and probed and not machine.mac:
        found.append("its node is not Ready, so its network card was not looked at: run again once it is")
    if card is not None and card.error:
        found.append(f"its network card could not be read: {card.error}")
    if not mac_of(machine):
        other = "for its management controller" if machine.bmc else "or list the address with --from"
        found.append(f"no MAC address is known: fill in spec.power, {other}")
    if card is not None and not card.error:
        found += _wake_shortcomings(card)
    return found


def _wake_shortcomings(card: Card) -> list[str]:
    found = []
    if not card.physical:
        found.append(f"{card.card} is no physical card: its MAC address may wake nothing")
    if card.supported is None:
        said = f"; /sys says wakeup {card.wakeup}" if card.wakeup else ""
        found.append(f"its wake flags could not be read ({card.hidden}){said}: look at `ethtool {card.card}`")
    elif MAGIC not in card.supported:
        found.append(f"{card.card} does not wake on magic packets (it supports {card.supported}): use a BMC or a plug")
    elif MAGIC not in (card.current or ""):
        found.append(f"Wake-on-LAN of {card.card} is off: `ethtool -s {card.card} wol g`, and let it last over reboots")
    if card.others:
        found.append(f"{card.interface} has other ports too ({', '.join(card.others)}): the one with a link was taken")
    return found


def summary(machine: Candidate) -> str:
    """The shape in words: 8 cpu, 31.2Gi, linux/amd64."""
    capacity = machine.capacity
    memory = size_of(capacity.get("memory", "0"))
    parts = [
        f"{capacity['cpu']} cpu" if "cpu" in capacity else "",
        f"{memory / 2**30:.1f}Gi" if memory else "",
        *(f"{text} {name}" for name, text in sorted(capacity.items()) if "/" in name),
        f"{machine.os}/{machine.arch}" if machine.arch else "",
    ]
    return ", ".join(filter(None, parts)) or "shape not known"


# --- the list -------------------------------------------------------------------------------------


class RowError(ValueError):
    """A line of the list that cannot be used; the message says which, what and the remedy."""


COLUMNS: Final[Mapping[str, str]] = {
    "name": "Name of the Node resource, and of the Kubernetes node unless `node` says otherwise. Needed.",
    "node": "Name that the machine's kubelet registers.",
    "group": "Group; without, one is named after the shape.",
    "mac": "MAC address of the card that a magic packet wakes.",
    "bmc": "Host name or IP address of the management controller.",
    "bmc_secret": "Secret with its user and password.",
    "cpu": "Cores, such as 8.",
    "memory": "Memory, such as 32Gi.",
    "pods": "Pods at most; 110 where cpu and memory are given.",
    "arch": "amd64, arm64, ...",
    "os": "Operating system; linux if empty.",
}
"""Columns of the list; the first line names those that there are."""

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_GROUP: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY: Final = re.compile(r"[0-9]+(\.[0-9]+)?([KMGTPE]i|[mkMGTPE])?")
_HOST: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.:_]*[A-Za-z0-9])?")


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_CHECKS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "name": (_matches(_NAME), "use lower case letters, digits, - and ."),
    "node": (_matches(_NAME), "write it as kubectl get nodes shows it"),
    "group": (_matches(_GROUP), "use lower case letters, digits and -, 63 at most"),
    "mac": (_matches(_MAC), "write six bytes such as 52:54:00:12:34:56"),
    "bmc": (_matches(_HOST), "write a host name or an IP address"),
    "bmc_secret": (_matches(_NAME), "write the name of a Secret in the machines' namespace"),
    "cpu": (_matches(_QUANTITY), "write a quantity such as 8"),
    "memory": (_matches(_QUANTITY), "write a quantity such as 32Gi"),
    "pods": (str.isdecimal, "write a number such as 110"),
    "arch": (_matches(_GROUP), "write it as Go names it: amd64, arm64, arm, riscv64"),
    "os": (_matches(_GROUP), "write linux or windows"),
}


def unknown_columns(header: Sequence[str]) -> list[str]:
    """Names in the first line that are no columns."""
    return [name for name in header if name not in COLUMNS]


def from_row(row: Mapping[str, str], where: str) -> Candidate:
    """A machine of the list. Raises `RowError`."""
    values = {key: _plain_mac(text) if key == "mac" else text for key, text in row.items() if text}
    if "name" not in values:
        raise RowError(f"{where}: name is empty; every machine needs one")
    for key, text in values.items():
        valid, remedy = _CHECKS[key]
        if not valid(text):
            raise RowError(f"{where}: {key}: {row[key]!r} cannot be used; {remedy}")
    if "bmc_secret" in values and "bmc" not in values:
        raise RowError(f"{where}: bmc_secret is given and bmc is empty; add the address, or remove the Secret")
    return Candidate(
        name=values["name"],
        kubernetes_node=values.get("node", values["name"]),
        group=values.get("group", ""),
        arch=values.get("arch", ""),
        os=values.get("os", "linux"),
        capacity=_capacity(values),
        mac=values.get("mac", ""),
        bmc=Bmc(values["bmc"], values.get("bmc_secret", "")) if "bmc" in values else None,
    )


def _plain_mac(text: str) -> str:
    digits = re.sub(r"[-:.]", "", text.strip().lower())
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _capacity(values: Mapping[str, Any]) -> dict[str, str]:
    capacity = {name: values[name] for name in ("cpu", "memory", "pods") if name in values}
    if {"cpu", "memory"} <= capacity.keys():
        capacity.setdefault("pods", "110")
    return capacity
