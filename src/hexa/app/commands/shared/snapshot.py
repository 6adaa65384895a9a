"""What the commands for people look at: the agent's own snapshot and views, filled once by `list`.

It needs no running agent. What a person may not read of the rest of the cluster is left out and noted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import trio
from msgspec import Struct, structs

from hexa.app.commands.shared.agents import agents, unwatched
from hexa.app.store import Source, Store
from hexa.app.views.views import Views
from hexa.app.working import BOUND
from hexa.domain.errors import HexaError, NotFound, Refused
from hexa.domain.group_view import GroupView
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.wish import paused
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.battery import OnBattery
from hexa.domain.policy.conventions import UNREAD
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import NODES, PODS, Kind
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup
from hexa.domain.rules import battery
from hexa.domain.rules.safe_hands import told
from hexa.domain.spelling import suggestion
from hexa.domain.words.known import Known, image_known, unread
from hexa.ports.clock import Clock
from hexa.ports.kube import EVERYTHING, Kube

OURS: Final[tuple[Kind[Any], ...]] = (GROUPS, MACHINES)
"""What no command can do without."""
ALWAYS: Final = datetime(1, 1, 1, tzinfo=UTC)
"""An agent is taken to have watched all the time: that is what deadlines are told by."""


class NotThere(NotFound):
    """A name that no object has; the message says which was probably meant."""


class Picked(Struct, frozen=True, kw_only=True):
    """Machines and groups that somebody named."""

    machines: tuple[Lookup, ...] = ()
    groups: tuple[Lookup, ...] = ()


class Snapshot:
    """Everything at one moment."""

    def __init__(
        self, store: Store, views: Views, *, now: datetime, notes: Iterable[str], elsewhere: Iterable[Lookup] = ()
    ) -> None:
        self.store, self.views, self.now = store, views, now
        self._elsewhere: Final = frozenset(elsewhere)
        self.notes: Final = tuple(notes)
        """What could not be read, and what that means."""
        self.unwatched: Mapping[str, str] = {}
        """Namespaces that no hexa watches, each with those that are watched."""

    def group(self, key: Lookup) -> GroupView | None:
        """The group with the status that it has now: a view is kept while nothing but that changes. None: none decodes."""
        view, stored = self.views.group(key), self.store.groups.objects.get(key)
        return view if view is None or stored is None else structs.replace(view, group=stored)

    def unseen(self, namespace: str) -> list[Problem]:
        """That no agent looks at objects of the namespace, where that is known."""
        seen = self.unwatched.get(namespace)
        if seen is None:
            return []
        remedy = "add the namespace to HEXA_NAMESPACES (hexa manifests --machines), or move it"
        return [
            Problem("metadata.namespace", f"hexa watches {seen} only", remedy, severity="warning", reason="Unwatched")
        ]

    def known(self, view: MachineView) -> Known:
        """A machine with all that explaining it needs."""
        group = view.group.key if view.group is not None else None
        blamed = view.group.problems if view.group is not None and not view.group.valid else ()
        return Known(
            key=view.key,
            node=view.node,
            group=group,
            policy=view.policy,
            limits=view.limits,
            member=view.member(self.now),
            others=self.views.judged(group, self.now) if group is not None else (),
            acted=view.acted_wish(self.now),
            problems=(*self.unseen(view.key.namespace), *view.problems, *blamed, *unread(view.node)),
            valid=view.valid,
            facts=self._facts(view),
            kube=view.kube,
        )

    def _facts(self, view: MachineView) -> Facts:
        reading = view.node.status.reading
        return Facts(
            now=self.now,
            watching_since=ALWAYS,
            wish=view.acted_wish(self.now),
            node_exists=view.kube is not None,
            node_ready=view.node_ready,
            reading=reading if reading.at is not None else None,
            force=view.policy.drain.force,
            paused=paused(view.node, now=self.now) is not None,
            may_wake=view.may_wake(self.now),
        )

    @property
    def machine_keys(self) -> list[Lookup]:
        """All machines, also those that do not decode."""
        cache = self.store.machines
        return sorted({*cache.objects, *cache.malformed}, key=str)

    @property
    def group_keys(self) -> list[Lookup]:
        """All groups, also those that do not decode."""
        cache = self.store.groups
        return sorted({*cache.objects, *cache.malformed}, key=str)

    def pick(self, name: str, *, namespace: str | None, machines: bool = True, groups: bool = True) -> "Picked":
        """What a person named NAME or NAMESPACE/NAME: a machine, a group, or one of each. Raises `NotThere`."""
        what = "machine or group" if machines and groups else "machine" if machines else "group"
        known = [*(self.machine_keys if machines else ()), *(self.group_keys if groups else ())]
        key = find(name, known, namespace=namespace, what=what, elsewhere=self._elsewhere)
        return Picked(
            machines=(key,) if machines and key in self.machine_keys else (),
            groups=(key,) if groups and key in self.group_keys else (),
        )

    @property
    def agent_seen(self) -> bool:
        """Whether a pod that is labelled as hexa runs."""
        pods = (pod for cache in self.store.control_pods for pod in cache.objects.values())
        names = ({pod.metadata.labels.get("app.kubernetes.io/name"), pod.metadata.labels.get("app")} for pod in pods)
        return any("hexa" in each for each in names)


async def take(kube: Kube, *, clock: Clock, namespace: str | None, names: Iterable[str] = ()) -> Snapshot:
    """Read the resources of the namespace (None: of all), and of the cluster what they are judged by. Where one of the `names`
    is not in the namespace, other namespaces are looked through, to say where it is."""
    store = Store(clock=clock, namespaces=(namespace,) if namespace is not None else (), conventions=UNREAD)
    views, notes = Views(store), dict[str, None]()

    async def fill(source: Source) -> None:
        try:
            listing = await kube.list(source.kind, source.selector)
        except Refused as error:
            if source.kind in OURS:
                raise
            notes[unread_note(source.kind, error)] = None
        else:
            source.feed.replace(listing.items, scope=source.selector.namespace)

    async with trio.open_nursery() as nursery:
        for source in looked_at(store):
            nursery.start_soon(fill, source)
    await _fill_profiles(kube, store, notes)
    await _fill_working(kube, store, views, notes)
    judge_site(store, views)
    views.on_battery = partial(on_battery, store, clock)
    there = {key.name for cache in (store.groups, store.machines) for key in (*cache.objects, *cache.malformed)}
    missing = {name for name in names if "/" not in name} - there
    elsewhere = await _everywhere(kube, missing) if missing and namespace is not None else ()
    snapshot = Snapshot(store, views, now=clock.now(), notes=notes, elsewhere=elsewhere)
    with suppress(Refused):
        spaces = {key.namespace for key in (*snapshot.machine_keys, *snapshot.group_keys)}
        snapshot.unwatched = unwatched(await agents(kube), spaces)
    return snapshot


def looked_at(store: Store) -> Iterator[Source]:
    """What commands read: all but Jobs."""
    return (source for source in store.sources() if source.feed is not store.jobs)


async def _fill_profiles(kube: Kube, store: Store, notes: dict[str, None]) -> None:
    """PowerProfiles, where a machine names one. What can't be read of them is noted."""
    for source in store.optional_sources() if store.profiles.wanted.is_set() else ():
        if source.feed is store.profiles:
            scope = source.selector.namespace
            store.profiles.expect(scope)
            try:
                store.profiles.replace((await kube.list(source.kind, source.selector)).items, scope=scope)
                store.profiles.sees(scope)
            except HexaError as error:
                store.profiles.lost(scope, error)
                notes[f"what PowerProfiles say is not known: {error}"] = None


async def _fill_working(kube: Kube, store: Store, views: Views, notes: dict[str, None]) -> None:
    """Which machines run pods, where a group keeps idle ones on. While that is not known each of them counts as idle."""
    if not any(group.policy.spares is not None for group in views.groups()):
        return
    try:
        store.working.replace((await kube.list(PODS, BOUND)).items, scope=None)
    except HexaError as error:
        notes[idle_note(error)] = None
    else:
        store.working.sees(None)


def idle_note(error: HexaError) -> str:
    """What it means that nobody knows which machines run pods, for people."""
    return f"which machines are idle is not known, so another one may be the spare: {error}"


def judge_site(store: Store, views: Views) -> None:
    """What the agent has told of the whole site in statuses counts for the views too."""
    if views.image_known != (known := image_known(store.machines.objects.values())):
        views.image_known = known
    if views.safe_hands != (stands := told(store.groups.objects.values())):
        views.safe_hands = stands


def on_battery(store: Store, clock: Clock, key: Lookup) -> OnBattery | None:
    """What a UPS means for a group, as the agent has told it in its status."""
    group = store.groups.objects.get(key)
    return battery.told(group, now=clock.now()) if group is not None else None


async def _everywhere(kube: Kube, names: Collection[str]) -> list[Lookup]:
    """Machines and groups of these names in any namespace; none where the person may not look."""
    found: list[Lookup] = []
    kinds: tuple[Kind[Any], ...] = (MACHINES, GROUPS)
    with suppress(Refused):
        for kind in kinds:
            items = (await kube.list(kind, EVERYTHING)).items
            found += [Lookup(each.metadata.namespace, each.metadata.name) for each in items]
    return [key for key in found if key.name in names]


def unread_note(kind: Kind[Any], error: HexaError) -> str:
    """What it means that a kind may not be read, for people."""
    without = "what hexa depends on" if kind is not NODES else "whether machines joined"
    return f"{without} is not known: {error}"


def find(
    name: str, known: Iterable[Lookup], *, namespace: str | None, what: str, elsewhere: Iterable[Lookup] = ()
) -> Lookup:
    """The object that a person named NAME or NAMESPACE/NAME. Raises `NotThere`."""
    keys = sorted(set(known), key=str)
    space, slash, short = name.rpartition("/")
    space = space if slash else namespace or ""
    found = [key for key in keys if key.name == short and key.namespace == (space or key.namespace)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotThere(f"{name}: {what}s of that name are {', '.join(map(str, found))}; write one of these")
    others = sorted({key.namespace for key in elsewhere if key.name == name})
    if others:
        there = (
            f"namespace {others[0]} has one" if len(others) == 1 else f"namespaces {', '.join(others)} have one each"
        )
        raise NotThere(f"{name}: there is no {what} of that name in namespace {space}; {there}: -n {others[0]}")
    near = suggestion(name if slash else short, [str(key) if slash else key.name for key in keys])
    hint = f"; did you mean {near}?" if near else ""
    raise NotThere(f"{name}: there is no {what} of that name{f' in namespace {space}' if space else ''}{hint}")
