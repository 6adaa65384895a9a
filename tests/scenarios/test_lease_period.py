"""Kubelets that renew their Lease more seldom than by default (nodeLeaseDurationSeconds)."""

import pytest
import trio
from tests.scenarios.stage import boxes, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.settings import Settings as Site
from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import open_world

SELDOM = Site(pod_start=0.2, pod_stop=0.2, lease=300.0, beat=75.0)


async def test_a_kubelet_that_renews_seldom_is_not_lost_to_a_restart(autojump_clock: MockClock) -> None:
    """hexa that starts anew waits for a lease period of that kubelet, not of the default, before it takes silence for silence."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=SELDOM) as world:
        await up(world)
        for away in (1.0, 70.0):
            await world.restart_agent(after=away)
            for _ in range(12):
                await trio.sleep(10)
                assert world.phase("box-1") is Phase.READY


@pytest.mark.long
@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_its_node_leaves_on_the_silence_of_two_of_its_periods(autojump_clock: MockClock, policy: str) -> None:
    """Without a sensor the Kubernetes node of a machine that is off is deleted ten minutes after its last sign of life."""
    async with open_world(
        groups=[rack(nodeLeavePolicy=policy)], machines=boxes(1), autoscaler=None, site=SELDOM
    ) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.OFF, within=600)
        await trio.sleep(290)
        assert world.kube_node("box-1") is not None
        await trio.sleep(400)
        assert (world.kube_node("box-1") is None) is (policy == "Delete")
