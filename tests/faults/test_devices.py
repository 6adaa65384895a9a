"""The odd devices of the fault runs: they lie as devices do, and reach the judgement of the product."""

from trio.testing import MockClock

from hexa.domain.errors import HexaError
from hexa.testing.world import World, group, open_world
from tests.faults.devices import ANSWERS, FIGURES, Devices
from tests.faults.play import _machine
from tests.faults.script import Box


async def read(world: World, devices: Devices) -> str:
    """The reading, or the reason why there is none."""
    try:
        return str(await devices.read(world.node("box-1"), "http"))
    except HexaError as error:
        return error.reason


async def test_no_odd_answer_of_a_running_machine_is_read_as_off(autojump_clock: MockClock) -> None:
    """Of a machine that runs, an absurd figure or an answer that is not understood gives a reason instead of a reading; only a
    figure that is false and plausible reads Off. True figures say what is so."""
    box = Box(name="box-1", group="rack", on=True, metered=True)
    async with open_world(
        groups=[group("rack")], machines=[_machine(box, 0, cut=False)], agent=False, autoscaler=None
    ) as world:
        devices = Devices(world.site, {"box-1"})
        assert await read(world, devices) == "On"
        for devices.odd["box-1"] in sorted((FIGURES.keys() | ANSWERS.keys()) - {"zero"}):
            assert await read(world, devices) not in ("On", "Off"), devices.odd
        devices.odd["box-1"] = "zero"
        assert await read(world, devices) == "Off"
        world.hardware("box-1").lose_power()
        devices.odd.clear()
        assert await read(world, devices) == "Off"
