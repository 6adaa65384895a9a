"""The snapshot: what the API server holds, fed by watches, with our own writes visible at once.

It caches and tells who changed; it decides nothing. Blindness is known here: while any watch cannot be held, nothing in the
snapshot proves that something is gone.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Generic, TypeVar

import trio
from msgspec import Struct, structs

from hexa.app.fence import Fence, Subject
from hexa.domain.errors import Expired, HexaError, Refused
from hexa.domain.names import CHECK_LABEL, CONDITION_TAINTS
from hexa.domain.policy.conventions import DEFAULTS, SAYS_SO, Conventions, PodSelector, label_selectors
from hexa.domain.resources.core import CRON_JOBS, JOBS, NODES, PODS, CronJob, Job, Kind, KubeNode, Malformed, Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Lookup, Node
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal
from hexa.ports.kube import ChangeType, Kube, Selector

T = TypeVar("T")

FIRST_RETRY: Final = 0.2
LONGEST_RETRY: Final = 30.0
FORBIDDEN_RETRY: Final = 120.0
"""Seconds until a watch that hexa may not hold, and can do without, is tried again."""
SHORT_WATCH: Final = 1.0
"""A watch that ends sooner than this, in seconds, and brought nothing, is not opened again without a pause for ever."""
SHORT_WATCHES: Final = 3
DOUBT_PAUSE: Final = 60.0
"""Seconds between two times that everything is listed afresh because the API server refused our writes."""
DELETIONS_KEPT: Final = 2_000
SPELLS_KEPT: Final = 100


class Cache(Generic[T]):
    """Objects of one kind by namespace and name. `on_change(key, old, new)` is called for each difference; what one subscriber
    raises about an object is contained by the `fence`, and the others hear of it all the same."""

    def __init__(self, kind: Kind[T], fence: Fence | None = None) -> None:
        self.kind = kind
        self._fence = fence or Fence()
        self._post = self._fence.post(kind, "snapshot")
        self.objects: dict[Lookup, T] = {}
        self.malformed: dict[Lookup, Malformed] = {}
        self._on_change: list[Callable[[Lookup, T | None, T | None], None]] = []
        self._on_rewind: list[Callable[[], None]] = []
        self._gone: dict[Lookup, int] = {}
        self._touched: dict[str | None, set[Lookup]] = {}
        """What changed since a list was asked for that has not come yet, by its namespace."""

    def subscribe(self, on_change: Callable[[Lookup, T | None, T | None], None]) -> None:
        self._on_change.append(on_change)

    def on_rewind(self, notify: Callable[[], None]) -> None:
        """Call `notify` when a list shows older versions than were known: the API server's data is that of a backup."""
        self._on_rewind.append(notify)

    def get(self, namespace: str, name: str) -> T | None:
        return self.objects.get(Lookup(namespace, name))

    def put(self, new: T | Malformed) -> None:
        """Take in a state of an object unless a newer one is known."""
        key, version = _key(new), version_of(new)
        for touched in self._touched.values():
            touched.add(key)
        old = self.objects.get(key)
        if old is not None and (same_version(old, new) or 0 <= version < version_of(old)):
            return
        if old is None and 0 <= version < self._gone.get(key, -1):
            return
        self._set(key, old, new)

    def _set(self, key: Lookup, old: T | None, new: T | Malformed) -> None:
        self._gone.pop(key, None)
        if isinstance(new, Malformed):
            self.objects.pop(key, None)
            self.malformed[key] = new
            self._tell(key, old, None)
        else:
            self.malformed.pop(key, None)
            self.objects[key] = new
            self._tell(key, old, new)

    def drop(self, key: Lookup, *, version: int = -1) -> None:
        """Forget an object; a state of it that is older than `version` does not bring it back, and one that is newer stays."""
        for touched in self._touched.values():
            touched.add(key)
        present = self.objects.get(key) or self.malformed.get(key)
        if present is not None and 0 <= version < version_of(present):
            return
        old, broken = self.objects.pop(key, None), self.malformed.pop(key, None)
        if version >= 0:
            self._gone[key] = version
            if len(self._gone) > DELETIONS_KEPT:
                del self._gone[next(iter(self._gone))]
        if old is not None or broken is not None:
            self._tell(key, old, None)

    def asks(self, scope: str | None) -> None:
        """A list of the namespace (None: of all) is asked for now: `replace` with it is the truth about all that is not touched
        meanwhile, whatever the versions say."""
        self._touched[scope] = set()

    def replace(self, items: tuple[T | Malformed, ...], *, scope: str | None) -> None:
        """Take a fresh list of the namespace `scope` (None: of all) for the truth. What we wrote after it was asked for stays, if
        its version is newer. A list that nobody announced by `asks` may be older than all that we wrote."""
        touched = self._touched.pop(scope, None)
        fresh = {_key(item): item for item in items}
        known = {**dict.fromkeys(self.objects), **dict.fromkeys(self.malformed)}
        for key in known:
            ours = touched is not None and key in touched  # written after the list was asked for
            if key not in fresh and (scope is None or key.namespace == scope) and not ours:
                self.drop(key)
        rewound = False
        for key, item in fresh.items():
            if touched is None or key in touched:
                self.put(item)
            else:
                rewound = self._believe(key, item) or rewound
        self._gone = {key: version for key, version in self._gone.items() if touched is not None and key in touched}
        for notify in self._on_rewind if rewound else ():
            notify()

    def _believe(self, key: Lookup, new: T | Malformed) -> bool:
        """Take in a state of a list that is newer than all we did; whether its version is older than the one known."""
        old = self.objects.get(key)
        if old is None or old != new:
            self._set(key, old, new)
        return old is not None and 0 <= version_of(new) < version_of(old)

    def tell_again(self, key: Lookup) -> None:
        """Tell the subscribers of an object anew: what broke at its last change may work now. Raises what breaks again."""
        if (present := self.objects.get(key)) is not None and (error := self._tell(key, present, present)) is not None:
            raise error

    def _tell(self, key: Lookup, old: T | None, new: T | None) -> Exception | None:
        if new is None:  # what does not decode is told as that
            self._fence.forget(Subject(self.kind, key))
        errors = [error for tell in self._on_change if (error := _raised(tell, key, old, new)) is not None]
        if not errors:
            self._post.works(key)
            return None
        self._post.broke(key, errors[0])
        return errors[0]


def _raised(
    tell: Callable[[Lookup, T | None, T | None], None], key: Lookup, old: T | None, new: T | None
) -> Exception | None:
    try:
        tell(key, old, new)
    except Exception as error:
        return error
    return None


class Aside(Cache[T]):
    """A cache that hexa can do without: it makes nobody blind. Its watches are held only once something `wanted` them, and what
    keeps them from being held, a right that is missing for one, is told by `trouble`."""

    def __init__(self, kind: Kind[T], fence: Fence | None = None) -> None:
        super().__init__(kind, fence)
        self.wanted: Final = trio.Event()
        self._unseen: set[str | None] = set()
        self._troubles: dict[str | None, str] = {}
        self._on_sight: list[Callable[[], None]] = []

    @property
    def complete(self) -> bool:
        """Whether all that there is, is known."""
        return self.wanted.is_set() and not self._unseen

    @property
    def trouble(self) -> str:
        """Why it is not known; empty where it is, or will be in a moment."""
        return next(iter(self._troubles.values()), "")

    def expect(self, scope: str | None) -> None:
        """There is a watch of this namespace (None: of all)."""
        self._unseen.add(scope)

    def on_sight(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever `complete` or `trouble` has changed."""
        self._on_sight.append(notify)

    def sees(self, scope: str | None) -> None:
        """The namespace was listed."""
        self._unseen.discard(scope)
        self._troubles.pop(scope, None)
        self._notify()

    def lost(self, scope: str | None, error: HexaError) -> None:
        """Its watch cannot be held. An API server that is away is no trouble of this one watch."""
        self._unseen.add(scope)
        if isinstance(error, Refused):
            self._troubles[scope] = str(error)
        self._notify()

    def _notify(self) -> None:
        for notify in self._on_sight:
            notify()


def same_but_for_version(old: Any, new: Any) -> bool:
    """Whether two states differ in nothing that we read: a kubelet's heartbeat changes the resourceVersion alone."""
    if old is None or new is None:
        return old is new
    if any(getattr(old, part, None) != getattr(new, part, None) for part in ("spec", "status")):
        return False
    before, after = old.metadata, new.metadata
    return bool(structs.replace(before, resource_version="") == structs.replace(after, resource_version=""))


def same_but_for_status(old: Any, new: Any) -> bool:
    """Whether two states differ in status alone."""
    before, after = old.metadata, new.metadata
    return bool(
        old.spec == new.spec
        and structs.replace(before, resource_version="") == structs.replace(after, resource_version="")
    )


def same_but_for_condition_taints(old: KubeNode | None, new: KubeNode | None) -> bool:
    """The same, and taints left out that follow from what else the node shows: they come a moment after it, three times for each
    machine that goes dark."""
    if old is None or new is None:
        return old is new
    return same_but_for_version(_without_condition_taints(old), _without_condition_taints(new))


def _without_condition_taints(node: KubeNode) -> KubeNode:
    taints = tuple(taint for taint in node.spec.taints if taint.key not in CONDITION_TAINTS)
    return structs.replace(node, spec=structs.replace(node.spec, taints=taints))


def _key(item: Any) -> Lookup:
    return Lookup(item.metadata.namespace, item.metadata.name)


def version_of(item: Any) -> int:
    """Which of two states of an object is the newer one; -1: its version does not tell, and what is told last counts."""
    text = item.metadata.resource_version
    return int(text) if text.isascii() and text.isdigit() else -1


def same_version(one: Any, other: Any) -> bool:
    """Whether two answers of the API server show the same state of an object."""
    return bool(one.metadata.resource_version == other.metadata.resource_version)


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
        self.machines: Cache[Node] = Cache(MACHINES, fence)
        self.nodes: Cache[KubeNode] = Cache(NODES, fence)
        self.jobs: Cache[Job] = Cache(JOBS, fence)
        self.checks: Aside[CronJob] = Aside(CRON_JOBS, fence)
        """CronJobs of health checks."""
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
        if not same_but_for_version(old, new):
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

    def asides(self) -> Iterator[Source]:
        """The watches that hexa can do without."""
        for namespace in self.namespaces or (None,):
            yield Source(CRON_JOBS, Selector(namespace=namespace, labels=CHECK_LABEL), self.checks)

    @property
    def watching_since(self) -> datetime | None:
        """Since when every watch has been held without a gap; None: blind."""
        return self._sight_since

    def blind_seconds(self, since: datetime) -> float:
        """How much of the time since then we were blind."""
        spells = [*self._blind_spells, *([(self._blind_from, self.clock.now())] if self._blind_from else [])]
        return sum(max(0.0, (end - max(start, since)).total_seconds()) for start, end in spells)

    async def run(
        self,
        kube: Kube,
        extra: tuple[Source, ...] = (),
        *,
        journal: Journal,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Hold every watch until cancelled; started once every first list is in. Raises `Refused` if one of those is."""
        sources = (*self.sources(), *extra)
        self._waiting = set(range(len(sources)))
        async with trio.open_nursery() as nursery:
            for index, source in enumerate(sources):
                nursery.start_soon(self._follow, kube, index, source, journal)
            for aside in self.asides():
                nursery.start_soon(self._follow_aside, kube, aside, aside.feed, journal)
            await self.synced.wait()
            task_status.started()

    async def _follow(self, kube: Kube, index: int, source: Source, journal: Journal) -> None:
        failures, version, short = 0, "", 0
        while True:
            try:
                if not version:  # at first, when it has expired, and after any failure: a fresh list proves sight
                    version = await self._list(kube, source)
                    self._sees(index)
                    failures = 0
                before, begun = version, trio.current_time()
                with trio.CancelScope() as self._watching[index]:
                    version = await self._watch(kube, source, version)
                if self._watching[index].cancelled_caught:
                    version = ""
                    continue
                useless = version == before and trio.current_time() < begun + SHORT_WATCH
                short = short + 1 if useless else 0
                if short >= SHORT_WATCHES:
                    await trio.sleep(SHORT_WATCH)
            except Expired:
                version = ""
            except HexaError as error:
                if isinstance(error, Refused) and not self.synced.is_set():
                    raise  # a missing permission at the start is for a person to mend
                version = ""
                self._goes_blind(index)
                journal.log("watch failed", kind=source.kind.name, reason=error.reason, error=str(error))
                delay = min(FIRST_RETRY * 2.0 ** min(failures, 10), LONGEST_RETRY)
                await trio.sleep(delay * self._random.uniform(0.5, 1.0))
                failures += 1

    async def _follow_aside(self, kube: Kube, source: Source, feed: Aside[Any], journal: Journal) -> None:
        scope, failures = source.selector.namespace, 0
        feed.expect(scope)
        await feed.wanted.wait()
        while True:
            try:
                version = await self._list(kube, source)
                feed.sees(scope)
                failures = 0
                while True:
                    begun = trio.current_time()
                    version = await self._watch(kube, source, version)
                    if trio.current_time() < begun + SHORT_WATCH:
                        await trio.sleep(SHORT_WATCH)
            except Expired:
                continue
            except HexaError as error:
                feed.lost(scope, error)
                journal.log("watch failed", kind=source.kind.name, reason=error.reason, error=str(error))
                delay = min(FIRST_RETRY * 2.0 ** min(failures, 10), LONGEST_RETRY)
                await trio.sleep(FORBIDDEN_RETRY if isinstance(error, Refused) else delay)
                failures += 1

    async def _list(self, kube: Kube, source: Source) -> str:
        source.feed.asks(source.selector.namespace)
        listing = await kube.list(source.kind, source.selector)
        source.feed.replace(listing.items, scope=source.selector.namespace)
        return listing.resource_version

    async def _watch(self, kube: Kube, source: Source, since: str) -> str:
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
