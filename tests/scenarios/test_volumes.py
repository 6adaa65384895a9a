"""Volumes that are still attached when the pods of a machine are gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from tests.scenarios.stage import at, boxes, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.settings import Settings as Site
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import BUDGETS, CLAIMS, VOLUMES
from hexa.testing.world import World, open_world

CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


@asynccontextmanager
async def site(detach: float, *, daemon: bool = False, **drain: Any) -> AsyncIterator[World]:
    """Two machines; a pod on the first has a volume that takes so many seconds to be unmounted."""
    quick = Site(pod_start=0.2, pod_stop=0.2, volume_detach=detach)
    group = rack(drain=drain, timeouts={"drain": "5m"})
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=quick) as world:
        csi = {"driver": "disks.example", "volumeHandle": "disk-7"}
        world.site.api.create(VOLUMES, {"metadata": {"name": "disk"}, "spec": {"csi": csi}})
        claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "disk"}}
        world.site.api.create(CLAIMS, claim)
        await up(world)
        if daemon:
            world.site.add_daemonset("data", namespace="default", volumes=[CLAIM])
        else:
            world.add_pods(1, cpu="1", volumes=[CLAIM])
        await world.until(lambda: attached(world), within=20)
        await up(world, "box-2")
        yield world


def attached(world: World) -> list[str]:
    """Volumes of the first machine's node."""
    node = world.kube_node("box-1")
    return [] if node is None else [volume.name for volume in node.status.volumes_attached]


@pytest.mark.parametrize(
    ("detach", "limit", "least", "most"), [(30, {}, 30, 40), (1e6, {}, 120, 130), (30, {"volumeDetach": "0s"}, 0, 5)]
)
async def test_failure_62_a_drain_waits_until_volumes_are_detached(
    autojump_clock: MockClock, detach: float, limit: dict[str, str], least: float, most: float
) -> None:
    """The machine is not switched off while a volume is attached, for two minutes unless the group says otherwise; the condition
    Blocked names the volume, and an Event says so when the wait was in vain."""
    async with site(detach, **limit) as world:
        begun = trio.current_time()
        await switch(world, "off")
        if least:
            await trio.sleep(least / 2)
            assert world.phase("box-1") is Phase.DRAINING
            (told,) = [c.message for c in world.node("box-1").status.conditions if c.type == "Blocked"]
            assert "kubernetes.io/csi/disks.example^disk-7" in told
        await world.until(at(world, Phase.POWERING_OFF), within=300, every=0.1)
        assert least <= trio.current_time() - begun <= most
        left = [event.message for event in world.journal.events if event.reason == "VolumesLeft"]
        assert (len(left), attached(world) != []) == ((1, True) if least == 120 else (0, least == 0))
        await reach(world, Phase.OFF)


async def test_failure_62_the_volume_of_a_pod_that_stays_is_not_waited_for(autojump_clock: MockClock) -> None:
    """A DaemonSet's pod keeps its volume as long as its machine runs."""
    async with site(30, daemon=True) as world:
        await switch(world, "off")
        await world.until(at(world, Phase.POWERING_OFF), within=10, every=0.1)
        assert attached(world) == ["kubernetes.io/csi/disks.example^disk-7"]


@pytest.mark.parametrize("how", ["paused", pytest.param("outage", marks=pytest.mark.long)])
async def test_failure_62_time_that_stood_still_is_no_part_of_the_wait(autojump_clock: MockClock, how: str) -> None:
    """A drain that was paused, or saw no API server, for longer than it may last waits for volumes as long as any other."""
    async with site(60) as world:
        world.add_budget(minAvailable=1)
        await switch(world, "off")
        await trio.sleep(5)
        if how == "paused":
            world.edit("box-1", {"paused": {"reason": "a visit"}})
        else:
            world.inject({"kind": "outage", "duration": 400})
        await trio.sleep(400)
        world.edit("box-1", {"paused": None})
        world.site.api.delete(BUDGETS, ("default", "load"))
        await world.until(lambda: not any(pod.spec.node_name == "box-1" for pod in world.pods()), within=70)
        assert attached(world)
        await reach(world, Phase.POWERING_OFF)
        assert not attached(world)


@pytest.mark.long
async def test_failure_62_hexa_killed_while_it_waits_goes_on_waiting(autojump_clock: MockClock) -> None:
    """The next life of hexa waits anew, and no longer than the drain may take."""
    async with site(1e6) as world:
        begun = trio.current_time()
        await switch(world, "off")
        for _ in range(4):
            await trio.sleep(70)
            assert world.phase("box-1") is Phase.DRAINING
            await world.restart_agent()
        await world.until(at(world, Phase.POWERING_OFF), within=60, every=0.1)
        assert 295 <= trio.current_time() - begun <= 320
