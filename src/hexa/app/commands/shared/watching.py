"""A snapshot that is kept, for commands that stay: what `take` reads once is followed by watches, and written nowhere.

It needs the rights of `take`. Where a kind may be listed and not watched, it is listed every few seconds. An API server that goes
away is waited for.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio

from hexa.app.cache import same_but_for_version, same_version
from hexa.app.commands.shared.agents import agents, unwatched
from hexa.app.commands.shared.snapshot import (
    OURS,
    Snapshot,
    idle_note,
    judge_site,
    looked_at,
    on_battery,
    unread_note,
)
from hexa.app.store import SHORT_WATCH, Source, Store
from hexa.app.views.views import Views
from hexa.domain.errors import Expired, HexaError, Refused
from hexa.domain.policy.conventions import UNREAD
from hexa.domain.resources.cluster import DetailedPod
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube

FIRST_RETRY: Final = 0.5
LONGEST_RETRY: Final = 5.0
"""Seconds. A person looks on."""
LISTED_EVERY: Final = 5.0
"""Seconds between lists of what may not be watched."""


class LiveSnapshot:
    """The resources of the namespace (None: of all), and of the cluster what they are judged by."""

    def __init__(self, kube: Kube, *, clock: Clock, namespace: str | None) -> None:
        self._kube, self._clock = kube, clock
        self._store = Store(clock=clock, namespaces=(namespace,) if namespace is not None else (), conventions=UNREAD)
        self._views = Views(self._store)
        self._views.on_battery = partial(on_battery, self._store, clock)
        self._notes: dict[str, None] = {}
        self._agents: list[DetailedPod] = []
        self._away: dict[int, str] = {}
        self._changed = trio.Event()
        for source in (*looked_at(self._store), *self._profiles()):
            source.feed.subscribe(self._note_change)
        self._store.working.subscribe(lambda _: self._changed.set())

    @property
    def trouble(self) -> str:
        """Why what is shown may be old; empty: it is not."""
        return next(iter(self._away.values()), "")

    def snapshot(self) -> Snapshot:
        """Everything as it is known now."""
        judge_site(self._store, self._views)
        taken = Snapshot(self._store, self._views, now=self._clock.now(), notes=self._notes)
        spaces = {key.namespace for key in (*taken.machine_keys, *taken.group_keys)}
        taken.unwatched = unwatched(self._agents, spaces)
        return taken

    async def changed(self) -> None:
        """Return once something else is known than at the last call, or `trouble` is another."""
        await self._changed.wait()
        self._changed = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow until cancelled; started once every first list is in. Raises what one of those raises, but for what is left out
        and noted."""
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as first:
                for index, source in enumerate(looked_at(self._store)):
                    first.start_soon(nursery.start, partial(self._follow, index, source))
            profiles = list(self._profiles())
            for index, source in enumerate(profiles):
                nursery.start_soon(self._follow_profiles, -1 - index, source)
            nursery.start_soon(self._follow_working, -1 - len(profiles))
            await self._store.profiles.settle()
            with suppress(Refused):
                self._agents = await agents(self._kube)
            task_status.started()

    async def _follow(self, index: int, source: Source, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            version = await self._store.list_into(self._kube, source)
        except Refused as error:
            if source.kind in OURS:
                raise
            self._notes[unread_note(source.kind, error)] = None
            task_status.started()
            return
        task_status.started()
        await self._keep(index, source, version)

    async def _follow_profiles(self, index: int, source: Source) -> None:
        """PowerProfiles, once a machine names one."""
        profiles, scope = self._store.profiles, source.selector.namespace
        profiles.expect(scope)
        await profiles.wanted.wait()
        try:
            version = await self._store.list_into(self._kube, source)
        except HexaError as error:
            profiles.lost(scope, error)
            self._notes[f"what PowerProfiles say is not known: {error}"] = None
            return
        profiles.sees(scope)
        await self._keep(index, source, version)

    async def _follow_working(self, index: int) -> None:
        """Which machines run pods, once a group keeps idle ones on."""
        working = self._store.working
        await working.wanted.wait()
        source = next(each for each in self._store.optional_sources() if each.feed is working)
        try:
            version = await self._store.list_into(self._kube, source)
        except HexaError as error:
            self._notes[idle_note(error)] = None
            return
        working.sees(None)
        await self._keep(index, source, version)

    async def _keep(self, index: int, source: Source, version: str) -> None:
        failures = 0
        while True:
            try:
                if not version:
                    version = await self._store.list_into(self._kube, source)
                    self._sees(index)
                    failures = 0
                version = await self._watch(source, version)
            except HexaError as error:
                self._goes_blind(index, error)
                await trio.sleep(min(FIRST_RETRY * 2.0 ** min(failures, 10), LONGEST_RETRY))
                failures += 1

    async def _watch(self, source: Source, version: str) -> str:
        """Follow changes for as long as the server lets a watch last; the version to go on from, empty: list again."""
        begun = trio.current_time()
        try:
            version = await self._store.watch_into(self._kube, source, version)
        except Expired:
            return ""
        except HexaError as error:  # whether the API server is away, the list tells
            await trio.sleep(LISTED_EVERY if isinstance(error, Refused) else SHORT_WATCH)
            return ""
        if trio.current_time() < begun + SHORT_WATCH:
            await trio.sleep(SHORT_WATCH)
        return version

    def _sees(self, index: int) -> None:
        if self._away.pop(index, None) is not None and not self._away:
            self._changed.set()

    def _goes_blind(self, index: int, error: HexaError) -> None:
        if not self._away:
            self._changed.set()
        self._away.setdefault(index, str(error))

    def _profiles(self) -> Iterator[Source]:
        return (source for source in self._store.optional_sources() if source.feed is self._store.profiles)

    def _note_change(self, _key: Any, old: Any, new: Any) -> None:
        beat = old is not None and new is not None and same_but_for_version(old, new) and not same_version(old, new)
        if not beat:  # what does not decode is told as None; a machine whose profile has changed, as it was
            self._changed.set()
