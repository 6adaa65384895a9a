"""Modes of a group, on a whole site: what they switch, what they leave alone, and how they end."""

from tests.scenarios.stage import QUICK, boxes, rack, reach, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION
from hexa.domain.resources.core import NODES
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.ports.kube import Patch
from hexa.testing.world import World, open_world

ID = "machines/rack"


async def test_always_on_brings_all_up_and_ends(autojump_clock: MockClock) -> None:
    """Every machine comes without a pod that asks, whatever maxSize says; none may be given back, also after a restart of hexa;
    when the mode ends they stay as they are, and may go."""
    async with open_world(
        groups=[rack(maxSize=1, wakeProof="Ignore")], machines=boxes(2), autoscaler=None, site=QUICK
    ) as world:
        await reach(world, Phase.OFF, "box-1", within=60)
        world.edit_group("rack", {"mode": "AlwaysOn"})
        for name in ("box-1", "box-2"):
            await reach(world, Phase.READY, name, within=120)
        await world.until(lambda: _told(world) == ["Mode", "Mode"], within=30)
        await world.restart_agent()
        shown = world.cloud.groups()[0]
        assert (shown.min_size, shown.max_size, world.cloud.target_size(ID)) == (2, 2, 2)
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert refused.reason == "Mode"
        world.edit_group("rack", {"mode": "Auto", "maxSize": 2})
        await world.until(lambda: _told(world) == [None, None], within=30)
        await world.settle()
        assert set(world.phases().values()) == {Phase.READY}
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF, "box-1", within=120)


async def test_always_off_drains_and_keeps_budgets(autojump_clock: MockClock) -> None:
    """A machine whose pods may not be disturbed stays on and says so; a hold keeps another on; Cluster Autoscaler is told that no
    more than that can come, and what waits wakes none until the mode ends."""
    async with open_world(
        groups=[rack(timeouts={"drain": "5m"})], machines=boxes(3), autoscaler=None, site=QUICK
    ) as world:
        await up(world, "box-1", "box-2", "box-3")
        world.cordon("box-3")
        world.cordon("box-2")
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0, within=20)
        world.add_budget(minAvailable=1)
        world.site.api.patch(NODES, ("", "box-2"), Patch({"spec": {"unschedulable": None}}), manager="kubectl")
        world.edit("box-2", {"hold": {"power": "on", "reason": "stays"}})
        world.edit_group("rack", {"mode": "AlwaysOff"})
        await reach(world, Phase.OFF, "box-3", within=200)
        assert (world.phase("box-1"), world.phase("box-2")) == (Phase.DRAINING, Phase.READY)
        assert "disruption budget load" in world.node("box-1").status.blocker
        shown = world.cloud.groups()[0]
        assert (shown.min_size, shown.max_size, world.cloud.target_size(ID)) == (0, 1, 1)
        assert isinstance(await world.cloud.increase_size(ID, delta=1), Denied)
        world.edit_group("rack", {"mode": "Auto"})
        await reach(world, Phase.READY, "box-1", within=60)
        await world.settle()
        assert world.phase("box-3") is Phase.READY  # a person's spec.powerState counts again


def _told(world: World) -> list[str | None]:
    """Which rule Cluster Autoscaler reads on each node."""
    nodes = [world.kube_node(name) for name in ("box-1", "box-2")]
    return [node.metadata.annotations.get(OFF_FORBIDDEN_ANNOTATION) if node is not None else "" for node in nodes]
