"""How objects go: deletes, grace, owners, the Eviction API with budgets."""

from typing import Any

from hexa.domain.errors import Conflict, NotFound, Refused
from hexa.domain.resources.core import BUDGETS, LEASES, NODES, PODS, Pod
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Blocked, Evicted, Patch, PatchStyle
from hexa.testing.contracts.bench import Bench, KubeBench, expect, refused
from hexa.testing.contracts.objects import gone, new_lease, new_pod, only

FINALIZER = "example.com/first"
OTHER = "example.com/second"


async def a_delete_with_a_uid_spares_a_namesake(bench: KubeBench) -> None:
    """What was created anew under the same name is another object."""
    async with bench.made(LEASES, new_lease(bench)) as lease:
        name, uid = lease.metadata.name, lease.metadata.uid
        async with refused(Conflict, "deleting another uid"):
            await bench.kube.delete(LEASES, name, namespace=bench.namespace, uid="00000000-0000-4000-8000-000000000000")
        await bench.kube.delete(LEASES, name, namespace=bench.namespace, uid=uid)
        expect((await bench.kube.list(LEASES, bench.one(name))).items == (), "the right uid should delete it")
        await bench.kube.delete(LEASES, name, namespace=bench.namespace)


async def a_pod_has_its_grace(bench: KubeBench) -> None:
    """A pod on a node is marked and stays until its kubelet has ended it; without grace it goes at once."""
    async with bench.made(PODS, new_pod(bench, node=bench.name("node"))) as pod:
        name = pod.metadata.name
        await bench.kube.delete(PODS, name, namespace=bench.namespace)
        marked = await only(bench, PODS, name)
        expect(marked.metadata.deletion_timestamp is not None, "a deleted pod should be marked and still be there")
        await bench.kube.delete(PODS, name, namespace=bench.namespace, grace=0)
        expect((await bench.kube.list(PODS, bench.one(name))).items == (), "a pod without grace should be gone")


async def dependents_go_with_their_owner(bench: KubeBench) -> None:
    """What names a deleted object as owner is deleted after it, unless it is orphaned."""
    async with (
        bench.made(MACHINES, bench.manifest(spec={})) as owner,
        bench.made(MACHINES, bench.manifest(spec={})) as other,
    ):
        async with bench.made(LEASES, _owned(bench, owner)) as lost, bench.made(LEASES, _owned(bench, other)) as kept:
            await bench.kube.delete(MACHINES, other.metadata.name, namespace=bench.namespace, propagation="Orphan")
            await bench.kube.delete(MACHINES, owner.metadata.name, namespace=bench.namespace)
            await bench.until("the dependent is gone", lambda: gone(bench, LEASES, lost.metadata.name))
            orphan = await only(bench, LEASES, kept.metadata.name)
            expect(orphan.metadata.name == kept.metadata.name, "an orphan should stay")


async def a_finalizer_holds_an_object(bench: KubeBench) -> None:
    """A deleted object with a finalizer is marked once and still there, takes no new finalizer, may be written, and goes with the
    last finalizer; a status write touches none of them."""
    async with bench.made(MACHINES, bench.manifest(spec={}, metadata={"finalizers": [FINALIZER, OTHER]})) as made:
        name, namespace = made.metadata.name, bench.namespace
        try:
            await bench.kube.delete(MACHINES, name, namespace=namespace)
            first = (await only(bench, MACHINES, name)).metadata
            expect(first.deletion_timestamp is not None, "a deleted object with a finalizer should be marked")
            expect(first.finalizers == (FINALIZER, OTHER), f"its finalizers should stay, not become {first.finalizers}")
            await bench.kube.delete(MACHINES, name, namespace=namespace)
            again = (await only(bench, MACHINES, name)).metadata
            expect(again.deletion_timestamp == first.deletion_timestamp, "a second delete should change nothing")
            async with refused(Refused, "adding a finalizer to what is being deleted"):
                await bench.kube.patch(MACHINES, name, _finalizers(FINALIZER, OTHER, f"{OTHER}-2"), namespace=namespace)
            status = Patch({"metadata": {"finalizers": []}, "status": {"phase": "Off"}}, subresource="status")
            await bench.kube.patch(MACHINES, name, status, namespace=namespace)
            await bench.kube.patch(MACHINES, name, _finalizers(OTHER), namespace=namespace)
            left = await only(bench, MACHINES, name)
            expect(left.metadata.finalizers == (OTHER,), "the other finalizer should hold it")
            expect(left.status.phase == "Off", "the status of what is being deleted should be writable")
        finally:
            cleared = Patch({"metadata": {"finalizers": None}})
            await bench.kube.patch(MACHINES, name, cleared, namespace=namespace)
        expect(
            (await bench.kube.list(MACHINES, bench.one(name))).items == (),
            "without finalizers it should be gone at once",
        )
        async with refused(NotFound, "patching what is gone"):
            await bench.kube.patch(MACHINES, name, cleared, namespace=namespace)


def _finalizers(*names: str) -> Patch:
    return Patch({"metadata": {"finalizers": list(names)}})


async def a_condition_of_a_node_can_be_removed(bench: KubeBench) -> None:
    """A strategic patch of the status takes one condition away and leaves the others."""
    manifest = {"metadata": {"name": bench.name("node")}}
    async with bench.made(NODES, manifest) as node:
        for kind in ("Suspended", "Other"):
            condition = {"type": kind, "status": "True"}
            patch = Patch({"status": {"conditions": [condition]}}, PatchStyle.STRATEGIC, "status")
            await bench.kube.patch(NODES, node.metadata.name, patch)
        gone = {"status": {"conditions": [{"type": "Suspended", "$patch": "delete"}]}}
        for _ in range(2):
            after = await bench.kube.patch(NODES, node.metadata.name, Patch(gone, PatchStyle.STRATEGIC, "status"))
            types = {condition.type for condition in after.status.conditions}
            expect("Other" in types and "Suspended" not in types, f"one condition should be gone, not leave {types}")
        both = {
            "status": {"conditions": [{"type": "Drained", "status": "True"}, {"type": "Other", "$patch": "delete"}]}
        }
        stale = Patch(both, PatchStyle.STRATEGIC, "status", resource_version=node.metadata.resource_version)
        async with refused(Conflict, "a write of conditions that were read before another's"):
            await bench.kube.patch(NODES, node.metadata.name, stale)
        after = await bench.kube.patch(NODES, node.metadata.name, Patch(both, PatchStyle.STRATEGIC, "status"))
        types = {condition.type for condition in after.status.conditions}
        expect("Drained" in types and "Other" not in types, f"one should come and one go in one patch, not {types}")


async def a_budget_blocks_an_eviction(bench: KubeBench) -> None:
    """It is named, nothing happens to the pod, and the eviction is made once the budget allows it."""
    app = bench.name("app")
    pod_manifest = new_pod(bench, node=bench.name("node"), labels={"app": app})
    async with bench.made(BUDGETS, _budget(bench, app)) as budget, bench.made(PODS, pod_manifest) as pod:
        name, namespace = pod.metadata.name, bench.namespace
        await _make_ready(bench, name)
        await bench.until("the budget counts its pod", lambda: _counted(bench, budget.metadata.name))
        answer = await bench.kube.evict(name, namespace=namespace)
        expect(isinstance(answer, Blocked), f"a budget that allows nothing should block, not answer {answer}")
        expect(budget.metadata.name in getattr(answer, "reason", ""), f"{answer} should name {budget.metadata.name}")
        still = await only(bench, PODS, name)
        expect(still.metadata.deletion_timestamp is None, "a blocked pod should not be touched")
        await bench.kube.patch(BUDGETS, budget.metadata.name, Patch({"spec": {"minAvailable": 0}}), namespace=namespace)
        await bench.until("the eviction is allowed", lambda: _evicted(bench, name))
        await bench.until("the evicted pod is ending", lambda: _ending(bench, name))


async def two_budgets_block_an_eviction(bench: KubeBench) -> None:
    """The API refuses that case for good; a drain shows it as a blocker like any other."""
    app = bench.name("app")
    pod_manifest = new_pod(bench, node=bench.name("node"), labels={"app": app})
    async with bench.made(BUDGETS, _budget(bench, app)), bench.made(BUDGETS, _budget(bench, app)):
        async with bench.made(PODS, pod_manifest) as pod:
            await _make_ready(bench, pod.metadata.name)
            answer = await bench.kube.evict(pod.metadata.name, namespace=bench.namespace)
            expect(isinstance(answer, Blocked), f"two budgets for a pod should block, not answer {answer}")


async def an_eviction_without_budget_is_made(bench: KubeBench) -> None:
    """The pod ends with its grace, and asking again is harmless."""
    async with bench.made(PODS, new_pod(bench, node=bench.name("node"))) as pod:
        name, namespace, uid = pod.metadata.name, bench.namespace, pod.metadata.uid
        await _make_ready(bench, name)
        other = "00000000-0000-4000-8000-000000000000"
        answer = await bench.kube.evict(name, namespace=namespace, uid=other)
        expect(answer == Evicted(), f"a pod that was replaced by a namesake should count as evicted, not {answer}")
        untouched = (await only(bench, PODS, name)).metadata.deletion_timestamp is None
        expect(untouched, "the namesake should not be touched")
        for _ in range(2):
            answer = await bench.kube.evict(name, namespace=namespace, uid=uid)
            expect(answer == Evicted(), f"nothing stands in the way, so the answer should be Evicted, not {answer}")
        await bench.until("the evicted pod is ending", lambda: _ending(bench, name))


def _owned(bench: Bench, owner: Any) -> dict[str, Any]:
    reference = {"apiVersion": MACHINES.api_version, "kind": MACHINES.name, "name": owner.metadata.name}
    return bench.manifest("lease", metadata={"ownerReferences": [{**reference, "uid": owner.metadata.uid}]}, spec={})


def _budget(bench: Bench, app: str) -> dict[str, Any]:
    return bench.manifest("budget", spec={"minAvailable": 1, "selector": {"matchLabels": {"app": app}}})


async def _make_ready(bench: Bench, pod: str) -> None:
    """Say what a kubelet would."""
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await bench.kube.patch(PODS, pod, Patch({"status": ready}, subresource="status"), namespace=bench.namespace)


async def _counted(bench: Bench, budget: str) -> bool:
    status = (await only(bench, BUDGETS, budget)).status
    return (status.current_healthy, status.desired_healthy) == (1, 1)


async def _evicted(bench: Bench, pod: str) -> bool:
    return await bench.kube.evict(pod, namespace=bench.namespace) == Evicted()


async def _ending(bench: Bench, pod: str) -> bool:
    items = (await bench.kube.list(PODS, bench.one(pod))).items
    return all(isinstance(item, Pod) and item.metadata.deletion_timestamp is not None for item in items)
