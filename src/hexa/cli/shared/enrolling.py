"""Groups and Nodes as YAML with comments that say what to fill in; and the list of machines that is read. It asks no cluster."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from hexa.app.commands.enrol import Enrolment
from hexa.cli.shared.output import plain
from hexa.domain.names import API_VERSION, ARCH_LABEL, MEMBERSHIP_LABEL, OS_LABEL
from hexa.domain.people.enrol import (
    COLUMNS,
    Candidate,
    Group,
    RowError,
    Shared,
    from_row,
    mac_of,
    shared_profile,
    summary,
    unknown_columns,
)
from hexa.domain.spelling import suggestion
from hexa.yaml import write_document

HEADER: Final = """\
# Groups and Nodes for hexa, drawn up by `hexa enrol`. Nothing has been applied. Read the comments, fill in what is missing, then:
#   hexa validate FILE && kubectl apply -f FILE
"""
_SSH: Final = "ssh: {address: HOST, secretName: SECRET}"
"""A way off, to be filled in."""
_FILL_IN: Final = "no MAC address is known: fill in spec.power, for its management controller"
"""What a profile says once for all."""


# --- the list -------------------------------------------------------------------------------------


def read_machines(text: str, *, source: str) -> list[Candidate]:
    """The machines of a list of comma or semicolon separated values. Raises `RowError` with file and line."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in first else ",", skipinitialspace=True)
    rows = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
    kept = ((line, cells) for line, cells in rows if any(cells) and not cells[0].startswith("#"))
    try:
        header = next(kept, None)
        if header is None:
            raise RowError(f"{source}: is empty; the first line names the columns, such as name,mac,group")
        names = _header(header[1], f"{source}:{header[0]}")
        return list(_machines(kept, names, source))
    except csv.Error as error:
        raise RowError(f"{source}:{reader.line_num}: {error}; quote what holds separators or ends of lines") from error


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.lower() for cell in cells]
    for name in unknown_columns(names):
        close = suggestion(name, COLUMNS)
        remedy = f"did you mean {close}?" if close else f"known are {', '.join(COLUMNS)}"
        raise RowError(f"{where}: {name or 'an empty name'} is no column that hexa knows; {remedy}")
    duplicate = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if duplicate is not None:
        raise RowError(f"{where}: {duplicate} stands twice; remove one of them")
    if "name" not in names:
        raise RowError(f"{where}: there is no column name; add it, every machine needs one")
    return names


def _machines(rows: Iterable[tuple[int, list[str]]], names: list[str], source: str) -> Iterator[Candidate]:
    lines: dict[tuple[str, str], int] = {}
    for line, cells in rows:
        if len(cells) != len(names):
            raise RowError(
                f"{source}:{line}: has {len(cells)} values, and there are {len(names)} columns; "
                "separate empty ones too, and quote what holds a separator"
            )
        machine = from_row(dict(zip(names, cells, strict=True)), f"{source}:{line}")
        for field, value in (("name", machine.name), ("node", machine.kubernetes_node), ("mac", machine.mac)):
            if value and (before := lines.setdefault((field, value), line)) != line:
                raise RowError(f"{source}:{line}: {field} {value} stands in line {before} already; give each its own")
        yield machine


# --- what is printed ------------------------------------------------------------------------------


def render(found: Enrolment) -> str:
    """Everything as one stream of YAML documents."""
    documents = [text for group in found.groups for text in _group(group, found)]
    return HEADER + "---\n" + "---\n".join(documents) if documents else HEADER


def _group(group: Group, found: Enrolment) -> Iterator[str]:
    shared = shared_profile(group)
    if shared is None:
        documents = [_machine(machine, group, found) for machine in group.machines]
    else:
        documents = [_short(each, group, found, shared) for each in group.machines]
        if group.profiled:
            documents[0] = _comment(f"PowerProfile {group.name} is there already, and left as it is.") + documents[0]
        else:
            documents.insert(0, _profile(group, shared, found))
    count = f"{len(group.machines)} machine{'s' * (len(group.machines) != 1)}"
    shapes = ", ".join(dict.fromkeys(summary(machine) for machine in group.machines))
    if group.exists:
        first, *rest = documents
        note = _comment(f"Group {group.name} is there already, and left as it is; {count} more: {shapes}.")
        yield from (note + first, *rest)
        return
    yield "".join(
        (
            _comment(f"{count}: {shapes}."),
            _head("Group", group.name, found.namespace),
            "spec:\n",
            _comment("Machines that are kept on; hexa wakes up to it. With 0 the whole group may rest.", 2),
            "  minSize: 0\n",
            _comment("From the wake to Ready at most; measure your slowest boot and double it.", 2),
            "  maxNodeProvisionTime: 15m\n",
            _comment("How long unneeded before Cluster Autoscaler gives a machine up.", 2),
            "  scaleDownUnneededTime: 10m\n",
        )
    )
    yield from documents


def _profile(group: Group, shared: Shared, found: Enrolment) -> str:
    """What the machines have in common; each of them has its name and its parameters only."""
    note = _comment("What its machines have in common. {machine} is the name of a Node, the others are its parameters.")
    return "".join((note, _head("PowerProfile", group.name, found.namespace), "spec:\n", _shared(shared)))


def _shared(shared: Shared) -> str:
    power = _indented(write_document({"power": {"wakeOnLan": {"macs": ["{mac}"]}}})) if shared.macs else ""
    todo = "Fill in how they are switched: docs/power.md. For example:"
    example = f'ipmi: {{address: "{{bmc}}", secretName: "{shared.secret}"}}  # or redfish'
    indent = 4 if power else 2
    lines = [example] if power else ["power:", f"  {example}"]
    return _template(shared.like) + power + _comment(todo, indent) + "".join(_comment(each, indent) for each in lines)


def _short(machine: Candidate, group: Group, found: Enrolment, shared: Shared) -> str:
    """A Node in a few lines."""
    name = f"  kubernetesNodeName: {_flow(machine.kubernetes_node)}\n"
    labels = f"{{{MEMBERSHIP_LABEL}: {_flow(group.name)}}}"
    metadata = f"{{name: {_flow(machine.name)}, namespace: {_flow(found.namespace)}, labels: {labels}}}"
    given = ", ".join(f"{key}: {_flow(value)}" for key, value in shared.parameters[machine.name].items())
    return (
        "".join(_comment(f"TODO {text}") for text in found.missing.get(machine.name, ()) if text != _FILL_IN)
        + f"apiVersion: {API_VERSION}\nkind: Node\nmetadata: {metadata}\nspec:\n"
        + (name if machine.kubernetes_node != machine.name else "")
        + f"  profile: {_flow(group.name)}\n  parameters: {{{given}}}\n"
    )


def _flow(text: str) -> str:
    """A text as it stands in one line of YAML."""
    return write_document({"is": text}).partition(": ")[2].strip()


def _head(kind: str, name: str, namespace: str, labels: dict[str, str] | None = None) -> str:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}
    return write_document({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata})


def _machine(machine: Candidate, group: Group, found: Enrolment) -> str:
    parts = [
        _comment(f"{machine.name}: {summary(machine)}{_wakes(machine)}."),
        *(_comment(f"TODO {text}") for text in found.missing.get(machine.name, ())),
        _head("Node", machine.name, found.namespace, {MEMBERSHIP_LABEL: group.name}),
        "spec:\n",
        _indented(write_document({"kubernetesNodeName": machine.kubernetes_node})),
        _template(machine),
        _power(machine),
    ]
    return "".join(parts)


def _wakes(machine: Candidate) -> str:
    card = machine.card
    if card is None or card.error or not card.mac:
        return ""
    return f"; {card.card} ({card.mac}) carries its address"


def _template(machine: Candidate) -> str:
    """Of a machine that is here hexa sees the shape itself, and keeps it."""
    if machine.here:
        return ""
    labels = {ARCH_LABEL: machine.arch, OS_LABEL: machine.os} if machine.arch else {}
    shape = {"capacity": dict(machine.capacity), "labels": labels}
    given = {key: value for key, value in shape.items() if value}
    todo = "Its shape while it is off, for Cluster Autoscaler; once it was up, hexa knows it without."
    if not machine.capacity:
        example = "template: {capacity: {cpu: 8, memory: 32Gi, pods: 110}}"
        return _comment(todo, 2) + (_indented(write_document({"template": given})) if given else _comment(example, 2))
    return _comment(todo, 2) + _indented(write_document({"template": given}))


def _power(machine: Candidate) -> str:
    """How it is woken; how it is switched off is left to be filled in."""
    mac, bmc = mac_of(machine), _bmc(machine)
    if not mac:
        drivers = bmc or ["wakeOnLan: {macs: [MAC-ADDRESS]}", _SSH]
        todo = "Fill in how the machine is switched, and what is in capitals: docs/power.md. For example:"
        return _comment(todo, 2) + _comment("power:", 2) + "".join(_comment(f"  {line}", 2) for line in drivers)
    return (
        _comment("Wakes it by a magic packet, which only the machines' own network segment carries.", 2)
        + _indented(write_document({"power": {"wakeOnLan": {"macs": [mac]}}}))
        + _comment("Until you fill in a driver that switches it off, hexa never does: docs/power.md. For example:", 4)
        + "".join(_comment(line, 4) for line in (_SSH, *bmc))
    )


def _bmc(machine: Candidate) -> list[str]:
    if machine.bmc is None:
        return []
    return [f"ipmi: {{address: {machine.bmc.address}, secretName: {machine.bmc.secret or 'SECRET'}}}  # or redfish"]


def _comment(text: str, indent: int = 0) -> str:
    return f"{' ' * indent}# {plain(text)}\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
