"""In which phase each machine was, and when: from its status, and where that does not reach back far enough from what the agent
remembers since its start, and before that from Events.

Status and Events are kept by the API server, so a restart of the agent loses next to nothing. The status keeps the last
`HISTORY_LENGTH` phases without a gap; Events the API server forgets, after an hour unless told otherwise.
"""

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.domain.errors import Refused
from hexa.domain.machine.lifecycle import HISTORY_LENGTH, Phase
from hexa.domain.news import About, News
from hexa.domain.resources.core import EVENTS, KubeEvent
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node
from hexa.domain.words.history import Stretch
from hexa.ports.kube import Kube, Selector

Moment = tuple[datetime, Phase]
"""When a machine came into a phase."""

Past = Mapping[Lookup, Sequence[tuple[str, Moment]]]
"""Moments of machines, the oldest first, each with the uid that it was told of."""

Read = Callable[[str], Awaitable[Sequence[KubeEvent]]]
"""Events of a namespace."""

NOTHING: Final[Past] = {}
MOST_STEPS: Final = 400
"""Phases of a machine that are remembered: more in a day are not drawn."""
MOST_MACHINES: Final = 5_000

_PHASES: Final[dict[str, Phase]] = {phase.value: phase for phase in Phase}


class Remembered:
    """A subscriber of the news, which remembers what phases machines came into."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.past: Final[dict[Lookup, deque[tuple[str, Moment]]]] = {}

    def told(self, news: News) -> None:
        """Remember a step in a machine's life."""
        if news.change is None or news.about is not About.NODE:
            return
        steps = self.past.pop(news.of, None) or deque(maxlen=MOST_STEPS)
        steps.append((news.uid, (self._now(), _PHASES.get(news.change.phase, Phase.UNKNOWN))))
        self.past[news.of] = steps  # who changed last stands last
        if len(self.past) > MOST_MACHINES:
            del self.past[next(iter(self.past))]


def history(
    snapshot: Snapshot,
    events: Iterable[KubeEvent],
    since: datetime,
    *,
    namespaces: Collection[str] | None = None,
    past: Past = NOTHING,
) -> tuple[Stretch, ...]:
    """The phases of all machines (of these namespaces) from `since` on, machine by machine and the oldest first. What was before
    the first known phase is left out. `past`: what the agent remembers."""
    told, found = _told(events), list[Stretch]()
    for key in snapshot.machine_keys:
        node = snapshot.store.machines.objects.get(key)
        if node is not None and (namespaces is None or key.namespace in namespaces):
            moments = _moments(node, (past.get(key, ()), told.get(key, ())), snapshot.now)
            found += _stretches(key, moments, since)
    return tuple(found)


async def told_history(
    snapshot: Snapshot,
    kube: Kube,
    since: timedelta,
    *,
    namespaces: Collection[str] | None = None,
    past: Past = NOTHING,
    read: Read | None = None,
) -> tuple[Stretch, ...]:
    """The same with the Events that it needs, which are read where a machine had more phases than status and agent know, and only
    there. Where hexa may not read them (its roles need not allow it), the status has to do. `read`: by another way than one that
    asks `kube` each time. Raises `Unavailable`."""
    began, events, read = snapshot.now - since, list[KubeEvent](), read or partial(events_of, kube)
    for space in needs_events(snapshot, began, past=past):
        if namespaces is None or space in namespaces:
            events += await read(space)
    return history(snapshot, events, began, namespaces=namespaces, past=past)


async def events_of(kube: Kube, namespace: str) -> Sequence[KubeEvent]:
    """Events of the namespace's machines that tell of phases; none where hexa may not read them. Raises `Unavailable`."""
    try:
        listing = await kube.list(EVENTS, Selector(namespace, fields=f"involvedObject.kind={MACHINES.name}"))
    except Refused:
        return []
    return [event for event in listing.items if isinstance(event, KubeEvent) and event.reason in _PHASES]


def needs_events(snapshot: Snapshot, since: datetime, *, past: Past = NOTHING) -> frozenset[str]:
    """Namespaces of machines that had more phases since then than their status keeps and the agent remembers."""
    machines = snapshot.store.machines.objects.items()
    return frozenset(key.namespace for key, node in machines if _cut(node, past.get(key, ()), since))


def _cut(node: Node, past: Iterable[tuple[str, Moment]], since: datetime) -> bool:
    kept = node.status.history
    remembered = any(_of(node, uid) and at <= since for uid, (at, _) in past)
    return len(kept) >= HISTORY_LENGTH and min(entry.at for entry in kept) > since and not remembered


def _of(node: Node, uid: str) -> bool:
    return uid in ("", node.metadata.uid)


def _told(events: Iterable[KubeEvent]) -> Past:
    """What Events say of phases."""
    found = defaultdict[Lookup, list[tuple[str, Moment]]](list)
    for event in events:
        about, at, phase = event.involved_object, event.metadata.creation_timestamp, _PHASES.get(event.reason)
        if at is not None and phase is not None and about.kind == MACHINES.name and about.api_version == _VERSION:
            found[Lookup(about.namespace, about.name)].append((about.uid, (at, phase)))
    return found


_VERSION: Final = MACHINES.api_version


def _moments(node: Node, before: Iterable[Iterable[tuple[str, Moment]]], now: datetime) -> list[Moment]:
    """When the machine came into each phase, in order; none is later than now, also where a clock was set. Of each of `before`
    counts what is older than all that is known better."""
    status = node.status
    known = [(entry.at, _PHASES.get(entry.action, Phase.UNKNOWN)) for entry in status.history]
    if status.since is not None and status.phase:
        present = (status.since, _PHASES.get(status.phase, Phase.UNKNOWN))
        known = [moment for moment in known if moment[0] <= status.since and moment != present] + [present]
    for told in before:
        first = min((at for at, _ in known), default=now)
        known += [moment for uid, moment in told if _of(node, uid) and moment[0] < first]
    return sorted(((min(at, now), phase) for at, phase in known), key=lambda moment: moment[0])


def _stretches(key: Lookup, moments: list[Moment], since: datetime) -> Iterator[Stretch]:
    """One for each phase that lasted; what follows in the same phase goes on."""
    changes = [moment for index, moment in enumerate(moments) if index == 0 or moments[index - 1][1] != moment[1]]
    ends = [*(at for at, _ in changes[1:]), None]
    for (at, phase), end in zip(changes, ends, strict=False):
        start = max(at, since)
        if end is None or end > start:
            yield Stretch(namespace=key.namespace, name=key.name, start=start, end=end, phase=str(phase))
