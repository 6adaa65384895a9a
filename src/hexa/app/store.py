"""The snapshot: what the API server holds, fed by watches, with our own writes visible at once.

It caches and tells who changed; it decides nothing. Blindness is known here: while any watch cannot be held, nothing in the
snapshot proves that something is gone.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import trio
from msgspec import Struct

from hexa.app.cache import Cache, OptionalCache, _key, same_but_for_energy, same_but_for_version, version_of
from hexa.app.fence import Fence
from hexa.app.news import Newsroom
from hexa.app.profiles import MachineCache, ProfileCache
from hexa.app.references import about_kind
from hexa.app.working import BOUND, WorkingPods
from hexa.domain.errors import Expired, HexaError, Refused
from hexa.domain.names import CHECK_LABEL
from hexa.domain.news import News, Work, failure
from hexa.domain.policy.conventions import DEFAULTS, SAYS_SO, Conventions, PodSelector, label_selectors
from hexa.domain.resources.core import CRON_JOBS, JOBS, NODES, PODS, CronJob, Job, Kind, KubeNode, Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES, Group, Lookup
from hexa.ports.clock import Clock
from hexa.ports.kube import ChangeType, Kube, Selector

FIRST_RETRY: Final = 0.2
LONGEST_RETRY: Final = 30.0
FORBIDDEN_RETRY: Final = 120.0
"""Seconds until a watch that hexa may not hold, and can do without, is tried again."""
SHORT_WATCH: Final = 1.0
"""A watch that ends sooner than this, in seconds, and brought nothing, is not opened again without a pause for ever."""
SHORT_WATCHES: Final = 3
DOUBT_PAUSE: Final = 60.0
"""Seconds between two times that everything is listed afresh because the API server refused our writes."""
SPELLS_KEPT: Final = 100
PENDING: Final = Selector(fields="status.phase=Pending,spec.nodeName=")
"""Pods that wait for a place."""


class Source(Struct, frozen=True):
    """One watch: a kind, a part of the cluster, and the cache that it feeds."""

    kind: Kind[Any]
    selector: Selector
    feed: Any
    """A `Cache`, or anything with its `put`, `drop`, `asks` and `replace`."""


def selectors_of(pods: Iterable[PodSelector]) -> tuple[Selector, ...]:
    """One for each list and watch that finds them all."""
    return tuple(Selector(namespace=namespace or None, labels=labels) for namespace, labels in label_selectors(pods))


class Store:
    """The caches, their watches, and whether we see."""

    def __init__(
        self,
        *,
        clock: Clock,
        namespaces: tuple[str, ...] = (),
        conventions: Conventions = DEFAULTS,
        seed: int = 0,
    ) -> None:
        self.clock = clock
        self.namespaces = namespaces
        self.conventions = conventions
        self.api_server_selectors = selectors_of(conventions.api_server_pods)
        self.control_selectors = (*selectors_of(conventions.control_pods), *self.api_server_selectors)
        self.storage_selectors = selectors_of((*conventions.storage_pods, SAYS_SO))
        self.fence = fence = Fence()
        """Contains what single objects raise."""
        self.groups: Cache[Group] = Cache(GROUPS, fence)
        self.profiles = ProfileCache(fence)
        """PowerProfiles, once a machine names one."""
        self.machines = MachineCache(fence, self.profiles)
        """With their profiles filled in."""
        self.nodes: Cache[KubeNode] = Cache(NODES, fence)
        self.jobs: Cache[Job] = Cache(JOBS, fence)
        self.checks: OptionalCache[CronJob] = OptionalCache(CRON_JOBS, fence)
        """CronJobs of health checks."""
        self.pending: OptionalCache[Pod] = OptionalCache(PODS, fence)
        """Pods that wait for a place, where a Group asks for them."""
        self.working: Final = WorkingPods()
        """Which Kubernetes nodes run pods that a drain would move."""
        self.control_pods: tuple[Cache[Pod], ...] = tuple(Cache(PODS, fence) for _ in self.control_selectors)
        self.storage_pods: tuple[Cache[Pod], ...] = tuple(Cache(PODS, fence) for _ in self.storage_selectors)
        self.version = 0
        self.synced = trio.Event()
        self._waiting: set[int] = set()
        self._blind: set[int] = set()
        self._sight_since: datetime | None = None
        self._blind_from: datetime | None = None
        self._blind_spells: list[tuple[datetime, datetime]] = []
        self._watching: dict[int, trio.CancelScope] = {}
        self._doubted = -math.inf
        self._random = Random(seed)
        self._on_sight: list[Callable[[], None]] = []
        caches: tuple[Cache[Any], ...] = (self.groups, self.machines, self.nodes, *self.guarding_pods)
        for cache in caches:
            cache.subscribe(self._changed)

    @property
    def api_server_caches(self) -> tuple[Cache[Pod], ...]:
        """Those of `control_pods` that are API servers: one of several is not needed."""
        return self.control_pods[len(self.control_pods) - len(self.api_server_selectors) :]

    @property
    def guarding_pods(self) -> tuple[Cache[Pod], ...]:
        """Pods that keep the machine on which they run from being rested."""
        return (*self.control_pods, *self.storage_pods)

    def touch(self) -> None:
        """An answer may have changed."""
        self.version += 1

    def _changed(self, _key: Lookup, old: Any, new: Any) -> None:
        odd = old is None and new is None  # one that does not decode came, went or is written otherwise
        if odd or (not same_but_for_version(old, new) and not same_but_for_energy(old, new)):
            self.touch()

    def on_sight(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever we see again after a time of blindness: whoever waited for sight goes on."""
        self._on_sight.append(notify)

    def sources(self) -> Iterator[Source]:
        """Every watch that the store needs."""
        yield Source(NODES, Selector(), self.nodes)
        for selector, cache in zip(self.control_selectors, self.control_pods, strict=True):
            yield Source(PODS, selector, cache)
        for selector, cache in zip(self.storage_selectors, self.storage_pods, strict=True):
            yield Source(PODS, selector, cache)
        for namespace in self.namespaces or (None,):
            yield Source(GROUPS, Selector(namespace=namespace), self.groups)
            yield Source(MACHINES, Selector(namespace=namespace), self.machines)
            yield Source(JOBS, Selector(namespace=namespace, labels="infra.homecluster.dev/machine"), self.jobs)

    def optional_sources(self) -> Iterator[Source]:
        """The watches that hexa can do without."""
        for namespace in self.namespaces or (None,):
            yield Source(CRON_JOBS, Selector(namespace=namespace, labels=CHECK_LABEL), self.checks)
            yield Source(PROFILES, Selector(namespace=namespace), self.profiles)
        yield Source(PODS, PENDING, self.pending)
        yield Source(PODS, BOUND, self.working)

    @property
    def watching_since(self) -> datetime | None:
        """Since when every watch has been held without a gap; None: blind."""
        return self._sight_since

    def blind_seconds(self, since: datetime) -> float:
        """How much of the time since then we were blind."""
        spells = [*self._blind_spells, *([(self._blind_from, self.clock.now())] if self._blind_from else [])]
        return sum(max(0.0, (end - max(start, since)).total_seconds()) for start, end in spells)

    def blind_spells(self, since: datetime) -> int:
        """How often sight was lost since then."""
        return sum(start >= since for start, _ in self._blind_spells)

    async def run(
        self,
        kube: Kube,
        extra: tuple[Source, ...] = (),
        *,
        news: Newsroom,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Hold every watch until cancelled; started once every first list is in. Raises `Refused` if one of those is."""
        sources = (*self.sources(), *extra)
        self._waiting = set(range(len(sources)))
        async with trio.open_nursery() as nursery:
            for index, source in enumerate(sources):
                nursery.start_soon(self._follow, kube, index, source, news)
            for optional in self.optional_sources():
                nursery.start_soon(self._follow_optional, kube, optional, optional.feed, news)
            await self.synced.wait()
            await self.profiles.settle()
            task_status.started()

    async def _follow(self, kube: Kube, index: int, source: Source, news: Newsroom) -> None:
        failures, version, short, begun = 0, "", 0, trio.current_time()
        while True:
            try:
                if not version:  # at first, when it has expired, and after any failure: a fresh list proves sight
                    version = await self.list_into(kube, source)
                    self._sees(index)
                    failures = 0
                before, begun = version, trio.current_time()
                with trio.CancelScope() as self._watching[index]:
                    version = await self.watch_into(kube, source, version)
                if self._watching[index].cancelled_caught:
                    version = ""
                    continue
                short = await _paused(short, begun, useless=version == before)
            except HexaError as error:
                if isinstance(error, Refused) and not self.synced.is_set():
                    raise  # a missing permission at the start is for a person to mend
                if isinstance(error, Expired) and version:  # a list that is refused so is no sight
                    version, short = "", await _paused(short, begun, useless=True)
                    continue
                version = ""
                self._goes_blind(index)
                news.tell(_watch_failed(source, error))
                delay = min(FIRST_RETRY * 2.0 ** min(failures, 10), LONGEST_RETRY)
                await trio.sleep(delay * self._random.uniform(0.5, 1.0))
                failures += 1

    async def _follow_optional(
        self, kube: Kube, source: Source, feed: OptionalCache[Any] | WorkingPods, news: Newsroom
    ) -> None:
        scope, failures = source.selector.namespace, 0
        feed.expect(scope)
        await feed.wanted.wait()
        while True:
            listed, begun = False, trio.current_time()
            try:
                version = await self.list_into(kube, source)
                feed.sees(scope)
                failures, listed = 0, True
                while True:
                    begun = trio.current_time()
                    version = await self.watch_into(kube, source, version)
                    if trio.current_time() < begun + SHORT_WATCH:
                        await trio.sleep(SHORT_WATCH)
            except HexaError as error:
                if isinstance(error, Expired) and listed:
                    await _paused(SHORT_WATCHES, begun, useless=True)
                    continue
                feed.lost(scope, error)
                news.tell(_watch_failed(source, error))
                delay = min(FIRST_RETRY * 2.0 ** min(failures, 10), LONGEST_RETRY)
                await trio.sleep(FORBIDDEN_RETRY if isinstance(error, Refused) else delay)
                failures += 1

    async def list_into(self, kube: Kube, source: Source) -> str:
        """Fill a cache anew; the version to watch from."""
        source.feed.asks(source.selector.namespace)
        listing = await kube.list(source.kind, source.selector)
        source.feed.replace(listing.items, scope=source.selector.namespace)
        return listing.resource_version

    async def watch_into(self, kube: Kube, source: Source, since: str) -> str:
        """Follow changes until the server ends the watch; the version to go on from."""
        version = since
        async with kube.watch(source.kind, source.selector, since=since) as changes:
            async for change in changes:
                version = change.resource_version or version
                if change.object is None:
                    continue
                if change.type is ChangeType.DELETED:
                    source.feed.drop(_key(change.object), version=version_of(change.object))
                else:
                    source.feed.put(change.object)
        return version

    def clock_set(self, by: timedelta) -> None:
        """The clock was set; negative: back. What we saw is moved along. A leap forward is a time in which deadlines stood still,
        and nothing but what we see from now on tells of silence."""
        now = self.clock.now()
        if by > timedelta(0):
            if self._blind_from is None:
                self._blind_spells = [*self._blind_spells[1 - SPELLS_KEPT :], (now - by, now)]
            self._sight_since = now if self._sight_since is not None else None
        else:
            self._blind_spells = [(start + by, end + by) for start, end in self._blind_spells]
            self._blind_from = self._blind_from + by if self._blind_from is not None else None
            self._sight_since = self._sight_since + by if self._sight_since is not None else None
        self.touch()
        for notify in self._on_sight if self.synced.is_set() else ():
            notify()

    def doubt(self) -> None:
        """The API server refuses what follows from the snapshot: list everything afresh, at most once in `DOUBT_PAUSE`."""
        now = trio.current_time()
        if now < self._doubted + DOUBT_PAUSE:
            return
        self._doubted = now
        for scope in self._watching.values():
            scope.cancel()

    def _sees(self, index: int) -> None:
        self._blind.discard(index)
        self._waiting.discard(index)
        if self._waiting or self._blind:
            return
        if self._sight_since is None:
            self._sight_since = self.clock.now()
            self._end_spell()
            self.touch()
            for notify in self._on_sight if self.synced.is_set() else ():
                notify()
        self.synced.set()

    def _goes_blind(self, index: int) -> None:
        self._blind.add(index)
        self._sight_since = None
        if self._blind_from is None and self.synced.is_set():
            self._blind_from = self.clock.now()

    def _end_spell(self) -> None:
        if self._blind_from is not None:
            self._blind_spells = [*self._blind_spells[1 - SPELLS_KEPT :], (self._blind_from, self.clock.now())]
            self._blind_from = None


async def _paused(short: int, begun: float, *, useless: bool) -> int:
    """Pause after a watch that was `useless` and short, if there were some before it; how many there are now in a row."""
    short = short + 1 if useless and trio.current_time() < begun + SHORT_WATCH else 0
    if short >= SHORT_WATCHES:
        await trio.sleep(SHORT_WATCH)
    return short


def _watch_failed(source: Source, error: HexaError) -> News:
    return failure(Work.WATCH, Lookup(source.selector.namespace or "", ""), error, about=about_kind(source.kind))
