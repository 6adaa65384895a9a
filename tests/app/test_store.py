"""The snapshot: what is believed of the API server, and when it is not to be trusted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
import trio
from tests.app.rig import SPACE, Rig, at, key, open_rig
from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.cache import Cache
from hexa.app.news import Newsroom
from hexa.app.store import Store
from hexa.domain.errors import Expired, Refused, Unavailable
from hexa.domain.resources.core import Malformed, Metadata
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, GroupSpec
from hexa.ports.kube import Patch


def state(version: int, *, size: int = 0, name: str = "g") -> Group:
    """A state of a group."""
    metadata = Metadata(name=name, namespace=SPACE, resource_version=str(version))
    return Group(metadata=metadata, spec=GroupSpec(min_size=size))


class Heard:
    """What a subscriber of a cache was told: (name, old size, new size)."""

    def __init__(self, cache: Cache[Group]) -> None:
        self.news: list[tuple[str, int | None, int | None]] = []
        cache.subscribe(self._note)

    def _note(self, key: Any, old: Group | None, new: Group | None) -> None:
        self.news.append((key.name, old and old.spec.min_size, new and new.spec.min_size))


# --- one cache ------------------------------------------------------------------------------------


def test_a_stale_state_changes_nothing() -> None:
    """An older state that arrives late, or the same one again, neither replaces the newer one nor is told to anybody."""
    cache = Cache(GROUPS)
    heard = Heard(cache)
    for group in (state(5, size=1), state(4, size=2), state(5, size=3), state(6, size=4)):
        cache.put(group)
    assert heard.news == [("g", None, 1), ("g", 1, 4)]
    assert cache.objects[key("g")].spec.min_size == 4


def test_what_is_deleted_stays_deleted() -> None:
    """A state from before the deletion does not bring the object back; a new object of the same name does."""
    cache = Cache(GROUPS)
    heard = Heard(cache)
    cache.put(state(5, size=1))
    cache.drop(key("g"), version=7)
    cache.put(state(6, size=2))
    assert cache.get(SPACE, "g") is None
    cache.put(state(8, size=3))
    assert heard.news == [("g", None, 1), ("g", 1, None), ("g", None, 3)]


def test_a_late_deletion_spares_the_new_object() -> None:
    """The news that an earlier object of the name was deleted does not remove the one that exists now."""
    cache = Cache(GROUPS)
    cache.put(state(9, size=1))
    cache.drop(key("g"), version=7)
    assert cache.get(SPACE, "g") is not None


def test_memory_of_deletions_is_bounded() -> None:
    """Objects that come and go by the thousand leave no trace that grows for ever."""
    cache = Cache(GROUPS)
    for number in range(20_000):
        cache.put(state(2 * number + 1, name=f"g{number}"))
        cache.drop(key(f"g{number}"), version=2 * number + 2)
    assert len(cache._gone) < 10_000


def test_a_list_is_the_truth_of_its_namespace() -> None:
    """A fresh list removes what it does not hold in its own namespace, and leaves other namespaces alone."""
    cache = Cache(GROUPS)
    other = Group(metadata=Metadata(name="x", namespace="other", resource_version="2"))
    for group in (state(1, name="a"), state(1, name="b"), other):
        cache.put(group)
    cache.replace((state(3, name="b", size=1), state(3, name="c")), scope=SPACE)
    assert {str(each) for each in cache.objects} == {"d/b", "d/c", "other/x"}
    assert cache.objects[key("b")].spec.min_size == 1


def test_an_own_write_outlives_an_older_list() -> None:
    """A list that was begun before our own write does not take the write back."""
    cache = Cache(GROUPS)
    cache.put(state(5, size=9))
    cache.replace((state(4, size=1),), scope=None)
    assert cache.objects[key("g")].spec.min_size == 9


def test_an_object_that_stops_decoding_is_known_by_name() -> None:
    """An object that becomes malformed leaves the good ones, is kept with its problem, and comes back once it is mended."""
    cache = Cache(GROUPS)
    heard = Heard(cache)
    cache.put(state(1, size=1))
    broken = Malformed(Metadata(name="g", namespace=SPACE, resource_version="2"), "minSize: expected int")
    cache.put(broken)
    assert cache.malformed == {key("g"): broken}
    assert cache.get(SPACE, "g") is None
    cache.put(state(3, size=2))
    assert cache.malformed == {}
    assert heard.news == [("g", None, 1), ("g", 1, None), ("g", None, 2)]


# --- watches --------------------------------------------------------------------------------------


async def test_changes_arrive(autojump_clock: MockClock) -> None:
    """What anybody creates, changes or deletes is in the snapshot at once."""
    async with open_rig() as rig:
        rig.group("a")
        rig.group("b")
        await rig.seen()
        rig.api.patch(GROUPS, (SPACE, "a"), Patch({"spec": {"minSize": 3}}))
        rig.api.delete(GROUPS, (SPACE, "b"))
        await rig.seen()
        assert {str(k): g.spec.min_size for k, g in rig.store.groups.objects.items()} == {"d/a": 3}


async def test_malformed_objects_do_not_stop_others(autojump_clock: MockClock) -> None:
    """A Group and a Node that do not decode, at the start and later, leave all the others in the snapshot."""
    async with open_rig() as rig:
        rig.group("good")
        rig.api.create(GROUPS, {"metadata": {"name": "bad", "namespace": SPACE}, "spec": {"minSize": "many"}})
        rig.machine("m")
        rig.api.create(MACHINES, {"metadata": {"name": "odd", "namespace": SPACE}, "spec": {"startupPodSpec": 7}})
        await rig.seen()
        assert set(rig.store.groups.objects) == {key("good")}
        assert set(rig.store.groups.malformed) == {key("bad")}
        assert set(rig.store.machines.objects) == {key("m")}
        assert "startupPodSpec" in rig.store.machines.malformed[key("odd")].problem


async def test_expired_history_is_listed_afresh(autojump_clock: MockClock) -> None:
    """After 410 Gone the snapshot is right again, with what was added and without what was deleted meanwhile, and we were
    not blind."""
    async with open_rig() as rig:
        for name in ("stays", "goes"):
            rig.group(name)
        await rig.seen()
        await trio.sleep(5)
        rig.api.break_watches()
        rig.api.delete(GROUPS, (SPACE, "goes"))
        rig.group("comes")
        rig.api.compact(bookmarks=False)
        await rig.seen()
        assert {k.name for k in rig.store.groups.objects} == {"stays", "comes"}
        assert rig.store.watching_since == at(0)


async def test_an_outage_makes_blind(autojump_clock: MockClock) -> None:
    """While the API server is away nothing counts as seen; once it is back, sight begins anew, the snapshot is right, and the
    time in between is known."""
    async with open_rig() as rig:
        rig.group("g")
        await trio.sleep(100)
        rig.api.outage(60)
        await trio.sleep(30)
        assert rig.store.watching_since is None
        assert rig.store.blind_seconds(at(0)) == pytest.approx(30)
        rig.api.delete(GROUPS, (SPACE, "g"))
        await trio.sleep(70)
        since = rig.store.watching_since
        assert since is not None
        assert at(160) <= since <= at(192)
        assert rig.store.groups.objects == {}
        blind = (since - at(100)).total_seconds()
        assert rig.store.blind_seconds(at(0)) == pytest.approx(blind)
        assert rig.store.blind_seconds(at(150)) == pytest.approx(blind - 50)
        assert rig.store.blind_seconds(at(195)) == 0


async def test_one_watch_away_is_blind(autojump_clock: MockClock) -> None:
    """A single kind that cannot be watched is enough to distrust the whole snapshot."""
    async with open_rig() as rig:
        rig.kube.fail_next(Unavailable("half-open"), verb="watch", kind=MACHINES)
        rig.kube.fail_next(Unavailable("no answer"), verb="list", kind=MACHINES, times=3)
        rig.api.break_watches()
        await rig.seen()
        assert rig.store.watching_since is None
        await trio.sleep(20)
        assert rig.store.watching_since is not None


async def test_the_return_of_sight_is_told(autojump_clock: MockClock) -> None:
    """Who waits while we are blind is told once we see again, and that answers may have changed."""
    async with open_rig() as rig:
        told: list[float] = []
        rig.store.on_sight(lambda: told.append(trio.current_time()))
        version = rig.store.version
        rig.api.outage(10)
        await trio.sleep(40)
        assert len(told) == 1
        assert rig.store.version > version


async def test_a_refused_first_list_is_raised(autojump_clock: MockClock) -> None:
    """A missing permission at the start ends the start with the server's words: it is for a person to mend."""
    rig = Rig()
    rig.kube.fail_next(Refused("list groups: forbidden", reason="Forbidden"), verb="list", kind=GROUPS)
    with pytest.RaisesGroup(pytest.RaisesExc(Refused, match="list groups: forbidden"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: rig.store.run(rig.kube, news=rig.news, task_status=task_status))


async def test_an_away_server_at_the_start_is_waited_for(autojump_clock: MockClock) -> None:
    """An API server that is not up yet does not end the start: the snapshot is complete once it answers."""
    rig = Rig()
    rig.api.outage(45)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: rig.store.run(rig.kube, news=rig.news, task_status=task_status))
        assert trio.current_time() >= 45
        assert rig.store.watching_since is not None
        nursery.cancel_scope.cancel()


async def test_permissions_that_are_taken_away_later_make_blind(autojump_clock: MockClock) -> None:
    """A watch that is refused while hexa runs makes it blind, and it sees again once the permission is back."""
    async with open_rig() as rig:
        rig.kube.fail_next(Refused("watch nodes: forbidden"), kind=MACHINES, times=4)
        rig.api.break_watches()
        await rig.seen()
        assert rig.store.watching_since is None
        await trio.sleep(30)
        assert rig.store.watching_since is not None


@pytest.mark.parametrize("verb", ["watch", "list"])
async def test_failure_39_an_answer_410_without_end_is_asked_with_pauses(
    autojump_clock: MockClock, verb: Literal["watch", "list"]
) -> None:
    """A server that calls every version too old is listed with pauses: what the lists say counts as seen, and a list that is
    refused so makes blind."""
    async with open_rig() as rig:
        rig.kube.fail_next(
            Expired("too old resource version"), verb="watch", kind=MACHINES, times=200 if verb == "watch" else 1
        )
        rig.kube.fail_next(
            Expired("too old resource version"), verb="list", kind=MACHINES, times=200 if verb == "list" else 0
        )
        rig.api.break_watches()
        before = rig.kube.count(verb, MACHINES)
        await trio.sleep(30)
        assert 3 < rig.kube.count(verb, MACHINES) - before < 50
        assert (rig.store.watching_since is None) is (verb == "list")


async def test_watches_that_end_at_once_are_not_asked_without_pause(autojump_clock: MockClock) -> None:
    """A server (or a proxy) that ends each watch at once is asked again with pauses, not as fast as it goes."""

    class Closing(MemoryKube):
        """Ends every watch as soon as it is open."""

        @asynccontextmanager
        async def watch(self, kind: Any, selector: Any = None, *, since: str) -> AsyncIterator[Any]:
            async with super().watch(kind, selector, since=since) as changes:
                self.api.break_watches()
                yield changes

    clock = MemoryClock()
    kube = Closing(MemoryApi(clock))
    store = Store(clock=clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: store.run(kube, news=Newsroom(), task_status=task_status))
        with trio.move_on_after(60):
            while kube.count("watch", MACHINES) < 200:  # noqa: ASYNC110 - it must have an end
                await trio.sleep(0.1)
        assert 50 < kube.count("watch", MACHINES) < 200
        nursery.cancel_scope.cancel()


# --- a snapshot of etcd that was put back -----------------------------------------------------------


def test_a_list_asked_for_after_all_we_did_is_the_truth() -> None:
    """Versions that are lower than the known ones are believed, and so is another state under a known version: the API server's
    data is that of a backup."""
    cache = Cache(GROUPS)
    heard = Heard(cache)
    for name in "ab":
        cache.put(state(900, size=9, name=name))
    cache.drop(key("c"), version=901)
    cache.asks(None)
    cache.replace((state(4, size=1, name="a"), state(900, size=2, name="b"), state(5, size=3, name="c")), scope=None)
    assert {each.name: group.spec.min_size for each, group in cache.objects.items()} == {"a": 1, "b": 2, "c": 3}
    cache.put(state(6, size=4, name="a"))
    assert heard.news[2:] == [("a", 9, 1), ("b", 9, 2), ("c", None, 3), ("a", 1, 4)]


def test_what_we_write_while_a_list_is_on_its_way_stays() -> None:
    """Neither a state that was read before our write nor the lack of an object that we made since takes the write back."""
    cache = Cache(GROUPS)
    cache.put(state(5, size=1, name="old"))
    cache.asks(None)
    cache.put(state(7, size=9, name="old"))
    cache.put(state(8, size=9, name="new"))
    cache.drop(key("gone"), version=9)
    cache.replace((state(6, size=1, name="old"), state(6, size=1, name="gone")), scope=None)
    assert {each.name: group.spec.min_size for each, group in cache.objects.items()} == {"old": 9, "new": 9}


def test_who_counts_on_versions_is_told_that_they_went_back() -> None:
    """A list that shows an older version tells it once; one that shows newer versions tells nothing."""
    cache, told = Cache(GROUPS), []
    cache.on_rewind(lambda: told.append("rewound"))
    for version in (900, 901, 4, 5):
        cache.asks(None)
        cache.replace((state(version),), scope=None)
    assert told == ["rewound"]


def test_a_version_that_is_no_number_is_only_told_from_others() -> None:
    """A server whose versions are words: the state that is told last counts, and the same one again is no news."""

    def worded(version: str, size: int) -> Group:
        return Group(
            metadata=Metadata(name="g", namespace=SPACE, resource_version=version), spec=GroupSpec(min_size=size)
        )

    cache = Cache(GROUPS)
    heard = Heard(cache)
    for group in (worded("b-2", 1), worded("a-1", 2), worded("a-1", 3), worded("²", 4)):
        cache.put(group)
    cache.drop(key("g"), version=-1)
    assert heard.news == [("g", None, 1), ("g", 1, 2), ("g", 2, 4), ("g", 4, None)]


async def test_everything_is_listed_afresh_where_the_snapshot_is_in_doubt(autojump_clock: MockClock) -> None:
    """When the API server keeps refusing what follows from the snapshot, all is listed anew, at most once a minute."""
    async with open_rig() as rig:
        rig.group()
        await rig.seen()
        lists = rig.kube.count("list", GROUPS)
        for _ in range(3):
            rig.store.doubt()
            await trio.sleep(1)
        assert rig.kube.count("list", GROUPS) == lists + 1
        await trio.sleep(60)
        rig.store.doubt()
        await rig.seen()
        assert rig.kube.count("list", GROUPS) == lists + 2
        assert rig.store.watching_since == at(0)


async def test_what_does_not_decode_makes_another_snapshot(autojump_clock: MockClock) -> None:
    """Whoever looks again only where the snapshot is another sees such an object too, when it comes and when it goes."""
    store = Store(clock=MemoryClock())
    store.groups.put(Malformed(Metadata(name="g", namespace=SPACE, resource_version="2"), "minSize: expected int"))
    version = store.version
    assert version > 0
    store.groups.drop(key("g"), version=3)
    assert store.version > version
