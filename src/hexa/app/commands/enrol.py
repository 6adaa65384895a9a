"""What `hexa enrol` finds: the machines that are there and those of the list, in groups, with what is still missing."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, structs

from hexa.app.commands.shared.agents import agent_image, agents, watched
from hexa.app.commands.shared.probing import Probes, probe_all
from hexa.domain.errors import HexaError
from hexa.domain.people.enrol import Candidate, Group, Known, LeftOut, complete, grouped, select, shortcomings
from hexa.domain.resources.cluster import ADDRESSED_NODES, DetailedPod
from hexa.domain.resources.core import Malformed
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES, Lookup, Node
from hexa.ports.kube import Kube, Selector

NO_IMAGE: Final = "hexa's own image is not known, for no pod of it runs here: name it by --image, or use --no-probe"


class Wanted(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    namespace: str = ""
    """Empty: the one that hexa watches, else `otherwise`."""
    otherwise: str = "default"
    nodes: tuple[str, ...] = ()
    rows: tuple[Candidate, ...] = ()
    everything: bool = False
    """Enrolled ones too."""
    probe: bool = True
    image: str = ""
    seconds: float = 60.0


class Enrolment(Struct, frozen=True, kw_only=True):
    """What to print, and what to say about it."""

    namespace: str
    image: str
    """Image of the power Jobs; empty: not known."""
    groups: tuple[Group, ...]
    missing: dict[str, tuple[str, ...]]
    """By machine."""
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def incomplete(self) -> bool:
        """Whether a person has to look at something before it works."""
        return bool(self.notes) or any(self.missing.values()) or any(each.wanted for each in self.left_out)


async def enrol(kube: Kube, wanted: Wanted) -> Enrolment:
    """Look at the cluster, probe the machines that are up, and put everything in groups."""
    nodes = (await kube.list(ADDRESSED_NODES)).items
    pods = await _agents(kube)
    wanted, watched_by = _placed(wanted, pods)
    known, notes = await _known(kube, wanted.namespace)
    notes += watched_by
    names = wanted.nodes
    readable = [node for node in nodes if not isinstance(node, Malformed)]
    there, left_out = select(readable, wanted=names, known=known, everything=wanted.everything)
    left_out = _with_unread([node for node in nodes if isinstance(node, Malformed)], left_out, names)
    if wanted.rows and not names:  # a list by itself is about the machines in it
        there = [machine for machine in there if machine.name in {row.kubernetes_node for row in wanted.rows}]
        left_out = [each for each in left_out if each.name in {row.kubernetes_node for row in wanted.rows}]
    machines, refused = _merged(there, wanted, known, {each.name for each in left_out})
    image = wanted.image or agent_image(pods)
    machines = await _probed(kube, machines, wanted, image, notes)
    groups, mixed = grouped(machines, known)
    return Enrolment(
        namespace=wanted.namespace,
        image=image,
        groups=tuple(groups),
        missing={m.name: tuple(shortcomings(m, probed=wanted.probe and bool(image))) for m in machines},
        left_out=(*left_out, *refused),
        notes=(*notes, *mixed),
    )


def _with_unread(unread: Sequence[Malformed], left_out: Sequence[LeftOut], names: Sequence[str]) -> list[LeftOut]:
    """A Kubernetes node that does not read is there all the same, and somebody has to look at it."""
    found = {node.metadata.name: f"its Kubernetes node cannot be read: {node.problem}" for node in unread}
    told = [LeftOut(name, reason, True) for name, reason in sorted(found.items()) if not names or name in names]
    return [*(each for each in left_out if each.name not in found), *told]


async def _known(kube: Kube, namespace: str) -> tuple[Known, list[str]]:
    """What is enrolled, in objects that do not decode too; where the CRDs are not installed yet, nothing is."""
    try:
        machines, groups = (await kube.list(MACHINES)).items, (await kube.list(GROUPS)).items
    except HexaError as error:
        if error.reason == "KindNotServed":
            return Known(), []
        return Known(), [f"what is enrolled already could not be seen: {error}"]
    by_node = {_node_of(each): Lookup(each.metadata.namespace, each.metadata.name) for each in machines}
    names = frozenset(group.metadata.name for group in groups if group.metadata.namespace == namespace)
    profiles, notes = await _profiles(kube, namespace)
    return Known(machines=by_node, groups=names, profiles=profiles), notes


def _node_of(machine: Node | Malformed) -> str:
    """The Kubernetes node that it declares; of one that does not decode its own name, which stands for it in most cases."""
    named = "" if isinstance(machine, Malformed) else machine.spec.kubernetes_node_name
    return named or machine.metadata.name


async def _profiles(kube: Kube, namespace: str) -> tuple[frozenset[str], list[str]]:
    """Names of the PowerProfiles that are there; one that does not decode is there too."""
    try:
        items = (await kube.list(PROFILES, Selector(namespace=namespace))).items
    except HexaError as error:
        if error.reason == "KindNotServed":
            return frozenset(), []
        return frozenset(), [f"which PowerProfiles are there could not be seen: {error}"]
    return frozenset(each.metadata.name for each in items), []


def _merged(
    there: Sequence[Candidate], wanted: Wanted, known: Known, left_out: set[str]
) -> tuple[list[Candidate], list[LeftOut]]:
    """Rows of machines that are there complete what was seen; the others are machines of their own."""
    rows = {row.kubernetes_node: row for row in wanted.rows}
    merged = [_with_row(machine, rows.pop(machine.kubernetes_node, None)) for machine in there]
    refused = []
    for row in rows.values():
        if row.kubernetes_node in left_out:
            continue  # told already
        if not wanted.everything and (machine := known.machines.get(row.kubernetes_node)) is not None:
            reason = f"Node {machine} declares it already (--all prints it all the same)"
            refused.append(LeftOut(row.name, reason))
        else:
            merged.append(row)
    return merged, refused


def _with_row(machine: Candidate, row: Candidate | None) -> Candidate:
    return machine if row is None else structs.replace(complete(machine, row), name=row.name)


async def _agents(kube: Kube) -> list[DetailedPod]:
    try:
        return await agents(kube)
    except HexaError:
        return []


def _placed(wanted: Wanted, pods: Sequence[DetailedPod]) -> tuple[Wanted, list[str]]:
    """With its namespace, and a word if hexa does not watch that one."""
    seen = next((watched(pod) for pod in pods), ())
    namespace = wanted.namespace or (seen[0] if len(seen) == 1 else wanted.otherwise)
    notes = []
    if seen and namespace not in seen:
        notes.append(f"hexa does not watch namespace {namespace}: print for {' or '.join(seen)} by -n")
    return structs.replace(wanted, namespace=namespace), notes


async def _probed(
    kube: Kube, machines: list[Candidate], wanted: Wanted, image: str, notes: list[str]
) -> list[Candidate]:
    up = [each for each in machines if each.ready and each.os == "linux" and each.address and not each.mac]
    if not wanted.probe or not up:
        return machines
    if not image:
        notes.append(NO_IMAGE)
        return machines
    probes = Probes(namespace=wanted.namespace, image=image, seconds=wanted.seconds)
    cards = await probe_all(kube, up, probes)
    return [structs.replace(machine, card=cards.get(machine.name)) for machine in machines]
