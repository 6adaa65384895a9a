"""What a user may rely on of machines that are switched by a relay on their power button: no press undoes another one."""

import trio
from tests.scenarios.stage import QUICK, JobWatch, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import Machine, World, machine, open_world

BUTTON = {"image": "localhost/press:1", "toggle": True}


def pressed(**more: object) -> Machine:
    """A machine whose Jobs press its power button."""
    spec = {"startupPodSpec": BUTTON, "shutdownPodSpec": BUTTON}
    return machine("box-1", group="rack", spec=spec, **{"boot_seconds": 8.0, **more})  # type: ignore[arg-type]


def blocked(world: World) -> str:
    """What the machine says of what keeps it from acting."""
    return " ".join(each.message for each in world.node("box-1").status.conditions) + world.node("box-1").status.blocker


async def test_failure_49_a_wake_by_a_button_is_not_repeated_without_a_reading(autojump_clock: MockClock) -> None:
    """A press that shows no effect is the only one, also after the failed start has cooled off, and the machine says why; a person
    who asks anew gets another."""
    quick = rack(retries={"backoff": "10s"})
    async with open_world(groups=[quick], machines=[pressed()], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        world.hardware("box-1").defects.lost_wakes = 9
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=300)
        await trio.sleep(120)
        assert jobs.of("box-1") == ["startup"]
        assert "its power button switches off what is on" in blocked(world)
        await switch(world, "off")
        await trio.sleep(5)
        world.hardware("box-1").defects.lost_wakes = 0
        await switch(world, "on")
        await reach(world, Phase.READY)
        assert jobs.of("box-1") == ["startup", "startup"]


async def test_failure_49_a_reading_in_between_lets_a_wake_be_repeated(autojump_clock: MockClock) -> None:
    """Where the agent reads the power, a press that was lost is followed by another while the reading says off."""
    async with open_world(groups=[rack()], machines=[pressed(sensor=True)], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        world.hardware("box-1").defects.lost_wakes = 1
        await switch(world, "on")
        await reach(world, Phase.READY, within=120)
        assert jobs.of("box-1") == ["startup", "startup"]


async def test_failure_49_a_silent_machine_is_not_pressed(autojump_clock: MockClock) -> None:
    """A machine that only fell silent may run: its button is pressed neither to wake it nor to switch it off."""
    quick = rack(timeouts={"lost": "20s"}, retries={"backoff": "10s"})
    async with open_world(groups=[quick], machines=[pressed()], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.hardware("box-1").partition(True)
        await reach(world, Phase.LOST, within=120)
        await trio.sleep(60)
        assert jobs.of("box-1") == ["startup"]
        await switch(world, "off")
        await trio.sleep(60)
        assert jobs.of("box-1") == ["startup"]
        assert "it is not pressed" in blocked(world)


async def test_failure_49_an_ignored_press_is_repeated_on_a_sign_of_life(autojump_clock: MockClock) -> None:
    """A machine that ignores the button and is heard of long after is pressed again, once for each try."""
    quick = rack(timeouts={"powerOff": "70s"}, retries={"backoff": "10s"})
    async with open_world(groups=[quick], machines=[pressed()], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.hardware("box-1").defects.ignored_offs = 1
        await switch(world, "off")
        await reach(world, Phase.OFF, within=1800)
        assert jobs.of("box-1") == ["startup", "shutdown", "shutdown"]


async def test_failure_49_without_the_word_wakes_are_repeated_as_ever(autojump_clock: MockClock) -> None:
    """`toggle` is what makes the difference: packets and outlets are sent again."""
    async with open_world(groups=[rack()], machines=[machine("box-1", group="rack")], autoscaler=None) as world:
        jobs = JobWatch(world)
        world.hardware("box-1").defects.lost_wakes = 9
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=300)
        assert jobs.of("box-1") == ["startup"] * 3
