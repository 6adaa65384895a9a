"""In which phase each machine was, and when: from its status, and from Events where the status does not reach back far enough.

Both are kept by the API server, so a restart of the agent loses nothing. The status keeps the last `HISTORY_LENGTH` phases without
a gap; Events (which the API server forgets, after an hour unless told otherwise) only say what was before.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.domain.errors import Refused
from hexa.domain.machine.lifecycle import HISTORY_LENGTH, Phase
from hexa.domain.resources.core import EVENTS, KubeEvent
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node, NodeStatus
from hexa.domain.words.history import Stretch
from hexa.ports.kube import Kube, Selector

Moment = tuple[datetime, Phase]
"""When a machine came into a phase."""

_PHASES: Final[dict[str, Phase]] = {phase.value: phase for phase in Phase}


def history(
    snapshot: Snapshot,
    events: Iterable[KubeEvent],
    since: datetime,
    *,
    namespaces: Collection[str] | None = None,
) -> tuple[Stretch, ...]:
    """The phases of all machines (of these namespaces) from `since` on, machine by machine and the oldest first. What was before
    the first known phase is left out."""
    told, found = _told(events), list[Stretch]()
    for key in snapshot.machine_keys:
        node = snapshot.store.machines.objects.get(key)
        if node is not None and (namespaces is None or key.namespace in namespaces):
            found += _stretches(key, _moments(node, told.get(key, ()), snapshot.now), since)
    return tuple(found)


async def told_history(
    snapshot: Snapshot, kube: Kube, since: timedelta, *, namespaces: Collection[str] | None = None
) -> tuple[Stretch, ...]:
    """The same with the Events that it needs, which are read where a machine had more phases than its status keeps, and only
    there. Where hexa may not read them (its roles need not allow it), the status has to do. Raises `Unavailable`."""
    began, events = snapshot.now - since, list[KubeEvent]()
    for space in needs_events(snapshot, began):
        if namespaces is None or space in namespaces:
            events += await _events(kube, space)
    return history(snapshot, events, began, namespaces=namespaces)


async def _events(kube: Kube, namespace: str) -> list[KubeEvent]:
    try:
        listing = await kube.list(EVENTS, Selector(namespace, fields=f"involvedObject.kind={MACHINES.name}"))
    except Refused:
        return []
    return [event for event in listing.items if isinstance(event, KubeEvent)]


def needs_events(snapshot: Snapshot, since: datetime) -> frozenset[str]:
    """Namespaces of machines that had more phases since then than their status keeps."""
    machines = snapshot.store.machines.objects.items()
    return frozenset(key.namespace for key, node in machines if _cut(node.status, since))


def _cut(status: NodeStatus, since: datetime) -> bool:
    return len(status.history) >= HISTORY_LENGTH and min(entry.at for entry in status.history) > since


def _told(events: Iterable[KubeEvent]) -> dict[Lookup, list[tuple[str, Moment]]]:
    """What Events say of phases, by machine, each with the uid that it was told of."""
    found = defaultdict[Lookup, list[tuple[str, Moment]]](list)
    for event in events:
        about, at, phase = event.involved_object, event.metadata.creation_timestamp, _PHASES.get(event.reason)
        if at is not None and phase is not None and about.kind == MACHINES.name and about.api_version == _VERSION:
            found[Lookup(about.namespace, about.name)].append((about.uid, (at, phase)))
    return found


_VERSION: Final = MACHINES.api_version


def _moments(node: Node, told: Iterable[tuple[str, Moment]], now: datetime) -> list[Moment]:
    """When the machine came into each phase, in order; none is later than now, also where a clock was set."""
    status, uid = node.status, node.metadata.uid
    kept = [(entry.at, _PHASES.get(entry.action, Phase.UNKNOWN)) for entry in status.history]
    if status.since is not None and status.phase:
        present = (status.since, _PHASES.get(status.phase, Phase.UNKNOWN))
        kept = [moment for moment in kept if moment[0] <= status.since and moment != present] + [present]
    first = min((at for at, _ in kept), default=now)
    before = [moment for of, moment in told if of in ("", uid) and moment[0] < first]
    return sorted(((min(at, now), phase) for at, phase in (*before, *kept)), key=lambda moment: moment[0])


def _stretches(key: Lookup, moments: list[Moment], since: datetime) -> Iterator[Stretch]:
    """One for each phase that lasted; what follows in the same phase goes on."""
    changes = [moment for index, moment in enumerate(moments) if index == 0 or moments[index - 1][1] != moment[1]]
    ends = [*(at for at, _ in changes[1:]), None]
    for (at, phase), end in zip(changes, ends, strict=False):
        start = max(at, since)
        if end is None or end > start:
            yield Stretch(namespace=key.namespace, name=key.name, start=start, end=end, phase=str(phase))
