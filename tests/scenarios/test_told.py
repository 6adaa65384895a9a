"""What hexa tells whoever subscribes: in order, with the call or the decision that began it."""

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.app.news import Newsroom
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.news import News
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import World, open_world


def newsroom(world: World) -> Newsroom:
    """Where the agent that runs tells what happens."""
    life = world.agent.life
    assert life is not None
    return life.core.news


def subscribed(world: World) -> list[News]:
    """Everything that is told from now on."""
    heard = list[News]()
    newsroom(world).subscribe(heard.append)
    return heard


def steps(heard: list[News], *, cause: str) -> list[str]:
    """What had this cause."""
    return [str(each.what) for each in heard if each.cause == cause]


async def at_rest(world: World) -> None:
    """hexa knows that its machines are off."""
    await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=60)
    await trio.sleep(1)


async def test_a_scale_up_is_told_in_order_with_its_cause(autojump_clock: MockClock) -> None:
    """Who subscribes follows a scale-up, and the scale-down after it, from the call to the last step by one id each."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await at_rest(world)
        heard = subscribed(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)
        await trio.sleep(30)
        up = ["ScaleUp", "PoweringOn", "StartupJob", "Booting", "Ready"]
        assert steps(heard, cause="IncreaseSize-1") == up
        assert (str(heard[0].of), heard[0].by, heard[0].why) == (ID, "cluster-autoscaler", "wanted on: box-1")
        assert {each.of.name for each in heard[1:]} == {"box-1"}
        assert isinstance(await world.cloud.increase_size(ID, delta=5), Denied)
        assert steps(heard, cause="IncreaseSize-2") == ["MaxSizeReached"]
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode(name="box-1")]) == Done()
        await reach(world, Phase.OFF)
        await trio.sleep(60)
        down = ["ScaleDown", "Draining", "PoweringOff", "ShutdownJob", "Off"]
        assert steps(heard, cause="DeleteNodes-3")[: len(down)] == down


async def test_a_decision_is_exactly_one_event(autojump_clock: MockClock) -> None:
    """Who reads Events of a machine finds each step of its way up and down once, with an action; nothing is told twice,
    and what is told is an Event."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await at_rest(world)
        heard, before = subscribed(world), len(world.journal.events)
        await world.cloud.increase_size(ID, delta=1)
        await reach(world, Phase.READY)
        await trio.sleep(30)
        await world.cloud.delete_nodes(ID, nodes=[ExternalNode(name="box-1")])
        await reach(world, Phase.OFF)
        await trio.sleep(300)
        events = list(world.journal.events)[before:]
        way = ["PoweringOn", "StartupJob", "Booting", "Ready"]
        way += ["Draining", "PoweringOff", "ShutdownJob", "Off", "NodeLeft"]
        assert [str(each.what) for each in heard if not each.quiet] == way  # before repeated ones are left out
        assert [event.reason for event in events] == way
        assert [event.action for event in events] == [
            *("Wake", "Wake", "Wake", "Serve"),
            *("Drain", "PowerOff", "PowerOff", "PowerOff", "PowerOff"),
        ]


async def test_the_log_has_the_cause_of_each_step(autojump_clock: MockClock) -> None:
    """Who reads logs finds all steps of one call by its id; a machine that fails later is not the call's doing."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await at_rest(world)
        await world.cloud.increase_size(ID, delta=1)
        await reach(world, Phase.READY)
        world.hardware("box-1").lose_power()
        await reach(world, Phase.LOST)
        found = [line for line in world.journal.lines if line.fields.get("cause") == "IncreaseSize-1"]
        assert found[0].message == "wanted on: box-1"
        assert [line.fields["phase"] for line in found[1:]] == ["PoweringOn", "Booting", "Ready"]


async def test_a_decision_of_the_group_is_a_cause_too(autojump_clock: MockClock) -> None:
    """Machines that are woken for minSize carry one cause, and a person's word is another."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await at_rest(world)
        heard = subscribed(world)
        world.edit_group("rack", {"minSize": 2})
        await world.until(lambda: set(world.phases().values()) == {Phase.READY}, within=60)
        begun = [each for each in heard if each.what == "MinSize"]
        assert sorted(each.of.name for each in begun) == ["box-1", "box-2"]
        [cause] = {each.cause for each in begun}
        assert cause.startswith("MinSize-")
        assert steps(heard, cause=cause).count("Ready") == 2
        world.edit_group("rack", {"minSize": 0})
        await switch(world, "off")
        await reach(world, Phase.OFF)
        [changed] = [each for each in heard if each.what == "WishChanged"]
        assert steps(heard, cause=changed.cause)[:2] == ["WishChanged", "Draining"]


@pytest.mark.contains
async def test_a_subscriber_that_fails_holds_nothing_up(autojump_clock: MockClock) -> None:
    """A machine is woken all the same, and the log says once that somebody was not told."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await at_rest(world)
        newsroom(world).subscribe(lambda news: 1 / 0)
        await world.cloud.increase_size(ID, delta=1)
        await reach(world, Phase.READY)
        [line] = [line for line in world.journal.lines if line.message == "news not told"]
        assert "ZeroDivisionError" in line.fields["error"]
