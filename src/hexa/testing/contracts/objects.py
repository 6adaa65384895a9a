"""Objects that checks make and look at, and watching them. It checks nothing itself."""

from collections.abc import Mapping
from typing import Any, TypeVar

import trio

from hexa.domain.resources.core import LEASES, Kind, Lease, Malformed
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Change, ChangeType, Patch, Selector
from hexa.testing.contracts.bench import Bench, expect

T = TypeVar("T")


def new_lease(bench: Bench, *, labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Lease under a new name."""
    return bench.manifest("lease", metadata={"labels": dict(labels or {})}, spec={"leaseDurationSeconds": 40, **spec})


def new_pod(bench: Bench, *, node: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A pod on a node that nobody runs."""
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "example"}]}
    return bench.manifest("pod", metadata={"labels": dict(labels or {})}, spec=spec)


def names_of(listing: Any) -> list[str]:
    """Names of listed objects, sorted."""
    return sorted(item.metadata.name for item in listing.items)


async def only(bench: Bench, kind: Kind[T], name: str, *, namespaced: bool = True) -> T:
    """The one object of this name."""
    selector = bench.one(name) if namespaced else Selector(fields=f"metadata.name={name}")
    items = (await bench.kube.list(kind, selector)).items
    expect(len(items) == 1, f"there should be one {kind.name} {name}, not {len(items)}")
    item = items[0]
    if isinstance(item, Malformed):
        raise AssertionError(f"{kind.name} {name} should decode: {item.problem}")
    return item


async def gone(bench: Bench, kind: Kind[Any], name: str) -> bool:
    """Whether there is no object of this name."""
    return not (await bench.kube.list(kind, bench.one(name))).items


async def hold(bench: Bench, lease: Lease, holder: str, *, version: str = "") -> Lease:
    """Write a holder into a Lease."""
    patch = Patch({"spec": {"holderIdentity": holder}}, resource_version=version)
    return await bench.kube.patch(LEASES, lease.metadata.name, patch, namespace=bench.namespace)


async def patch_machine(
    bench: Bench, machine: Any, body: Mapping[str, Any], *, subresource: Any = "", version: str = ""
) -> Any:
    """Patch a Node resource."""
    patch = Patch(body, subresource=subresource, resource_version=version)
    return await bench.kube.patch(MACHINES, machine.metadata.name, patch, namespace=bench.namespace)


async def watched(bench: Bench, kind: Kind[T], selector: Selector, *, since: str, number: int) -> list[Change[T]]:
    """The first changes, bookmarks apart; a watch that the server ends is gone on with."""
    changes: list[Change[T]] = []
    with trio.move_on_after(bench.patience):
        while len(changes) < number:
            async with bench.kube.watch(kind, selector, since=since) as stream:
                async for change in stream:
                    since = change.resource_version
                    if change.type is not ChangeType.BOOKMARK:
                        changes.append(change)
                    if len(changes) == number:
                        break
        return changes
    raise AssertionError(f"within {bench.patience:g} s there should be {number} changes, not {changes}")
