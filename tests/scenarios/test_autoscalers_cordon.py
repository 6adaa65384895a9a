"""Cluster Autoscaler (1.34 and later) cordons the nodes that it removes. That cordon is not a person's."""

import pytest
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import group, machine, open_world


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_a_machine_that_was_scaled_down_comes_back_schedulable(autojump_clock: MockClock, policy: str) -> None:
    """After Cluster Autoscaler tainted, cordoned and removed a node, the machine's next boot takes pods at once."""
    rack = group("rack", nodeLeavePolicy=policy)
    async with open_world(groups=[rack], machines=[machine("rack-1", group="rack", boot_seconds=30.0)]) as world:
        world.add_pods(1, cpu="2")
        for _ in range(2):
            world.scale(1)
            await world.until(lambda: world.waiting == 0, within=60)
            node = world.kube_node("rack-1")
            assert node is not None
            assert not node.spec.unschedulable
            world.scale(0)
            await world.until(lambda: world.phase("rack-1") is Phase.OFF, within=900)


async def test_a_persons_cordon_outlives_a_scale_down(autojump_clock: MockClock) -> None:
    """A node that a person had cordoned before Cluster Autoscaler removed it is cordoned again after its next boot."""
    rack = group("rack")
    async with open_world(groups=[rack], machines=[machine("rack-1", group="rack", boot_seconds=30.0)]) as world:
        world.add_pods(1, cpu="2")
        await world.until(lambda: world.waiting == 0, within=60)
        world.cordon("rack-1")
        world.scale(0)
        await world.until(lambda: world.phase("rack-1") is Phase.OFF, within=900)
        world.edit("rack-1", {"powerState": "on"})
        await world.until(lambda: world.phase("rack-1") is Phase.READY, within=60)
        await world.settle(quiet=5)
        node = world.kube_node("rack-1")
        assert node is not None
        assert node.spec.unschedulable
