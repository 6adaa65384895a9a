"""What machines cost when hexa sees them first, in calls of the API server: exact, so that no write creeps back."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from msgspec import Struct
from tests.app.rig import CAPACITY, POD, SPACE
from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.jobs import MemoryJobs
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.core import Core, Ports, open_core
from hexa.app.node import observing
from hexa.app.views.machines import MachineViews
from hexa.domain.resources.core import LEASES, NODES
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch

GROUP_COUNT, COUNT = 2, 20
BEAT = 10.0
OURS = "infra.homecluster.dev/v1alpha1"


class Site(Struct):
    """An API server that holds machines which hexa has never seen."""

    api: MemoryApi
    clock: MemoryClock
    kube: MemoryKube
    speaks: bool = True
    """Whether its kubelets renew their leases."""


def declare(api: MemoryApi, *, node: str) -> None:
    """Machines in groups with a maxSize, each with a Kubernetes node that is Ready, dead ("Unknown"), or not there ("")."""
    for number in range(GROUP_COUNT):
        metadata = {"name": f"g{number}", "namespace": SPACE}
        api.create(GROUPS, {"metadata": metadata, "spec": {"maxSize": COUNT}})
    for number in range(COUNT):
        metadata = {"name": f"m{number}", "namespace": SPACE, "labels": {"group": f"g{number % GROUP_COUNT}"}}
        spec = {"startupPodSpec": POD, "shutdownPodSpec": POD, "template": {"capacity": CAPACITY}}
        api.create(MACHINES, {"metadata": metadata, "spec": spec})
        if node:
            status = {"conditions": [{"type": "Ready", "status": node}], "capacity": CAPACITY}
            api.create(NODES, {"metadata": {"name": f"m{number}"}, "status": status}, keep_status=True)
            lease = {"metadata": {"name": f"m{number}", "namespace": "kube-node-lease"}, "spec": {}}
            api.create(LEASES, lease)


@asynccontextmanager
async def open_site(*, node: str) -> AsyncIterator[tuple[Site, Core]]:
    """The site, and an agent that has just begun to look at it; kubelets renew their leases, a little apart."""
    clock = MemoryClock()
    api = MemoryApi(clock)
    site = Site(api, clock, MemoryKube(api, latency=0.01))
    declare(api, node=node)
    ports = Ports(kube=site.kube, jobs=MemoryJobs(site.kube), clock=clock, journal=MemoryJournal(clock))
    async with open_core(ports) as core, trio.open_nursery() as nursery:
        if node == "True":
            nursery.start_soon(renew, site)
        yield site, core
        nursery.cancel_scope.cancel()


async def renew(site: Site) -> None:
    """Each kubelet renews its Lease once in `BEAT` seconds."""
    while True:
        for number in range(COUNT):
            await trio.sleep(BEAT / COUNT)
            if not site.speaks:
                return
            patch = Patch({"spec": {"renewTime": site.clock.now().isoformat()}})
            site.api.patch(LEASES, ("kube-node-lease", f"m{number}"), patch, manager="kubelet")


def asked(site: Site) -> Counter[tuple[str, str]]:
    """Calls since it was last asked, without the lists and watches that begin an agent's life."""
    found = Counter({call: count for call, count in site.kube.calls.items() if call[0] != "watch"})
    site.kube.calls.clear()
    return found


@pytest.mark.parametrize(
    ("node", "phase", "machine_writes", "node_writes"),
    [("True", "Ready", 2, 1), ("Unknown", "Off", 2, 2), ("", "Off", 2, 0)],
    ids=["live", "dead", "no node"],
)
async def test_first_sight_costs_two_writes_a_machine(
    autojump_clock: MockClock, node: str, phase: str, machine_writes: int, node_writes: int
) -> None:
    """Its wish and its status, and what its Kubernetes node lacks: no more, and no list of pods. A group is reported each
    2 s at most."""
    async with open_site(node=node) as (site, core):
        start = asked(site)
        await trio.sleep(120)
        calls = start + asked(site)
        assert {each.status.phase for each in core.store.machines.objects.values()} == {phase}
        assert calls["patch", f"{OURS}/nodes"] == machine_writes * COUNT
        assert calls["patch", "v1/nodes"] == node_writes * COUNT
        assert calls["list", "v1/pods"] == len(core.store.guarding_pods)
        assert calls["patch", f"{OURS}/groups"] <= GROUP_COUNT * 9
        assert {verb for verb, _ in calls} == {"list", "patch"}


async def test_first_sight_looks_at_each_kubernetes_node_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose marks a Kubernetes node bears is looked up once for each node, however many machines have none of their own."""
    looks: list[str] = []
    owner = observing.owner_of
    monkeypatch.setattr(observing, "owner_of", lambda node: (looks.append(node.metadata.name), owner(node))[1])
    clock = MemoryClock()
    api = MemoryApi(clock)
    declare(api, node="")
    for number in range(COUNT):
        api.create(NODES, {"metadata": {"name": f"stranger-{number}"}})
    kube = MemoryKube(api)
    ports = Ports(kube=kube, jobs=MemoryJobs(kube), clock=clock, journal=MemoryJournal(clock))
    async with open_core(ports) as core:
        await trio.sleep(120)
        assert {each.status.phase for each in core.store.machines.objects.values()} == {"Off"}
    assert len(looks) == COUNT


async def test_live_machines_make_no_work_while_nothing_happens(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is up and renews its lease is not looked at again, and nothing is written; one that falls silent is found
    lost when its lease is late."""
    async with open_site(node="True") as (site, core):
        await trio.sleep(120)
        asked(site)
        looks: list[str] = []
        judge = MachineViews.machine
        monkeypatch.setattr(MachineViews, "machine", lambda views, key: (looks.append(key.name), judge(views, key))[1])
        await trio.sleep(600)
        assert (looks, asked(site)) == ([], Counter())
        site.speaks = False
        await trio.sleep(60)
        assert {each.status.phase for each in core.store.machines.objects.values()} == {"Lost"}


async def test_what_happens_to_one_machine_costs_no_look_at_the_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its group is judged and reported again, with what is known of the other machines."""
    async with open_site(node="Unknown") as (site, core):
        await trio.sleep(120)
        looks: set[str] = set()
        judge = MachineViews.machine
        monkeypatch.setattr(MachineViews, "machine", lambda views, key: (looks.add(key.name), judge(views, key))[1])
        site.api.patch(MACHINES, (SPACE, "m0"), Patch({"spec": {"powerState": "on"}}), manager="kubectl")
        await trio.sleep(5)
        group = core.store.groups.get(SPACE, "g0")
        assert group is not None
        assert group.status.target == 1
        assert looks == {"m0"}


async def test_what_happens_to_one_kubernetes_node_costs_no_look_at_the_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its own machine is put together anew, however often Cluster Autoscaler asks for the group meanwhile."""
    async with open_site(node="True") as (site, core):
        await trio.sleep(120)
        looks: set[str] = set()
        judge = MachineViews.machine
        core.cloud.groups()
        monkeypatch.setattr(MachineViews, "machine", lambda views, key: (looks.add(key.name), judge(views, key))[1])
        site.api.patch(NODES, ("", "m0"), Patch({"metadata": {"labels": {"rack": "a"}}}), manager="kubectl")
        await trio.sleep(5)
        assert len(core.cloud.groups()) == GROUP_COUNT
        assert looks == {"m0"}
