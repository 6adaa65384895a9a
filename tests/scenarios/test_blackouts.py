"""Blackouts: a machine that nobody needs stays on through one, Cluster Autoscaler is told before, and it rests when it is over."""

from tests.scenarios.stage import QUICK, boxes, rack, reach
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import World, open_world

ID = "machines/rack"


async def test_no_off_begins_in_a_blackout(autojump_clock: MockClock) -> None:
    """The annotation stands ten minutes before it begins, an off is refused until it ends, and then the machine may go."""
    group = rack(
        blackouts=[{"from": "01:00", "to": "02:00", "zone": "Europe/Berlin"}]
    )  # from midnight of the world's clock
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, "box-1", within=60)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-1", within=300)
        await world.until(lambda: told(world), within=60)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "Blackout"
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert refused.reason == "Blackout"
        await world.until(lambda: not told(world), within=4000, every=20)
        assert (world.now.hour, world.now.minute) == (1, 0)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF, "box-1", within=300)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-1", within=300)
        await world.until(lambda: told(world), within=24 * 3600, every=20)
        assert (world.now.hour, world.now.minute) == (23, 50)


def told(world: World) -> bool:
    """Whether Cluster Autoscaler is told to leave the machine alone."""
    node = world.kube_node("box-1")
    return node is not None and node.metadata.annotations.get(SCALE_DOWN_DISABLED) == "true"
