"""What a drain asks of the rest of the cluster, and how seldom: a list of all pods is dear."""

from typing import Any

import pytest
import trio
from tests.app.rig import SPACE, Rig, key, open_rig
from trio.testing import MockClock

from hexa.app.pods import Drains, pods_on
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.pods.drain import Plan
from hexa.domain.resources.core import CLAIMS, NODES, PODS, VOLUMES
from hexa.domain.resources.v1alpha1 import GROUPS, Asker
from hexa.ports.kube import Patch

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}


def stage(rig: Rig, *names: str) -> None:
    """Machines that are up, four cores each."""
    rig.group()
    for name in names:
        rig.machine(name, Phase.READY, welcomed=True)
        rig.kube_node(name)
        rig.api.patch(
            NODES, ("", name), Patch({"status": {"allocatable": {"cpu": "4", "pods": "110"}}}, subresource="status")
        )


def run(rig: Rig, name: str, node: str, *, cpu: str = "2", labels: dict[str, str] | None = None, **spec: Any) -> None:
    """A pod of a controller that runs on the node."""
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "apps", "ownerReferences": [OWNER], "labels": labels or {}}
    status = {"phase": "Running"}
    rig.api.create(
        PODS,
        {"metadata": metadata, "spec": {"nodeName": node, "containers": [container], **spec}, "status": status},
        keep_status=True,
    )


async def look(rig: Rig, drains: Drains, name: str = "m1", *, by: Asker = Asker.USER) -> Plan:
    """What a drain of the machine would do now."""
    view = rig.views.machine(key(name))
    assert view is not None
    return await drains.plan(view, await pods_on(rig.kube, name), by=by, forced=False)


async def test_blocked_drain_seldom_asks_for_the_pods_of_the_whole_cluster(autojump_clock: MockClock) -> None:
    """A drain that a disruption budget holds up for ten minutes lists its own pods at each look, all pods each half minute, and
    never the nodes."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2")
        run(rig, "web", "m1")
        await rig.seen()
        drains = Drains(rig.kube, rig.store.nodes)
        before = rig.kube.count("list", PODS), rig.kube.count("list", NODES)
        for _ in range(120):
            assert [pod.metadata.name for pod in (await look(rig, drains)).evict] == ["web"]
            await trio.sleep(5)
        assert rig.kube.count("list", PODS) - before[0] == 120 + 20
        assert rig.kube.count("list", NODES) == before[1]


async def test_drains_that_wait_for_room_share_one_list(autojump_clock: MockClock) -> None:
    """Ten machines whose pods fit nowhere else do not each list all pods again: one list in half a minute serves them all."""
    names = [f"m{number}" for number in range(1, 11)]
    async with open_rig() as rig:
        stage(rig, *names)
        for name in names:
            run(rig, f"web-{name}", name, cpu="4")
        await rig.seen()
        drains = Drains(rig.kube, rig.store.nodes)
        before = rig.kube.count("list", PODS)
        for _ in range(12):
            for name in names:
                assert [blocker.reason for blocker in (await look(rig, drains, name)).blockers] == ["NoRoom"]
            await trio.sleep(30)
        assert rig.kube.count("list", PODS) - before == 12 * (10 + 1)


async def test_new_pod_is_judged_at_once(autojump_clock: MockClock) -> None:
    """An answer stands for the pods that it was about: one that came since is looked at anew, by a fresh list."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2")
        run(rig, "small", "m1", cpu="1")
        await rig.seen()
        drains = Drains(rig.kube, rig.store.nodes)
        assert not (await look(rig, drains)).blockers
        run(rig, "large", "m1", cpu="4")
        run(rig, "other", "m2", cpu="1")
        await trio.sleep(1)
        assert [blocker.pod for blocker in (await look(rig, drains)).blockers] == ["apps/large"]


async def test_two_drains_do_not_count_on_room_that_is_taken(autojump_clock: MockClock) -> None:
    """What moved a moment ago is counted where it is now: a drain that begins takes no older list for the truth."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2", "m3")
        run(rig, "one", "m1", cpu="4")
        await rig.seen()
        drains = Drains(rig.kube, rig.store.nodes)
        assert not (await look(rig, drains)).blockers
        run(rig, "moved", "m2", cpu="4")
        run(rig, "two", "m3", cpu="4")
        await trio.sleep(1)
        assert not (await look(rig, drains, "m1")).blockers  # its answer stands
        run(rig, "more", "m1", cpu="4")
        assert [blocker.pod for blocker in (await look(rig, drains, "m3")).blockers] == ["apps/two"]


async def test_node_that_comes_ends_the_wait_for_room(autojump_clock: MockClock) -> None:
    """Pods that fitted nowhere are looked at again soon after another machine is up."""
    async with open_rig() as rig:
        stage(rig, "m1")
        run(rig, "web", "m1")
        await rig.seen()
        drains = Drains(rig.kube, rig.store.nodes)
        assert (await look(rig, drains)).blockers
        await trio.sleep(10)
        stage_more(rig, "m2")
        await rig.seen()
        assert not (await look(rig, drains)).blockers


def stage_more(rig: Rig, name: str) -> None:
    """One more node that is up."""
    rig.kube_node(name)
    rig.api.patch(
        NODES, ("", name), Patch({"status": {"allocatable": {"cpu": "4", "pods": "110"}}}, subresource="status")
    )


async def test_volumes_of_a_machine_are_asked_for_by_name(autojump_clock: MockClock) -> None:
    """A pod with a volume on the machine blocks; the volumes of others are not listed, and hers are asked for seldom."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2")
        run(rig, "db", "m1", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])
        for number in range(3):
            rig.api.create(VOLUMES, {"metadata": {"name": f"other-{number}"}, "spec": {}})
        rig.api.create(VOLUMES, {"metadata": {"name": "disk"}, "spec": {"local": {"path": "/data"}}})
        rig.api.create(CLAIMS, {"metadata": {"name": "data", "namespace": "apps"}, "spec": {"volumeName": "disk"}})
        await rig.seen()
        drains = Drains(rig.kube, rig.store.nodes)
        for _ in range(12):
            assert [blocker.reason for blocker in (await look(rig, drains)).blockers] == ["PinnedVolume"]
            await trio.sleep(5)
        assert (rig.kube.count("list", VOLUMES), rig.kube.count("list", CLAIMS)) == (2, 2)


def on_disk(rig: Rig, affinity: Any) -> None:
    """A database whose volume a storage driver made, with this node affinity, on machines that carry the driver's label."""
    for name in ("m1", "m2"):
        rig.api.patch(NODES, ("", name), Patch({"metadata": {"labels": {"disks.example/node": name, "zone": "hall"}}}))
    run(rig, "db", "m1", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])
    source = {"driver": "disks.example", "volumeHandle": "v1"}
    rig.api.create(VOLUMES, {"metadata": {"name": "v1"}, "spec": {"csi": source, "nodeAffinity": affinity}})
    rig.api.create(CLAIMS, {"metadata": {"name": "data", "namespace": "apps"}, "spec": {"volumeName": "v1"}})


def only(key: str, *values: str) -> dict[str, Any]:
    """Required node affinity."""
    return {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}]}


@pytest.mark.parametrize(
    ("affinity", "reasons"),
    [
        ({"required": only("disks.example/node", "m1")}, ["PinnedVolume"]),
        ({"required": only("disks.example/node", "m1", "m9")}, ["PinnedVolume"]),
        ({"required": only("disks.example/node", "m1", "m2")}, []),
        ({"required": only("zone", "hall")}, []),
        ({}, []),
    ],
)
async def test_a_volume_that_no_other_node_can_have_keeps_its_machine_on(
    autojump_clock: MockClock, affinity: dict[str, Any], reasons: list[str]
) -> None:
    """A driver of local disks ties its volumes by node affinity, whatever its label is called: the pod is not evicted where no
    other node that is up matches. One that others can have too moves, also where Cluster Autoscaler asks."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2")
        on_disk(rig, affinity)
        await rig.seen()
        for by in (Asker.USER, Asker.CLUSTER_AUTOSCALER):
            found = await look(rig, Drains(rig.kube, rig.store.nodes), by=by)
            assert [blocker.reason for blocker in found.blockers] == reasons
            assert [pod.metadata.name for pod in found.evict] == ([] if reasons else ["db"])


def alone_on_its_node(rig: Rig, name: str, node: str, **changed: Any) -> None:
    """A replica of a workload that runs once a node."""
    like = {"matchLabels": {"app": name[:3]}}
    rule = {"labelSelector": like, "topologyKey": "kubernetes.io/hostname", **changed}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}
    run(rig, name, node, cpu="100m", labels={"app": name[:3]}, affinity=affinity)


def on_port(rig: Rig, name: str, node: str, port: int = 8443) -> None:
    """A pod that listens on a port of its node."""
    container = {"name": "c", "ports": [{"containerPort": 443, "hostPort": port, "protocol": "TCP"}]}
    run(rig, name, node, containers=[container])


@pytest.mark.parametrize("nodes", [("m1", "m2"), ("m1", "m2", "m3")])
@pytest.mark.parametrize("put", [alone_on_its_node, on_port])
async def test_a_place_that_only_one_pod_can_have_is_no_room(
    autojump_clock: MockClock, put: Any, nodes: tuple[str, ...]
) -> None:
    """A replica that shares no node with the others, or a pod that needs a port of its node, is not evicted while each other node
    has such a pod already; with one that has none it moves."""
    async with open_rig() as rig:
        stage(rig, *nodes)
        put(rig, "web-1", "m1")
        put(rig, "web-2", "m2")
        await rig.seen()
        found = await look(rig, Drains(rig.kube, rig.store.nodes))
        assert [blocker.reason for blocker in found.blockers] == ["NoRoom"] * (len(nodes) == 2)


async def test_places_of_others_are_no_concern(autojump_clock: MockClock) -> None:
    """Another workload, another port, another revision that may stand beside it: room is room."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2")
        alone_on_its_node(rig, "web-1", "m1")
        alone_on_its_node(rig, "api-1", "m2")
        alone_on_its_node(rig, "old-1", "m1", topologyKey="zone")
        alone_on_its_node(rig, "old-2", "m2", topologyKey="zone")
        on_port(rig, "one", "m1")
        on_port(rig, "two", "m2", 9443)
        await rig.seen()
        found = await look(rig, Drains(rig.kube, rig.store.nodes))
        assert (found.blockers, len(found.evict)) == ((), 3)


@pytest.mark.parametrize("allowed", [False, True])
async def test_room_counts_where_the_volume_can_be_had(autojump_clock: MockClock, allowed: bool) -> None:
    """The only other machine of the hall is full, and the one with room stands elsewhere: the pod stays, unless the group lets
    pods go without their volumes."""
    async with open_rig() as rig:
        stage(rig, "m1", "m2", "m3")
        on_disk(rig, {"required": only("zone", "hall")})
        run(rig, "full", "m2", cpu="4")
        if allowed:
            rig.api.patch(GROUPS, (SPACE, "g"), Patch({"spec": {"drain": {"allowPinned": True}}}))
        await rig.seen()
        found = await look(rig, Drains(rig.kube, rig.store.nodes))
        assert [blocker.reason for blocker in found.blockers] == ([] if allowed else ["NoRoom"])
