"""The day that the page draws, over a whole site."""

from datetime import timedelta
from itertools import pairwise

import trio
from tests.scenarios.stage import QUICK, at, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.history import history
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.words.history import Stretch
from hexa.testing.world import World, open_world


def day(world: World) -> tuple[Stretch, ...]:
    """What the agent that runs now says of the last 24 hours, without what it saw itself."""
    life = world.agent.life
    assert life is not None
    snapshot = Snapshot(life.core.store, life.core.views, now=world.now, notes=())
    return history(snapshot, (), world.now - timedelta(hours=24))


async def test_the_day_survives_a_restart(autojump_clock: MockClock) -> None:
    """Who restarts hexa loses nothing of the day that the page draws, and there is no gap in it."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=60)
        await switch(world, "on")
        await reach(world, Phase.READY)
        await trio.sleep(1)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        before = day(world)
        assert [each.phase for each in before][-5:] == ["PoweringOn", "Booting", "Ready", "PoweringOff", "Off"]
        assert all(one.end == other.start for one, other in pairwise(before))
        await world.restart_agent(after=300)
        assert day(world) == before
