"""A machine that runs under another name than hexa knows is not switched off with pods on it."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, rack, reach, switch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.ports.cloud import Done, ExternalNode
from hexa.testing.world import Machine, World, machine, open_world

OTHER = "box-1.lab.example"


UNLIKE = "talos-7xk"


def renamed(name: str = OTHER, **more: Any) -> Machine:
    """A machine whose kubelet joins under its full host name, or another one."""
    return machine("box-1", group="rack", boot_seconds=8.0, node_name=name, **more)


async def joined(world: World, name: str = OTHER) -> None:
    """It was woken, and a pod came to it under that name."""
    await reach(world, Phase.OFF)
    await trio.sleep(60)  # what else is there was there before
    await switch(world, "on")
    await world.until(lambda: world.kube_node(name), within=60)
    world.add_pods(1, cpu="1")
    await world.until(lambda: world.waiting == 0, within=30)


@pytest.mark.parametrize(("by", "name"), [("person", OTHER), ("autoscaler", OTHER), ("autoscaler", UNLIKE)])
async def test_failure_57_pods_under_another_name_keep_the_machine_on(
    autojump_clock: MockClock, by: str, name: str
) -> None:
    """Whoever wants it off while it is waited for, it stays on and says why; once the pods are gone it goes off."""
    async with open_world(groups=[rack()], machines=[renamed(name)], autoscaler=None, site=QUICK) as world:
        await joined(world, name)
        if by == "person":
            await switch(world, "off")
        else:
            gone = ExternalNode(name="", provider_id="hexa://machines/box-1")
            assert isinstance(await world.cloud.delete_nodes("machines/rack", nodes=[gone]), Done)
        await trio.sleep(40)
        assert f"set spec.kubernetesNodeName: {name}" in world.node("box-1").status.blocker
        assert name in next(c.message for c in world.node("box-1").status.conditions if c.reason == "OtherName")
        await trio.sleep(900)
        assert world.site.report().pods_killed == 0
        assert world.hardware("box-1").power
        world.scale(0)
        await switch(world, "off")
        await world.until(lambda: not world.hardware("box-1").power, within=1200)
        assert world.site.report().pods_killed == 0


@pytest.mark.parametrize(("by", "name"), [("person", OTHER), ("autoscaler", UNLIKE)])
async def test_failure_57_pods_under_another_name_that_falls_silent_keep_the_machine_on(
    autojump_clock: MockClock, by: str, name: str
) -> None:
    """The network to it is cut while its pods block the off: that the other node is not Ready any more proves nothing."""
    async with open_world(groups=[rack()], machines=[renamed(name)], autoscaler=None, site=QUICK) as world:
        await joined(world, name)
        if by == "person":
            await switch(world, "off")
        else:
            gone = ExternalNode(name="", provider_id="hexa://machines/box-1")
            assert isinstance(await world.cloud.delete_nodes("machines/rack", nodes=[gone]), Done)
        await trio.sleep(40)
        world.inject({"kind": "partition", "machine": "box-1"})
        await trio.sleep(1500)
        assert world.hardware("box-1").power
        assert world.site.report().pods_killed == 0
        assert f"set spec.kubernetesNodeName: {name}" in world.node("box-1").status.blocker


async def test_failure_57_a_machine_under_another_name_is_not_cycled(autojump_clock: MockClock) -> None:
    """It reads On and is silent under the name that hexa knows: its power is not cut as long as the other name is Ready."""
    group = rack(remediation={"powerCycle": True, "after": "2m"})
    box = renamed(sensor=True, hard_off=True)
    async with open_world(groups=[group], machines=[box], autoscaler=None, site=QUICK) as world:
        await joined(world)
        await reach(world, Phase.START_FAILED, within=300)
        await trio.sleep(900)
        assert world.site.report().pods_killed == 0
        assert world.hardware("box-1").offs == 0
