"""Shortest times: a machine that came up stays up, Cluster Autoscaler is told before it drains, and it rests when the time is
over."""

from tests.scenarios.stage import QUICK, boxes, rack, reach
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import open_world

ID = "machines/rack"


async def test_a_machine_that_came_up_stays_up_for_its_time(autojump_clock: MockClock) -> None:
    """Within minOnTime an off is refused, and shown by the annotation before anybody drains; after it the machine may go."""
    group = rack(minOnTime="20m")
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, "box-1", within=60)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-1", within=300)
        await world.until(lambda: _annotations(world.kube_node("box-1")).get(SCALE_DOWN_DISABLED) == "true", within=60)
        assert _annotations(world.kube_node("box-1"))[OFF_FORBIDDEN_ANNOTATION] == "MinOnTime"
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert refused.reason == "MinOnTime"
        up = world.node("box-1").status.last_startup_time
        await world.until(lambda: SCALE_DOWN_DISABLED not in _annotations(world.kube_node("box-1")), within=1300)
        assert up is not None
        assert 1200 <= (world.now - up).total_seconds() < 1210
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF, "box-1", within=300)


def _annotations(node: object) -> dict[str, str]:
    found: dict[str, str] = node.metadata.annotations if node is not None else {}  # type: ignore[attr-defined]
    return found
