"""Modes of a group, on a whole site: what they switch, what they leave alone, and how they end."""

from itertools import permutations
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, reach, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import Asker, Power
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


@pytest.mark.long
@pytest.mark.parametrize("order", list(permutations(("mode", "hold", "ask", "restart"))), ids="-".join)
@pytest.mark.parametrize("mode", ["AlwaysOn", "AlwaysOff", "Observe"])
async def test_every_wish_of_a_mode_ends_with_it(autojump_clock: MockClock, mode: str, order: tuple[str, ...]) -> None:
    """In every order of a mode, a hold, a request of Cluster Autoscaler's and a restart, begun and ended: in the end nobody's word
    stands but what was asked last, no node is marked, and Cluster Autoscaler may have each machine, and give it back."""
    async with open_world(groups=[rack(wakeProof="Ignore")], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, "box-1", within=60)

        async def ask() -> None:
            await world.cloud.increase_size(ID, delta=1)

        async def restart() -> None:
            await world.restart_agent()

        async def edit(mode: str | None = None, **hold: Any) -> None:
            world.edit_group("rack", {"mode": mode}) if mode else world.edit("box-1", hold)

        begins = {
            "mode": lambda: edit(mode),
            "hold": lambda: edit(hold={"power": "on" if mode == "AlwaysOff" else "off"}),
            "ask": ask,
            "restart": restart,
        }
        ends = {"mode": lambda: edit("Auto"), "hold": lambda: edit(hold=None)}
        for name in order:
            await begins[name]()
            await trio.sleep(45)
        for name in order:
            await ends.get(name, restart)()
            await trio.sleep(45)
        await world.settle()
        assert _told(world) in ([None, None], ["", None], [None, ""], ["", ""])
        for name in ("box-1", "box-2"):
            wish = world.node(name).status.wish
            assert wish is not None
            assert wish.by not in (Asker.MODE, Asker.HOLD)
            assert world.phase(name) is (Phase.READY if wish.power is Power.ON else Phase.OFF)
        up = [name for name, phase in world.phases().items() if phase is Phase.READY]
        assert world.cloud.target_size(ID) == len(up)
        if len(up) < 2:
            assert await world.cloud.increase_size(ID, delta=2 - len(up)) == Done()
        for name in ("box-1", "box-2"):
            await reach(world, Phase.READY, name, within=120)
        for name in ("box-1", "box-2"):
            assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode(name)]) == Done()
            await reach(world, Phase.OFF, name, within=200)


def _told(world: World) -> list[str | None]:
    """Which rule Cluster Autoscaler reads on each node."""
    nodes = [world.kube_node(name) for name in ("box-1", "box-2")]
    return [node.metadata.annotations.get(OFF_FORBIDDEN_ANNOTATION) if node is not None else "" for node in nodes]
