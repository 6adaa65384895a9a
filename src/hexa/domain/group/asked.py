"""Requests: what was asked of several machines of a group in one write on the Group, until each machine's own wish says so.

One write is stored or not, however slow the API server is. An entry stands while what is wanted of its machine is what was wanted
when it was asked: any newer wish ends it, and so does its own once it is stored there. Texts are compared, never clocks.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from hexa.domain.group.sizing import Member
from hexa.domain.machine.marks import leaving, released
from hexa.domain.machine.wish import recorded_wish, spec_power, wish_patch
from hexa.domain.names import WISH_ANNOTATION
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node, Power, Request, WishRecord

Requests = tuple[Request, ...]


def wanted_then(node: Node) -> str:
    """A short hash of everything that says what is wanted of the machine."""
    text = f"{spec_power(node)} {node.metadata.annotations.get(WISH_ANNOTATION, '')}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def request_of(wish: WishRecord, nodes: Iterable[Node]) -> Request:
    """The same wish, asked of several machines."""
    machines = {node.metadata.name: wanted_then(node) for node in nodes}
    return Request(
        power=wish.power,
        by=wish.by,
        reason=wish.reason,
        since=wish.since,
        replaces=wish.replaces,
        machines=machines,
    )


def stands(request: Request, node: Node) -> bool:
    """Whether the machine was asked, and nothing else was wanted of it since."""
    then = request.machines.get(node.metadata.name)
    return then is not None and then == wanted_then(node)


def asked(group: Group | None, node: Node) -> WishRecord | None:
    """What the group's requests ask of the machine beyond what its own wish says."""
    if group is None or not group.status.requests or released(group.metadata) or leaving(node):
        return None
    found = next((request for request in reversed(group.status.requests) if stands(request, node)), None)
    return _wish(found) if found is not None else None


def asked_of(*groups: Group) -> tuple[Lookup, ...]:
    """Machines that any of these states of a group asks something of, in the order of the requests."""
    names = dict.fromkeys(name for group in groups for request in group.status.requests for name in request.machines)
    return tuple(Lookup(group.metadata.namespace, name) for group in groups[:1] for name in names)


def as_asked(node: Node, wish: WishRecord) -> Node:
    """The machine as it will be once the wish is stored on it."""
    body: dict[str, Any] = wish_patch(node, wish)
    annotations = {**node.metadata.annotations, **body["metadata"]["annotations"]}
    changed = structs.replace(node, metadata=structs.replace(node.metadata, annotations=annotations))
    power = body.get("spec", {}).get("powerState")
    return changed if power is None else structs.replace(changed, spec=structs.replace(node.spec, power_state=power))


def with_request(requests: Requests, new: Request) -> Requests:
    """The requests and a new one, which outranks the older ones about its machines."""
    kept = (_without(request, new.machines) for request in requests)
    return (*(request for request in kept if request.machines), new)


def open_requests(requests: Requests, nodes: Mapping[str, Node]) -> Requests:
    """What is left to be stored on machines. `nodes`: the group's machines by name, as they are stored."""
    kept = (_without(request, _ended(request, nodes)) for request in requests)
    return tuple(request for request in kept if request.machines)


def lost(requests: Requests, nodes: Mapping[str, Node], members: Mapping[str, Member]) -> list[tuple[Request, str]]:
    """Machines that were asked to come and that cannot be had for it: gone, wanted otherwise since, or forbidden to wake. Another
    machine takes the place of each. `members`: the same machines as they are judged."""
    wakes = (request for request in requests if request.power is Power.ON)
    return [(each, name) for each in wakes for name in each.machines if _cannot_be_had(each, nodes.get(name), members)]


def exchanged(requests: Requests, swaps: Sequence[tuple[Request, str, Node]]) -> Requests:
    """The requests, with other machines asked in place of some: (whose request, which machine, who instead)."""
    return tuple(
        _exchanged(each, {name: other for request, name, other in swaps if request is each}) for each in requests
    )


def _exchanged(request: Request, others: Mapping[str, Node]) -> Request:
    new = {other.metadata.name: wanted_then(other) for other in others.values()}
    left = _without(request, others)
    return structs.replace(left, machines={**left.machines, **new}) if new else request


def _cannot_be_had(request: Request, node: Node | None, members: Mapping[str, Member]) -> bool:
    member = members.get(node.metadata.name) if node is not None else None
    if node is None or member is None:
        return True
    if not stands(request, node):
        return not _stored(request, node)
    return bool(member.on_vetoes) or not member.valid


def _stored(request: Request, node: Node) -> bool:
    """Whether the machine's own wish is the request's."""
    wish = recorded_wish(node)
    return wish is not None and structs.replace(wish, spec="") == _wish(request)


def _ended(request: Request, nodes: Mapping[str, Node]) -> list[str]:
    return [name for name in request.machines if (node := nodes.get(name)) is None or not stands(request, node)]


def _without(request: Request, names: Iterable[str]) -> Request:
    gone = set(names)
    left = {name: then for name, then in request.machines.items() if name not in gone}
    return request if len(left) == len(request.machines) else structs.replace(request, machines=left)


def _wish(request: Request) -> WishRecord:
    power, by, since = request.power, request.by, request.since
    return WishRecord(power=power, by=by, reason=request.reason, since=since, replaces=request.replaces)
