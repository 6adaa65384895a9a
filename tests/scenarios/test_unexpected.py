"""Power that somebody else switched, by onUnexpectedPower: a button, mains that come back, a machine that was never off."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, at, boxes, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.resources.v1alpha1 import Asker, Power
from hexa.ports.cloud import Done, ExternalNode
from hexa.ports.journal import Severity
from hexa.testing.world import World, open_world

HOUR = 3600.0
BUTTON: dict[str, Any] = {"kind": "buttonOn", "machine": "box-1"}


def wished(world: World, name: str = "box-1") -> tuple[Power, Asker]:
    """The recorded wish."""
    record = recorded_wish(world.node(name))
    assert record is not None
    return record.power, record.by


def warned(world: World, reason: str) -> list[str]:
    """Warnings of this reason about the first machine."""
    told = [each for each in world.journal.events if each.severity is Severity.WARNING and each.about.name == "box-1"]
    return [each.message for each in told if each.reason == reason]


async def off_by_autoscaler(world: World) -> None:
    """The first machine was up, and Cluster Autoscaler removed it."""
    await up(world)
    assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
    await reach(world, Phase.OFF)


@pytest.mark.parametrize("sensor", [False, True])
async def test_failure_31_a_machine_that_somebody_switches_on_is_kept_for_an_hour(
    autojump_clock: MockClock, sensor: bool
) -> None:
    """Adopt, the default: an Event says so, the machine serves for an hour, also over a restart of hexa, and is then drained and
    switched off in the ordinary way."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=sensor), autoscaler=None, site=QUICK) as world:
        await off_by_autoscaler(world)
        world.inject(BUTTON)
        await reach(world, Phase.READY)
        assert wished(world) == (Power.ON, Asker.RECOVERY)
        assert len(warned(world, "FoundOn")) == 1
        await trio.sleep(HOUR / 2)
        await world.restart_agent()
        await trio.sleep(HOUR / 2 - 120)
        assert world.phase("box-1") is Phase.READY
        await reach(world, Phase.OFF, within=300)
        assert wished(world) == (Power.OFF, Asker.RECOVERY)
        await trio.sleep(2 * HOUR)
        assert world.phase("box-1") is Phase.OFF


async def test_failure_31_work_on_a_machine_that_was_adopted_is_not_lost(autojump_clock: MockClock) -> None:
    """At the end of the hour a pod that fits nowhere else keeps the machine on: hexa's own drain, with its own rules."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await off_by_autoscaler(world)
        world.inject(BUTTON)
        await reach(world, Phase.READY)
        world.add_pods(1, cpu="1")
        await trio.sleep(3 * HOUR)
        assert world.phase("box-1") in (Phase.READY, Phase.DRAINING)
        assert world.waiting == 0
        assert world.site.report().pods_killed == 0


async def test_failure_28_a_persons_off_outlives_a_machine_that_comes_back(autojump_clock: MockClock) -> None:
    """A machine that hung in its shutdown, was cut off, and comes back: after the hour it is off again by the person's word."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "hungShutdown", "machine": "box-1"})
        await switch(world, "off")
        await reach(world, Phase.POWERING_OFF)
        world.inject({"kind": "partition", "machine": "box-1", "duration": 60})
        await reach(world, Phase.OFF)
        await reach(world, Phase.READY)
        assert wished(world) == (Power.ON, Asker.RECOVERY)
        await trio.sleep(HOUR)
        await reach(world, Phase.OFF, within=300)
        assert wished(world) == (Power.OFF, Asker.USER)
        assert world.node("box-1").spec.power_state == "off"


async def test_failure_31_a_new_word_ends_the_adoption(autojump_clock: MockClock) -> None:
    """Whoever asks for it in that hour has it for good."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await off_by_autoscaler(world)
        world.inject(BUTTON)
        await reach(world, Phase.READY)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await switch(world, "on")
        await reach(world, Phase.READY)
        await trio.sleep(2 * HOUR)
        assert world.phase("box-1") is Phase.READY


@pytest.mark.parametrize("person", [False, True])
async def test_failure_31_correct_switches_it_off_again(autojump_clock: MockClock, person: bool) -> None:
    """Correct: it is drained and switched off as soon as it is up, with an Event; who wanted it off still does."""
    group = rack(onUnexpectedPower="Correct")
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        if person:
            await up(world)
            await switch(world, "off")
            await reach(world, Phase.OFF)
        else:
            await off_by_autoscaler(world)
        for _ in range(2):
            offs = world.site.report().offs
            world.inject(BUTTON)
            await world.until(lambda: world.phase("box-1") is not Phase.OFF, within=60)
            await reach(world, Phase.OFF, within=300)
            await trio.sleep(60)
            assert world.phase("box-1") is Phase.OFF
            assert world.site.report().offs == offs + 1
        assert wished(world) == (Power.OFF, Asker.USER if person else Asker.RECOVERY)
        assert len(warned(world, "Corrected")) == 1


async def test_failure_31_ignore_leaves_power_as_it_is(autojump_clock: MockClock) -> None:
    """Ignore: what somebody switched on stays on, and what was seen to go dark stays off, until somebody asks anew."""
    group = rack(onUnexpectedPower="Ignore")
    async with open_world(groups=[group], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await off_by_autoscaler(world)
        world.inject(BUTTON)
        await reach(world, Phase.READY)
        await trio.sleep(3 * HOUR)
        assert world.phase("box-1") is Phase.READY
        world.inject({"kind": "powerLoss", "machine": "box-1"})
        await reach(world, Phase.OFF)
        await trio.sleep(HOUR)
        assert world.phase("box-1") is Phase.OFF
        assert len(warned(world, "FoundOff")) == 1
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)


@pytest.mark.parametrize("word", ["Adopt", "Correct"])
async def test_failure_31_a_machine_that_goes_dark_is_woken_again(autojump_clock: MockClock, word: str) -> None:
    """A button, a crash and mains that fail look alike, and pods wait: what is wanted on is switched on again."""
    group = rack(onUnexpectedPower=word)
    async with open_world(groups=[group], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "buttonOff", "machine": "box-1"})
        await world.until(lambda: not at(world, Phase.READY)(), within=60)
        await reach(world, Phase.READY, within=120)


async def test_what_was_off_when_hexa_came_and_is_switched_on_stays_on(autojump_clock: MockClock) -> None:
    """Nobody ever wanted that machine off: whoever presses its button has it on for good."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await trio.sleep(5)
        world.inject(BUTTON)
        await reach(world, Phase.READY)
        await trio.sleep(3 * HOUR)
        assert world.phase("box-1") is Phase.READY


@pytest.mark.parametrize(
    ("sensor", "what", "said"),
    [
        (True, "press_off", "its power is off, and nobody asked for it"),
        (True, "hang", "it has power: it crashed, boots again, or the network to it is cut"),
        (False, "hang", "nothing tells whether it is off, hangs, or is cut off"),
    ],
)
async def test_failure_31_what_happened_is_told_as_far_as_readings_allow(
    autojump_clock: MockClock, sensor: bool, what: str, said: str
) -> None:
    """The Event of a machine that is lost says whether it has power, where something reads that, and no more than is known."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=sensor), autoscaler=None, site=QUICK) as world:
        await up(world)
        await trio.sleep(60)
        getattr(world.hardware("box-1"), what)()
        await world.until(lambda: bool(warned(world, "Lost")), within=300)
        assert said in warned(world, "Lost")[0]
