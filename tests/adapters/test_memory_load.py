"""What a scenario may rely on of the load of a site in RAM: scheduling, workloads, eviction, and what it costs to simulate."""

import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.memory.cluster.conditions import is_true
from hexa.adapters.memory.cluster.pods import PodsByNode
from hexa.adapters.memory.ports.heartbeats import open_heartbeats
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.memory.site.site import Site, open_site
from hexa.domain.resources.core import BUDGETS, JOBS, NODES, PODS, Kind, Pod
from hexa.ports.kube import Blocked, Evicted, Patch, PatchStyle

WEEK = 7 * 86400


@pytest.fixture
async def site(autojump_clock: MockClock) -> AsyncIterator[Site]:
    """A site with a control plane and nothing else."""
    async with open_site() as site:
        site.add_control_plane()
        yield site


def where(site: Site) -> Counter[str]:
    """How many pods each node has; those that wait under ""."""
    return Counter(stored.raw["spec"].get("nodeName", "") for stored in site.api.find(PODS))


def pod(site: Site, name: str) -> Pod:
    """The pod of that name."""
    stored = site.api.get(PODS, name, "default")
    found = stored.decoded(PODS) if stored is not None else None
    assert isinstance(found, Pod)
    return found


def required(*expressions: dict[str, Any], field: str = "matchExpressions") -> dict[str, Any]:
    """A required node affinity of one term."""
    terms = {"nodeSelectorTerms": [{field: list(expressions)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


# --- the scheduler ------------------------------------------------------------------------------


async def test_pods_fill_what_is_free_and_no_more(autojump_clock: MockClock, site: Site) -> None:
    """Requests are counted exactly against cores, memory and the number of pods; who does not fit says Unschedulable."""
    site.add_machine("cores", on=True, cpu="300m")
    site.add_machine("memory", on=True, cpu="64", memory="200Mi")
    site.add_machine("count", on=True, cpu="64", pods=1)
    site.add_workload("web", replicas=8, cpu="0.1", memory="100Mi")
    await trio.sleep(5)
    assert where(site) == {"cores": 3, "memory": 2, "count": 1, "": 2}
    waiting = [stored.decoded(PODS) for stored in site.api.find(PODS) if "nodeName" not in stored.raw["spec"]]
    for found in waiting:
        assert isinstance(found, Pod)
        assert [(c.type, c.status, c.reason) for c in found.status.conditions] == [
            ("PodScheduled", "False", "Unschedulable")
        ]


async def test_extended_resources_are_counted(autojump_clock: MockClock, site: Site) -> None:
    """A pod that requests a GPU goes where one is free."""
    site.add_machine("plain", on=True, cpu="64")
    site.add_machine("gpu", on=True, resources={"nvidia.com/gpu": "1"})
    container = {"name": "main", "image": "x", "resources": {"requests": {"nvidia.com/gpu": "1"}}}
    for name in ("a", "b"):
        site.add_pod(name, containers=[container])
    await trio.sleep(5)
    assert where(site) == {"gpu": 1, "": 1}


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ({}, "plain"),
        ({"nodeSelector": {"disk": "ssd"}}, "ssd"),
        ({"nodeSelector": {"disk": "tape"}}, ""),
        ({"tolerations": [{"key": "only", "operator": "Exists"}], "nodeSelector": {"for": "batch"}}, "tainted"),
        ({"tolerations": [{"key": "only", "value": "batch"}], "nodeSelector": {"for": "batch"}}, "tainted"),
        ({"tolerations": [{"key": "only", "value": "web"}], "nodeSelector": {"for": "batch"}}, ""),
        ({"nodeSelector": {"for": "batch"}}, ""),
        ({"affinity": required({"key": "disk", "operator": "In", "values": ["ssd", "nvme"]})}, "ssd"),
        ({"affinity": required({"key": "disk", "operator": "NotIn", "values": ["hdd"]})}, "ssd"),
        ({"affinity": required({"key": "disk", "operator": "DoesNotExist"})}, ""),
        (
            {"affinity": required({"key": "metadata.name", "operator": "In", "values": ["ssd"]}, field="matchFields")},
            "ssd",
        ),
    ],
)
async def test_where_a_pod_may_go(autojump_clock: MockClock, site: Site, spec: dict[str, Any], node: str) -> None:
    """Selectors, tolerations and required affinity decide as in a real scheduler; the rest waits."""
    site.add_machine("plain", on=True, cpu="8", labels={"disk": "hdd"})
    site.add_machine("ssd", on=True, cpu="2", labels={"disk": "ssd"})
    taint = {"key": "only", "value": "batch", "effect": "NoSchedule"}
    site.add_machine("tainted", on=True, cpu="64", labels={"for": "batch", "disk": "hdd"}, taints=(taint,))
    site.add_pod("p", **spec)
    await trio.sleep(1)
    assert pod(site, "p").spec.node_name == node


async def test_a_pod_waits_for_a_machine(autojump_clock: MockClock, site: Site) -> None:
    """A pod that found no place is bound the moment a node is Ready, and its wait is measured."""
    machine = site.add_machine("m1", boot_seconds=60)
    site.add_pod("p")
    await trio.sleep(10)
    machine.wake()
    await trio.sleep(62)
    assert pod(site, "p").status.phase == "Running"
    assert site.report().waits == (71,)


async def test_a_pod_takes_the_place_of_one_that_ended(autojump_clock: MockClock, site: Site) -> None:
    """What a finished pod leaves free goes to the first that waited, by priority and then by age."""
    site.add_machine("m1", on=True, cpu="1")
    site.add_pod("first", run=60, cpu="1")
    await trio.sleep(5)
    site.add_pod("second", run=60, cpu="1")
    site.add_pod("third", run=60, cpu="1", priority=5)
    await trio.sleep(60)
    assert (pod(site, "third").spec.node_name, pod(site, "second").spec.node_name) == ("m1", "")
    await trio.sleep(70)
    assert pod(site, "second").spec.node_name == "m1"


async def test_a_cordoned_node_gets_no_pods_until_it_is_uncordoned(autojump_clock: MockClock, site: Site) -> None:
    """Cordon and uncordon take effect at once."""
    site.add_machine("m1", on=True)
    kube = site.client()
    await kube.patch(NODES, "m1", Patch({"spec": {"unschedulable": True}}))
    site.add_pod("p")
    await trio.sleep(5)
    assert pod(site, "p").spec.node_name == ""
    await kube.patch(NODES, "m1", Patch({"spec": {"unschedulable": None}}, style=PatchStyle.STRATEGIC))
    await trio.sleep(1)
    assert pod(site, "p").spec.node_name == "m1"


async def test_a_node_that_is_avoided_comes_last(autojump_clock: MockClock, site: Site) -> None:
    """PreferNoSchedule taints (Cluster Autoscaler's candidates) keep pods away while another node has room."""
    site.add_machine("big", on=True, cpu="64")
    site.add_machine("small", on=True, cpu="1")
    taints = [{"key": "DeletionCandidateOfClusterAutoscaler", "effect": "PreferNoSchedule"}]
    await site.client().patch(NODES, "big", Patch({"spec": {"taints": taints}}))
    site.add_workload("web", replicas=3, cpu="500m")
    await trio.sleep(1)
    assert where(site) == {"small": 2, "big": 1}


# --- workloads ----------------------------------------------------------------------------------


async def test_a_workload_keeps_its_number(autojump_clock: MockClock, site: Site) -> None:
    """Evicted, deleted and scaled: there are as many pods as wanted, the youngest go first."""
    site.add_machine("m1", on=True)
    site.add_workload("web", replicas=3)
    await trio.sleep(5)
    names = [stored.key[1] for stored in site.api.find(PODS)]
    kube = site.client()
    assert await kube.evict(names[0], namespace="default") == Evicted()
    await kube.delete(PODS, names[1], namespace="default")
    await trio.sleep(5)
    left = [stored.key[1] for stored in site.api.find(PODS)]
    assert (len(left), set(left) & set(names)) == (3, {names[2]})
    site.scale("web", 1)
    await trio.sleep(5)
    assert [stored.key[1] for stored in site.api.find(PODS)] == [names[2]]


async def test_every_node_has_its_daemon(autojump_clock: MockClock, site: Site) -> None:
    """A DaemonSet runs on each node, cordoned and tainted ones too, and comes back where it is deleted."""
    site.add_daemonset("logs")
    machine = site.add_machine("m1", boot_seconds=10, taints=({"key": "t", "effect": "NoSchedule"},))
    machine.wake()
    await trio.sleep(15)
    assert where(site) == {"control-plane": 1, "m1": 1}
    (on_m1,) = (stored for stored in site.api.find(PODS) if stored.raw["spec"]["nodeName"] == "m1")
    await site.client().delete(PODS, on_m1.key[1], namespace="kube-system")
    await trio.sleep(5)
    assert where(site) == {"control-plane": 1, "m1": 1}


async def test_work_that_is_evicted_starts_anew(autojump_clock: MockClock, site: Site) -> None:
    """A Job's pod that is evicted is followed by another one, which needs the whole time again; then the Job is gone."""
    site.add_machine("m1", on=True)
    site.add_job("batch", run=100)
    await trio.sleep(50)
    (stored,) = site.api.find(PODS)
    await site.client().evict(stored.key[1], namespace="default")
    await trio.sleep(100)
    assert [found.raw["status"]["phase"] for found in site.api.find(PODS)] == ["Running"]
    await trio.sleep(20)
    assert (site.api.find(PODS), site.api.find(JOBS)) == ([], [])


async def test_failed_work_is_followed_by_one_pod(autojump_clock: MockClock, site: Site) -> None:
    """A Job's pod that failed in a reboot is replaced once, also when its remains are cleaned up."""
    machine = site.add_machine("m1", on=True, boot_seconds=10)
    site.add_job("batch", run=100)
    await trio.sleep(50)
    machine.reboot()
    await trio.sleep(30)
    (failed,) = (found for found in site.api.find(PODS) if found.raw["status"]["phase"] == "Failed")
    await site.client().delete(PODS, failed.key[1], namespace="default")
    await trio.sleep(30)
    assert [found.raw["status"]["phase"] for found in site.api.find(PODS)] == ["Running"]


async def test_a_budget_holds_until_the_replacement_is_ready(autojump_clock: MockClock, site: Site) -> None:
    """With maxUnavailable 1 the second eviction is blocked until the first pod's successor runs."""
    site.add_machine("m1", on=True)
    site.add_workload("web", replicas=2)
    spec = {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1}
    kube = site.client()
    await kube.create(BUDGETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    await trio.sleep(5)
    first, second = (stored.key[1] for stored in site.api.find(PODS))
    assert await kube.evict(first, namespace="default") == Evicted()
    blocked = await kube.evict(second, namespace="default")
    assert isinstance(blocked, Blocked)
    await trio.sleep(5)
    assert await kube.evict(second, namespace="default") == Evicted()


# --- what it costs ------------------------------------------------------------------------------


async def follow(kube: MemoryKube, kind: Kind[Any], seen: Counter[str]) -> None:
    """Watch as hexa does."""
    listing = await kube.list(kind)
    async with kube.watch(kind, since=listing.resource_version) as changes:
        async for change in changes:
            seen[change.type] += 1


@pytest.mark.long
async def test_a_week_of_twenty_machines_and_two_thousand_pods(autojump_clock: MockClock, site: Site) -> None:
    """A whole week of load passes without losing a pod; what it took is printed, for people who work on its speed."""
    began, rng, seen = time.process_time(), random.Random(1), Counter[str]()
    for index in range(20):
        site.add_machine(f"m{index}", group="rack", on=True)
    async with trio.open_nursery() as nursery:
        for kind in (PODS, NODES, JOBS):
            nursery.start_soon(follow, site.client(), kind, seen)
        for at in sorted(rng.uniform(0, WEEK - 7200) for _ in range(2000)):
            await trio.sleep_until(at)
            site.add_job(f"job-{site.api.version}", run=rng.uniform(600, 6000), cpu="1")
        await trio.sleep_until(WEEK)
        nursery.cancel_scope.cancel()
    report = site.report()
    print(f"\n{time.process_time() - began:.2f} s of CPU, {site.api.version} versions, {seen.total()} changes watched")
    assert (report.pods_run, report.pods_lost, site.waiting, site.api.find(PODS)) == (2000, 0, 0, [])
    assert report.on_hours == pytest.approx(20 * 168)
    assert max(report.waits) == 1


async def test_a_place_of_after_the_snapshot_is_free_again(autojump_clock: MockClock, site: Site) -> None:
    """A pod that waited when the snapshot of etcd was taken, and has run since, waits again and finds room once it is put back."""
    site.add_machine("one", on=True, cpu="4")
    await trio.sleep(120)
    site.api.patch(NODES, ("", "one"), Patch({"spec": {"unschedulable": True}}))
    site.add_pod("first", cpu="3")
    await trio.sleep(10)
    snapshot = site.api.snapshot()

    def node() -> str:
        found = site.api.get(PODS, "first", "default")
        assert found is not None
        return str(found.raw["spec"].get("nodeName", ""))

    for _ in range(2):
        assert node() == ""
        site.api.patch(NODES, ("", "one"), Patch({"spec": {"unschedulable": None}}))
        await trio.sleep(10)
        assert node() == "one"
        site.api.restore(snapshot, seconds=1)
        await trio.sleep(10)


async def test_a_pod_that_a_snapshot_unbinds_leaves_its_machine(autojump_clock: MockClock, site: Site) -> None:
    """Its kubelet sees it no more and ends it; nobody counts it on the node any longer."""
    site.add_machine("one", on=True, cpu="4")
    await trio.sleep(120)
    site.api.patch(NODES, ("", "one"), Patch({"spec": {"unschedulable": True}}))
    site.add_pod("first", cpu="3")
    await trio.sleep(10)
    snapshot, counted = site.api.snapshot(), PodsByNode(site.api)
    site.api.patch(NODES, ("", "one"), Patch({"spec": {"unschedulable": None}}))
    await trio.sleep(10)
    assert [pod.key[1] for pod in counted.on("one")] == ["first"]
    site.api.patch(NODES, ("", "one"), Patch({"spec": {"unschedulable": True}}))
    site.api.restore(snapshot, seconds=1)
    await trio.sleep(10)
    assert not counted.on("one")
    assert site.kubelets["one"].die() == []


async def test_a_kubelet_posts_its_status_again_after_a_restore(autojump_clock: MockClock, site: Site) -> None:
    """The snapshot says that it was silent; it speaks, and its node is Ready with one of its next beats."""
    machine = site.add_machine("one", on=True, cpu="4")
    await trio.sleep(120)
    machine.partition(True)
    await trio.sleep(120)
    snapshot = site.api.snapshot()
    assert not ready(site)
    machine.partition(False)
    await trio.sleep(60)
    site.api.restore(snapshot, seconds=1)
    assert not ready(site)
    await trio.sleep(site.settings.beat + 1)
    assert ready(site)


def ready(site: Site) -> bool:
    """Whether the Kubernetes node of the machine says so."""
    node = site.api.get(NODES, "one")
    return node is not None and is_true(node.raw["status"], "Ready")


async def test_each_beat_is_news_of_a_machine_whose_node_is_gone(autojump_clock: MockClock, site: Site) -> None:
    """A restored snapshot lacks the Node, its kubelet goes on and does not register anew: who asks once is told of each beat."""
    snapshot = site.api.snapshot()
    site.add_machine("one", on=True, cpu="4")
    await trio.sleep(120)
    site.api.restore(snapshot, seconds=1)
    async with open_heartbeats(site) as heartbeats:
        told = list[str]()

        def heard(node: str) -> None:
            told.append(node)
            assert heartbeats.life(node) is not None

        heartbeats.subscribe(heard)
        await trio.sleep(35)
    assert told.count("one") >= 3
