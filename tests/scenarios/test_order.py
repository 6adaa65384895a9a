"""spec.order: Cluster Autoscaler asks for a machine, hexa chooses it by the order, and says why."""

from tests.scenarios.stage import ID, QUICK, rack, reach
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.v1alpha1 import Power
from hexa.ports.cloud import Done
from hexa.testing.world import Machine, World, machine, open_world


def box(name: str, watts: int) -> Machine:
    """A machine of 8 cores that draws so much."""
    return machine(name, group="rack", boot_seconds=8.0, cpu="8", max_watts=float(watts))


def told(world: World) -> list[str]:
    """Why machines were chosen."""
    return [event.message for event in world.journal.events if event.reason == "Chosen"]


async def test_the_frugal_machine_is_woken_first_and_rested_last(autojump_clock: MockClock) -> None:
    """By energy the machine that draws least for a core is woken first; when maxSize is lowered the other one rests, and both
    choices are told with their figures."""
    boxes = [box("box-1", 200), box("box-2", 64), box("box-3", 90)]
    group = rack(order=["energy"], wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes, autoscaler=None, site=QUICK) as world:
        for each in boxes:
            await reach(world, Phase.OFF, each.name, within=60)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2", within=60)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-3", within=60)
        assert world.phase("box-1") is Phase.OFF
        world.edit_group("rack", {"maxSize": 1})
        await reach(world, Phase.OFF, "box-3", within=120)
        wish = world.node("box-2").status.wish
        assert wish is not None
        assert wish.power is Power.ON
    assert told(world) == [
        "box-2 was chosen to be woken before box-3: energy: 8 W a core against 11.25 W a core",
        "box-3 was chosen to be woken before box-1: energy: 11.25 W a core against 25 W a core",
        "box-3 was chosen to be rested before box-2: energy: 11.25 W a core against 8 W a core",
    ]
