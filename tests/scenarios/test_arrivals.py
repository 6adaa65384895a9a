"""Pods that wait are told which machine boots for them, where that is asked for."""

from typing import Any

import trio
from tests.domain.builders import at, kube_node, pod
from tests.scenarios.stage import QUICK, boxes, rack, reach
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import KubeNodeStatus
from hexa.domain.words.arrivals import TOLD_AT_MOST, Boot, arrival, served
from hexa.testing.world import World, open_world


def told(world: World) -> list[tuple[str, str]]:
    """(pod, text) of each Event."""
    events = (event for event in world.journal.events if event.reason == "MachineBoots")
    return [(f"{event.about.namespace}/{event.about.name}", event.message) for event in events]


async def opened(world: World, *, eta: bool) -> None:
    """The agent is started with, or without, the setting."""
    world.agent.eta = eta
    await world.start_agent()
    await reach(world, Phase.OFF)


async def test_a_pod_is_told_once_a_boot_which_machine_comes(autojump_clock: MockClock) -> None:
    """Two pods, one machine: the one that fits is told, once, with times from the second boot on; the other is not."""
    group = rack(scaleDownUnneededTime="1m", wakeProof="Ignore", maxSize=1)
    async with open_world(groups=[group], machines=boxes(1), site=QUICK, agent=False) as world:
        await opened(world, eta=True)
        world.add_pods(2, cpu="3")
        await world.until(lambda: world.waiting == 1, within=60)
        ((_, text),) = told(world)
        assert text == "box-1 boots; how long that takes is not known yet"
        world.scale(0)
        await reach(world, Phase.OFF, within=900)
        world.add_pods(1, name="again", cpu="1")
        await world.until(lambda: world.waiting == 0, within=60)
        assert len(told(world)) == 2
        assert "box-1 boots, Ready about " in told(world)[1][1]
        assert "default/again-" in told(world)[1][0]


async def test_a_pod_that_comes_during_the_boot_is_told_too(autojump_clock: MockClock) -> None:
    """It is told within 15 s, once, if it fits beside those that were told before; after the boot nobody looks for pods."""
    group = rack(scaleDownUnneededTime="1h", wakeProof="Ignore", maxSize=1)
    async with open_world(groups=[group], machines=boxes(1, boot_seconds=60.0), site=QUICK, agent=False) as world:
        await opened(world, eta=True)
        world.add_pods(1, name="first", cpu="2")
        await world.until(lambda: len(told(world)) == 1, within=60)
        world.add_pods(1, name="second", cpu="1")
        world.add_pods(1, name="large", cpu="2")
        await world.until(lambda: len(told(world)) == 2, within=20)
        assert "default/second-" in told(world)[1][0]
        await reach(world, Phase.READY)
        await trio.sleep(20)
        world.add_pods(1, name="late", cpu="500m")
        await trio.sleep(120)
        assert len(told(world)) == 2


async def test_nobody_is_told_where_it_is_not_asked_for(autojump_clock: MockClock) -> None:
    """Without the setting pods that wait are neither listed nor told."""
    async with open_world(groups=[rack()], machines=boxes(1), site=QUICK, agent=False) as world:
        await opened(world, eta=False)
        world.add_pods(1, cpu="3")
        await world.until(lambda: world.waiting == 0, within=60)
        await trio.sleep(10)
        assert told(world) == []


def boot(name: str = "rack-3", **more: Any) -> Boot:
    """A machine that was woken at T0."""
    node = kube_node(name, status=KubeNodeStatus(allocatable={"cpu": "4", "pods": "110"}))
    return Boot(name=name, node=node, since=at(0), **more)


def test_the_time_is_the_median_of_recent_boots_rounded_up() -> None:
    """To the minute in UTC, with the p95 beside it; without a boot that was seen nothing is promised."""
    assert arrival(boot(boot_seconds=(100.0, 110.0, 200.0))) == "rack-3 boots, Ready about 08:02 UTC (p95 08:04)"
    assert arrival(boot(boot_seconds=(120.0,))) == "rack-3 boots, Ready about 08:02 UTC (p95 08:02)"
    assert arrival(boot()) == "rack-3 boots; how long that takes is not known yet"


def test_pods_are_told_of_a_machine_that_has_room_for_them() -> None:
    """First fit, the highest priority first, each machine as full as it can be, and a hundred pods at most."""
    pods = [pod(f"p{n}", requests={"cpu": "2"}, priority=n) for n in range(5)]
    found = [(each.metadata.name, of.name) for each, of in served([boot("a"), boot("b")], pods)]
    assert found == [("p4", "a"), ("p3", "a"), ("p2", "b"), ("p1", "b")]
    taken = [(pods[4], boot("a")), (pods[3], boot("a"))]
    found = [(each.metadata.name, of.name) for each, of in served([boot("a"), boot("b")], pods[:3], placed=taken)]
    assert found == [("p2", "b"), ("p1", "b")]
    small = [pod(f"p{n}", requests={"cpu": "1m"}) for n in range(TOLD_AT_MOST + 50)]
    assert len(list(served([boot("a"), boot("b")], small))) == TOLD_AT_MOST
