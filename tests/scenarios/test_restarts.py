"""hexa starts again in the midst of a boot: what came while it was away is seen at once, and no wake is sent for nothing."""

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, at, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import World, open_world


async def known(world: World) -> None:
    """Every machine is known as off."""
    await world.until(at(world, Phase.OFF), within=60)
    await trio.sleep(1)


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_failure_53_a_node_that_became_ready_while_hexa_was_away(autojump_clock: MockClock, policy: str) -> None:
    """It is found Ready and opened to pods within a second of the start, not at its next renewal, and is not woken again: the Lease
    says something else than when the wake was sent. Under Keep the old Lease stands all the while."""
    async with open_world(
        groups=[rack(nodeLeavePolicy=policy)], machines=boxes(), autoscaler=None, site=QUICK
    ) as world:
        await known(world)
        if policy == "Keep":  # it leaves a node and a Lease behind
            await switch(world, "on")
            await reach(world, Phase.READY)
            await trio.sleep(5)
            await switch(world, "off")
            await reach(world, Phase.OFF)
            await trio.sleep(200)
            assert world.kube_node("box-1") is not None
        jobs = JobWatch(world)
        await switch(world, "on")
        await reach(world, Phase.BOOTING)
        await world.restart_agent(after=13)
        assert await world.until(lambda: world.node("box-1").status.welcomed, within=10, every=0.1) < 1
        await trio.sleep(120)
        assert jobs.of("box-1") == ["startup"]
        assert world.phase("box-1") is Phase.READY


async def test_failure_53_killed_every_seven_seconds(autojump_clock: MockClock) -> None:
    """An agent that is killed every seven seconds, and takes five to be back, wakes the machine once, and its pod runs in its
    next life after the machine is up."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.add_pods(1, cpu="1")
        await switch(world, "on")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def die_often() -> None:
                    while True:
                        await trio.sleep(2)
                        await world.restart_agent(after=5)

                nursery.start_soon(die_often)
                assert await world.until(lambda: world.waiting == 0, within=180) < 20
                await trio.sleep(60)
                scope.cancel()
        assert jobs.of("box-1") == ["startup"]


async def test_failure_53_a_wake_that_was_lost_is_sent_again_after_a_restart(autojump_clock: MockClock) -> None:
    """The packet was lost and hexa starts anew: it watches for a lease period, and then sends the wake again."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, Phase.BOOTING)
        await world.restart_agent(after=13)
        await trio.sleep(39)
        assert jobs.of("box-1") == ["startup"]
        await reach(world, Phase.READY, within=30)
        assert jobs.of("box-1") == ["startup", "startup"]


async def test_failure_53_a_machine_that_died_while_hexa_was_away_is_not_taken_for_up(
    autojump_clock: MockClock,
) -> None:
    """It answered the wake and crashed before hexa was back: it is not held for Ready, and is woken again."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await known(world)
        await switch(world, "on")
        await reach(world, Phase.BOOTING)
        world.agent.kill()
        await trio.sleep(20)
        world.inject({"kind": "buttonOff", "machine": "box-1"})
        await trio.sleep(100)
        await world.start_agent()
        await trio.sleep(30)
        assert world.phase("box-1") is not Phase.READY
        await reach(world, Phase.READY, within=200)
        assert world.hardware("box-1").power
