"""What a watch tells, and how it ends."""

import trio

from hexa.domain.errors import Expired
from hexa.domain.resources.core import LEASES, Lease
from hexa.ports.kube import Change, ChangeType, Kube, Patch, Selector
from hexa.testing.contracts.bench import Bench, KubeBench, expect, refused
from hexa.testing.contracts.objects import hold, new_lease, watched


async def a_watch_tells_every_change_in_order(bench: KubeBench) -> None:
    """From a list's version on nothing is missed, doubled or swapped; the last state comes with the deletion."""
    manifest = new_lease(bench)
    name = manifest["metadata"]["name"]
    since = (await bench.kube.list(LEASES, bench.one(name))).resource_version
    async with bench.made(LEASES, manifest) as lease:
        held = await hold(bench, lease, "me")
    changes = await watched(bench, LEASES, bench.one(name), since=since, number=3)
    got = [change.type for change in changes]
    expect(got == [ChangeType.ADDED, ChangeType.MODIFIED, ChangeType.DELETED], f"the changes should not be {got}")
    expect([change.object for change in changes[:2]] == [lease, held], "a change should carry the object as it was")
    versions = [int(change.resource_version) for change in changes]
    expect(versions == sorted(set(versions)), f"versions should grow, not be {versions}")
    last = changes[2].object
    expect(isinstance(last, Lease) and last.spec == held.spec, "a deletion should carry the last state")


async def a_watch_goes_on_from_any_version(bench: KubeBench) -> None:
    """Whoever comes back with the last version it saw gets what came after it, and nothing else."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        first = await hold(bench, lease, "one")
        second = await hold(bench, lease, "two")
        since = first.metadata.resource_version
        changes = await watched(bench, LEASES, bench.one(lease.metadata.name), since=since, number=1)
        expect([change.object for change in changes] == [second], f"only the second change should come, not {changes}")


async def a_watch_tells_who_comes_and_goes_by_its_selector(bench: KubeBench) -> None:
    """An object that begins to match is added, and one that no longer matches is deleted."""
    mark = bench.name("mark")
    selector = Selector(namespace=bench.namespace, labels=f"mark={mark}")
    async with bench.made(LEASES, new_lease(bench)) as lease:
        for value in (mark, None):
            body = {"metadata": {"labels": {"mark": value}}}
            await bench.kube.patch(LEASES, lease.metadata.name, Patch(body), namespace=bench.namespace)
        changes = await watched(bench, LEASES, selector, since=lease.metadata.resource_version, number=2)
        got = [change.type for change in changes]
        expect(got == [ChangeType.ADDED, ChangeType.DELETED], f"the changes should not be {got}")


async def a_watch_waits_for_changes(bench: KubeBench) -> None:
    """A change that is made later arrives without asking again."""
    async with bench.made(LEASES, new_lease(bench)) as lease, trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(0.2)
            await hold(bench, lease, "me")

        nursery.start_soon(later)
        since, one = lease.metadata.resource_version, bench.one(lease.metadata.name)
        (change,) = await watched(bench, LEASES, one, since=since, number=1)
        held = isinstance(change.object, Lease) and change.object.spec.holder_identity == "me"
        expect(held, f"the change should be the one that was made, not {change}")


async def a_bookmark_says_where_to_go_on(bench: KubeBench) -> None:
    """A quiet watch tells a version to resume from, without an object."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        since, one = lease.metadata.resource_version, bench.one(lease.metadata.name)
        if bench.brief is None:
            bookmark = await _bookmark(bench, bench.kube, one, since)
        else:
            async with bench.brief() as kube:
                bookmark = await _bookmark(bench, kube, one, since)
        expect(bookmark.object is None, "a bookmark should have no object")
        held = await hold(bench, lease, "me")
        changes = await watched(bench, LEASES, one, since=bookmark.resource_version, number=1)
        expect([change.object for change in changes] == [held], "a watch should go on from a bookmark")


async def a_forgotten_version_is_expired(bench: KubeBench) -> None:
    """Whoever was away for too long is told to list afresh, and a fresh list can be watched from."""
    if bench.forget is None:
        return
    old = await bench.forget()
    async with refused(Expired, "watching from a version that is forgotten"):
        await watched(bench, LEASES, Selector(namespace=bench.namespace), since=old, number=1000)
    async with bench.made(LEASES, new_lease(bench)) as lease:
        fresh = (await bench.kube.list(LEASES, bench.one(lease.metadata.name))).resource_version
        held = await hold(bench, lease, "me")
        changes = await watched(bench, LEASES, bench.one(lease.metadata.name), since=fresh, number=1)
        expect([change.object for change in changes] == [held], "a watch from a fresh list should work")


async def what_is_raised_while_watching_passes_as_it_is(bench: KubeBench) -> None:
    """No group is wrapped around the errors of the one who watches."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        try:
            async with bench.kube.watch(LEASES, bench.one(lease.metadata.name), since=lease.metadata.resource_version):
                raise _OwnError
        except _OwnError:
            return
        except BaseExceptionGroup as group:
            raise AssertionError(f"an error should not become {group!r}") from group


class _OwnError(Exception):
    """Raised by a check, and by nobody else."""


async def _bookmark(bench: Bench, kube: Kube, selector: Selector, since: str) -> Change[Lease]:
    with trio.move_on_after(max(bench.patience, 100.0)):
        while True:
            async with kube.watch(LEASES, selector, since=since) as stream:
                async for change in stream:
                    if change.type is ChangeType.BOOKMARK:
                        return change
    raise AssertionError("a quiet watch should bring a bookmark")
