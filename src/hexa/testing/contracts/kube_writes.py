"""What writes do to an API server: creates, both styles of patch, conflicts, status apart from spec."""

from collections.abc import Mapping
from typing import Any

import trio

from hexa.domain.errors import AlreadyExists, Conflict, NotFound, Refused
from hexa.domain.resources.cluster import REVIEWS, TOKEN_REVIEWS
from hexa.domain.resources.core import LEASES, NODES, KubeNode
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Evicted, Patch, PatchStyle, Selector
from hexa.testing.contracts.bench import Bench, KubeBench, expect, refused
from hexa.testing.contracts.objects import hold, new_lease, only, patch_machine


async def a_second_create_already_exists(bench: KubeBench) -> None:
    """Creating is how one of two wins."""
    manifest = new_lease(bench)
    async with bench.made(LEASES, manifest) as first:
        async with refused(AlreadyExists, "creating the same name again"):
            await bench.kube.create(LEASES, manifest)
        expect(await only(bench, LEASES, first.metadata.name) == first, "the first one should be untouched")


async def what_is_missing_is_not_found(bench: KubeBench) -> None:
    """A patch tells, and a delete or an eviction of what is gone is success."""
    name, namespace = bench.name(), bench.namespace
    async with refused(NotFound, "patching what is not there"):
        await bench.kube.patch(LEASES, name, Patch({"spec": {"holderIdentity": "me"}}), namespace=namespace)
    await bench.kube.delete(LEASES, name, namespace=namespace)
    expect(await bench.kube.evict(name, namespace=namespace) == Evicted(), "a pod that is gone should count as evicted")


async def what_is_invalid_is_refused(bench: KubeBench) -> None:
    """A human is told: repeating would not help."""
    async with refused(Refused, "creating an object with an impossible name"):
        await bench.kube.create(LEASES, {"metadata": {"name": "Not_A_Name", "namespace": bench.namespace}})
    async with refused(Refused, "listing by a field that cannot be selected"):
        await bench.kube.list(NODES, Selector(fields="spec.unknown=1"))


async def a_stale_writer_gets_a_conflict(bench: KubeBench) -> None:
    """With a resourceVersion a patch is made only if nobody wrote in between; with the current one it is."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        newer = await hold(bench, lease, "first")
        async with refused(Conflict, "a patch on an old version"):
            await hold(bench, lease, "late", version=lease.metadata.resource_version)
        async with refused(Conflict, "a patch on an old version that changes nothing"):
            stale = Patch({}, resource_version=lease.metadata.resource_version)
            await bench.kube.patch(LEASES, lease.metadata.name, stale, namespace=lease.metadata.namespace)
        expect(await only(bench, LEASES, lease.metadata.name) == newer, "a conflict should change nothing")
        last = await hold(bench, newer, "second", version=newer.metadata.resource_version)
        expect(last.spec.holder_identity == "second", "a patch on the current version should be made")


async def a_patch_that_changes_nothing_is_no_change(bench: KubeBench) -> None:
    """Saving the same twice wakes nobody up."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        first = await hold(bench, lease, "me")
        again = await hold(bench, lease, "me")
        expect(first.metadata.resource_version == again.metadata.resource_version, "the version should stay the same")


async def a_later_patch_that_changes_nothing_is_no_change(bench: KubeBench) -> None:
    """Neither of one of our resources a while later: nobody is noted as its writer anew."""
    async with bench.made(MACHINES, bench.manifest(spec={"kubernetesNodeName": "x"})) as machine:
        await trio.sleep(1.1)  # who wrote is noted with whole seconds
        again = await bench.kube.patch(MACHINES, machine.metadata.name, Patch({}), namespace=bench.namespace)
        expect(again.metadata == machine.metadata, f"the same should stay there, not {again.metadata}")


async def a_merge_patch_merges_maps_and_replaces_lists(bench: KubeBench) -> None:
    """null deletes a key, a map is merged key by key, and a list is taken as a whole."""
    taints = [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"}]
    labels = {"keep": "1", "drop": "1"}
    manifest = bench.manifest(metadata={"labels": labels}, spec={"taintsToRemove": taints, "kubernetesNodeName": "x"})
    async with bench.made(MACHINES, manifest) as machine:
        body = {
            "metadata": {"labels": {"drop": None, "add": "1"}},
            "spec": {"taintsToRemove": [{"key": "c", "effect": "NoExecute"}]},
        }
        after = await bench.kube.patch(MACHINES, machine.metadata.name, Patch(body), namespace=bench.namespace)
        expect(
            after.metadata.labels == {"keep": "1", "add": "1"}, f"labels should be merged, not {after.metadata.labels}"
        )
        keys = [taint.key for taint in after.spec.taints_to_remove]
        expect(keys == ["c"], f"the list should be replaced, not {keys}")
        expect(after.spec.kubernetes_node_name == "x", "what the patch does not name should stay")


async def a_strategic_patch_merges_conditions_and_replaces_taints(bench: KubeBench) -> None:
    """Conditions of others stay, and one of ours goes by $patch: delete; the taints of a node are one value."""
    theirs = {"key": "check/theirs", "effect": "NoSchedule"}
    async with bench.made(NODES, {"metadata": {"name": bench.name("node")}, "spec": {"taints": [theirs]}}) as node:
        name = node.metadata.name
        for kind in ("CheckOurs", "CheckTheirs"):
            await _set_condition(bench, name, {"type": kind, "status": "True", "reason": "Check"})
        both = {"CheckOurs", "CheckTheirs"}
        after = await _set_condition(bench, name, {"type": "CheckOurs", "status": "False"})
        found = {condition.type: condition for condition in after.status.conditions}
        expect(both <= found.keys(), f"both conditions should be there, not {sorted(found)}")
        ours = found["CheckOurs"]
        expect((ours.status, ours.reason) == ("False", "Check"), f"the condition should be merged, not {ours}")
        after = await _set_condition(bench, name, {"type": "CheckOurs", "$patch": "delete"})
        left = both & {condition.type for condition in after.status.conditions}
        expect(left == {"CheckTheirs"}, f"the other's condition should be left, not {left}")
        taints = {"spec": {"taints": [{"key": "check/ours", "effect": "NoSchedule"}]}}
        after = await bench.kube.patch(NODES, name, Patch(taints, style=PatchStyle.STRATEGIC))
        keys = {taint.key for taint in after.spec.taints if taint.key.startswith("check/")}
        expect(keys == {"check/ours"}, f"the taints should be replaced, not {keys}")


async def a_strategic_patch_of_our_resources_is_refused(bench: KubeBench) -> None:
    """Custom resources know merge patches only."""
    async with bench.made(MACHINES, bench.manifest(spec={})) as machine:
        async with refused(Refused, "a strategic patch of a custom resource"):
            patch = Patch({"spec": {"powerState": "on"}}, style=PatchStyle.STRATEGIC)
            await bench.kube.patch(MACHINES, machine.metadata.name, patch, namespace=bench.namespace)


async def spec_and_status_are_written_apart(bench: KubeBench) -> None:
    """Neither write touches the other's part, and only a change of spec counts up the generation."""
    async with bench.made(MACHINES, bench.manifest(spec={"kubernetesNodeName": "x"})) as machine:
        both = {"spec": {"kubernetesNodeName": "y"}, "status": {"attempt": 7}, "metadata": {"labels": {"a": "b"}}}
        status = await patch_machine(bench, machine, both, subresource="status")
        expect(status.status.attempt == 7, "a status patch should write the status")
        expect(status.spec.kubernetes_node_name == "x", "a status patch should leave the spec")
        expect(status.metadata.labels == {}, "a status patch should leave the labels")
        expect(status.metadata.generation == machine.metadata.generation, "a status patch should not count as a change")
        spec = await patch_machine(bench, machine, {**both, "status": {"attempt": 8}})
        expect(spec.spec.kubernetes_node_name == "y", "a patch should write the spec")
        expect(spec.status.attempt == 7, "a patch without subresource should leave the status")
        expect(spec.metadata.generation == machine.metadata.generation + 1, "a change of spec should count up")
        labels = await patch_machine(bench, machine, {"metadata": {"labels": {"a": "c"}}})
        expect(labels.metadata.generation == spec.metadata.generation, "labels should not count as a change")


async def status_is_not_created(bench: KubeBench) -> None:
    """A new machine has no status, whatever its manifest says."""
    manifest = bench.manifest(spec={}, status={"attempt": 7})
    async with bench.made(MACHINES, manifest) as machine:
        expect(machine.status.attempt == 0, "a create should not write the status")


async def a_token_that_nobody_has_is_nobodys(bench: KubeBench) -> None:
    """A review of a token is answered, also where the API server does not know it."""
    manifest = {"apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.name, "metadata": {}}
    review = await bench.kube.create(TOKEN_REVIEWS, {**manifest, "spec": {"token": "nobody-has-this"}})
    expect(not review.status.authenticated, "a token that nobody has should not be authenticated")


async def a_review_of_access_is_of_whom_it_names(bench: KubeBench) -> None:
    """What somebody else may do is told: of an administrator, everything, resources and paths."""
    resource = {"verb": "update", "group": "infra.homecluster.dev", "resource": "nodes", "namespace": bench.namespace}
    for asked in ({"resourceAttributes": resource}, {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}):
        spec = {"user": "somebody", "uid": "7", "groups": ("system:masters",), "extra": {"a": ("b",)}, **asked}
        manifest = {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.name, "metadata": {}, "spec": spec}
        review = await bench.kube.create(REVIEWS, manifest)
        expect(review.status.allowed, f"an administrator should be allowed {asked}")


async def of_many_writers_none_is_lost(bench: KubeBench) -> None:
    """Ten that read, add one and write with the version, again after a conflict, make ten."""
    async with bench.made(MACHINES, bench.manifest(spec={})) as machine:

        async def add_one() -> None:
            while True:
                now = await only(bench, MACHINES, machine.metadata.name)
                body, version = {"status": {"attempt": now.status.attempt + 1}}, now.metadata.resource_version
                try:
                    await patch_machine(bench, machine, body, subresource="status", version=version)
                    return
                except Conflict:
                    continue

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(add_one)
        attempt = (await only(bench, MACHINES, machine.metadata.name)).status.attempt
        expect(attempt == 10, f"ten additions should make 10, not {attempt}")


async def _set_condition(bench: Bench, name: str, condition: Mapping[str, Any]) -> KubeNode:
    body = {"status": {"conditions": [condition]}}
    return await bench.kube.patch(NODES, name, Patch(body, style=PatchStyle.STRATEGIC, subresource="status"))
