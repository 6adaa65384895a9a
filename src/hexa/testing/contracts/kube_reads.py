"""What is read of an API server, and who may: lists, selectors, decoding, permissions."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import trio

from hexa.domain.errors import Refused
from hexa.domain.resources.core import LEASES, NODES, PODS, Kind, Metadata, Slice
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Patch, Selector
from hexa.testing.contracts.bench import KubeBench, expect
from hexa.testing.contracts.objects import names_of, new_lease, new_pod, watched


async def a_list_has_what_was_created(bench: KubeBench) -> None:
    """An object is listed as soon as its create has returned, with uid and version."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        listing = await bench.kube.list(LEASES, bench.one(lease.metadata.name))
        expect(listing.items == (lease,), f"the list should be {lease}, not {listing.items}")
        expect(
            lease.metadata.uid and lease.metadata.creation_timestamp, "a new object should have uid and creation time"
        )
        newer = int(listing.resource_version) >= int(lease.metadata.resource_version)
        expect(
            newer,
            f"the list's version {listing.resource_version} should not be before {lease.metadata.resource_version}",
        )


async def selectors_pick_objects(bench: KubeBench) -> None:
    """Labels by equality, set and existence, fields by equality, and the namespace."""
    mark = bench.name("mark")
    async with (
        bench.made(LEASES, new_lease(bench, labels={"mark": mark, "tier": "one"})) as one,
        bench.made(LEASES, new_lease(bench, labels={"mark": mark, "tier": "two", "extra": ""})) as two,
    ):
        cases = {
            f"mark={mark}": [one, two],
            f"mark={mark},tier=one": [one],
            f"mark={mark},tier!=one": [two],
            f"mark={mark},tier in (one,two)": [one, two],
            f"mark={mark},tier notin (one)": [two],
            f"mark={mark},extra": [two],
            f"mark={mark},!extra": [one],
        }
        for labels, wanted in cases.items():
            got = names_of(await bench.kube.list(LEASES, Selector(namespace=bench.namespace, labels=labels)))
            names = sorted(lease.metadata.name for lease in wanted)
            expect(got == names, f"labels {labels!r} should pick {names}, not {got}")
        elsewhere = await bench.kube.list(LEASES, Selector(namespace="kube-public", labels=f"mark={mark}"))
        expect(elsewhere.items == (), "another namespace should be empty of them")
        everywhere = await bench.kube.list(LEASES, Selector(labels=f"mark={mark}"))
        expect(len(everywhere.items) == 2, "all namespaces together should have them")


async def pods_are_found_by_their_node(bench: KubeBench) -> None:
    """spec.nodeName selects the pods of a node."""
    node = bench.name("node")
    async with (
        bench.made(PODS, new_pod(bench, node=node)) as pod,
        bench.made(PODS, new_pod(bench, node=bench.name("other"))),
    ):
        listing = await bench.kube.list(PODS, Selector(fields=f"spec.nodeName={node}"))
        expect(names_of(listing) == [pod.metadata.name], f"spec.nodeName={node} should pick {pod.metadata.name} alone")


async def a_long_list_is_complete(bench: KubeBench) -> None:
    """More objects than fit one page come all, and once each."""
    mark, number = bench.name("mark"), 520
    made: list[str] = []
    limit = trio.CapacityLimiter(20)

    async def make() -> None:
        async with limit:
            made.append((await bench.kube.create(LEASES, new_lease(bench, labels={"mark": mark}))).metadata.name)

    async def remove(name: str) -> None:
        async with limit:
            await bench.kube.delete(LEASES, name, namespace=bench.namespace)

    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(make)
    got = names_of(await bench.kube.list(LEASES, Selector(namespace=bench.namespace, labels=f"mark={mark}")))
    async with trio.open_nursery() as nursery:
        for name in made:
            nursery.start_soon(remove, name)
    expect(got == sorted(made), f"the list should have {number} objects, each once, not {len(got)}")


class _StrictSpec(Slice, frozen=True, kw_only=True):
    holder_identity: int = 0


class _StrictLease(Slice, frozen=True, kw_only=True):
    """A Lease whose holder is a number: most are not."""

    metadata: Metadata = Metadata()
    spec: _StrictSpec = _StrictSpec()


_STRICT: Final = Kind(LEASES.api_version, LEASES.name, LEASES.plural, _StrictLease)


async def an_object_that_does_not_decode_is_malformed(bench: KubeBench) -> None:
    """It is known by name, in lists and watches, and spoils nothing else."""
    mark = bench.name("mark")
    selector = Selector(namespace=bench.namespace, labels=f"mark={mark}")
    since = (await bench.kube.list(_STRICT, selector)).resource_version
    bad, good = (new_lease(bench, labels={"mark": mark}, **spec) for spec in ({"holderIdentity": "me"}, {}))
    async with bench.made(LEASES, bad), bench.made(LEASES, good):
        listed = (await bench.kube.list(_STRICT, selector)).items
        changes = await watched(bench, _STRICT, selector, since=since, number=2)
        for source, items in {"list": listed, "watch": [change.object for change in changes]}.items():
            problems = {item.metadata.name: getattr(item, "problem", "") for item in items if item is not None}
            expect(
                "holderIdentity" in problems[bad["metadata"]["name"]], f"the {source} should say what does not decode"
            )
            expect(problems[good["metadata"]["name"]] == "", f"the {source} should have the good one as it is")


async def a_missing_permission_is_named(bench: KubeBench) -> None:
    """Verb, resource and namespace stand in the message, so that the role can be mended."""
    nobody = bench.nobody
    if nobody is None:
        return
    namespace = bench.namespace
    asked: Mapping[tuple[str, str], Callable[[], Awaitable[object]]] = {
        ("list", "nodes"): lambda: nobody.list(NODES),
        ("watch", "pods"): lambda: _enter(nobody.watch(PODS, Selector(namespace=namespace), since="0")),
        ("create", "leases"): lambda: nobody.create(LEASES, new_lease(bench)),
        ("patch", "nodes/status"): lambda: nobody.patch(
            MACHINES, "x", Patch({}, subresource="status"), namespace=namespace
        ),
        ("delete", "leases"): lambda: nobody.delete(LEASES, "x", namespace=namespace),
        ("create", "pods/eviction"): lambda: nobody.evict("x", namespace=namespace),
    }
    for (verb, resource), ask in asked.items():
        try:
            await ask()
        except Refused as refusal:
            expect(f"needs verb {verb} on {resource}" in str(refusal), f"{refusal!r} should name {verb} on {resource}")
        else:
            raise AssertionError(f"{verb} {resource} should be refused")


async def _enter(watch: AbstractAsyncContextManager[Any]) -> None:
    async with watch:
        pass
