"""Kubernetes' own conditions for maintenance and drains: those of others are minded, and hexa's tell what it does."""

from typing import Any

import trio
from tests.scenarios.stage import ID, QUICK, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import NODES
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.ports.kube import Patch, PatchStyle
from hexa.testing.world import World, open_world

PLANNED, MAINTENANCE = "MaintenancePlanned", "MaintenanceInProgress"
OURS = {"DrainInProgress", "Drained", MAINTENANCE}


async def say(world: World, type_: str, status: str, *, name: str = "box-1") -> None:
    """Somebody sets the condition of the Kubernetes node."""
    said = {"type": type_, "status": status, "reason": "AdminRequested", "message": "new fan"}
    patch = Patch({"status": {"conditions": [said]}}, PatchStyle.STRATEGIC, "status")
    await world.kube.patch(NODES, name, patch)


def said(world: World, name: str = "box-1") -> set[str]:
    """Which of the conditions that hexa writes are True on the node."""
    node = world.kube_node(name)
    found = node.status.conditions if node is not None else ()
    return {each.type for each in found if each.type in OURS and each.status == "True"}


async def test_hands_off_what_somebody_maintains(autojump_clock: MockClock) -> None:
    """While the condition is True neither Cluster Autoscaler nor a person switches it off through hexa, and a machine that goes
    dark is not woken; when it is taken back, what is wanted is done."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        await say(world, MAINTENANCE, "True")
        await trio.sleep(5)
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert refused.reason == MAINTENANCE
        await switch(world, "off")
        world.edit("box-1", {"hold": {"power": "off"}})
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.READY
        blocked = {c.type: c.reason for c in world.node("box-1").status.conditions}
        assert blocked["Blocked"] == blocked[MAINTENANCE] == MAINTENANCE
        world.edit("box-1", {"hold": None})
        await switch(world, "on")
        world.hardware("box-1").lose_power()
        writes = kube_of(world).writes
        await trio.sleep(1800)
        assert not world.hardware("box-1").power
        assert kube_of(world).writes - writes < 10
        await say(world, MAINTENANCE, "False")
        await reach(world, Phase.READY, within=600)


async def test_doubt_keeps_a_machine_on_and_wakes_it(autojump_clock: MockClock) -> None:
    """While the condition is Unknown no drain begins, and a wake that is wanted is done; when it is False the off follows."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        await say(world, MAINTENANCE, "Unknown")
        await trio.sleep(5)
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert refused.reason == MAINTENANCE
        world.edit("box-1", {"hold": {"power": "off"}})
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.READY
        assert {entry.action for entry in world.node("box-1").status.history}.isdisjoint({"Draining", "PoweringOff"})
        world.edit("box-1", {"hold": None})
        await switch(world, "on")
        world.hardware("box-1").lose_power()
        await trio.sleep(60)
        await reach(world, Phase.READY, within=900)
        await switch(world, "off")
        await trio.sleep(600)
        assert world.hardware("box-1").power
        await say(world, MAINTENANCE, "False")
        await reach(world, Phase.OFF, within=600)


async def test_a_machine_that_is_tried_in_its_maintenance_stays_closed(autojump_clock: MockClock) -> None:
    """Somebody who works at it may start it: no pod comes to it before the condition is taken back."""
    async with open_world(
        groups=[rack(nodeLeavePolicy="Keep")], machines=boxes(1), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        world.edit("box-1", {"hold": {"power": "off"}})
        await reach(world, Phase.OFF)
        await trio.sleep(120)
        await say(world, MAINTENANCE, "True")
        world.edit("box-1", {"hold": {"power": "on"}})
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY)
        await trio.sleep(120)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.spec.unschedulable
        await say(world, MAINTENANCE, "False")
        await world.until(lambda: open_(world), within=30)


def open_(world: World) -> bool:
    """Whether pods may come."""
    node = world.kube_node("box-1")
    return node is not None and not node.spec.unschedulable


async def test_planned_maintenance_rests_a_machine_and_keeps_it_off(autojump_clock: MockClock) -> None:
    """Its node stays while it is off, for the word stands there; Cluster Autoscaler gets another machine, a person this one."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        await say(world, PLANNED, "True")
        await trio.sleep(5)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF)
        await trio.sleep(600)
        assert world.kube_node("box-1") is not None
        assert isinstance(await world.cloud.increase_size(ID, delta=2), Denied)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2")
        assert world.phase("box-1") is Phase.OFF
        world.edit("box-1", {"hold": {"power": "on"}})
        await reach(world, Phase.READY)


async def test_hexa_says_what_it_does_and_takes_it_back(autojump_clock: MockClock) -> None:
    """A drain, its end, and a person's hold stand on the node that is kept, beside what others say; after the boot all of hexa's
    are gone. An agent that is killed in between goes on, and one that shall not say it any more takes back what it said."""
    group = rack(nodeLeavePolicy="Keep")
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK, agent=False) as world:
        world.agent.kube_conditions = True
        await world.start_agent()
        await up(world)
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0, within=20)
        await say(world, PLANNED, "False")
        assert said(world) == set()
        world.edit("box-1", {"hold": {"power": "off", "reason": "new fan"}})
        await world.until(lambda: said(world) == {"DrainInProgress"}, within=60, every=0.05)
        world.scale(0)  # its pod fits nowhere else
        await world.until(lambda: said(world) == {"Drained", MAINTENANCE}, within=120, every=0.05)
        await reach(world, Phase.OFF)
        world.agent.kill()
        await world.start_agent()
        await trio.sleep(30)
        assert said(world) == {"Drained", MAINTENANCE}
        assert words(world)[MAINTENANCE] == ("HexaHold", "a person holds the machine off: new fan")
        world.edit("box-1", {"hold": {"power": "on"}})
        await reach(world, Phase.BOOTING)
        assert said(world) == {"Drained", MAINTENANCE}
        await reach(world, Phase.READY)
        await trio.sleep(5)
        assert said(world) == set()
        assert words(world)[PLANNED] == ("AdminRequested", "new fan")
        world.edit("box-1", {"hold": {"power": "off"}})
        await reach(world, Phase.OFF)
        world.agent.kill()
        world.agent.kube_conditions = False
        await world.start_agent()
        await trio.sleep(30)
        assert said(world) == set()


def words(world: World) -> dict[str, Any]:
    """Reason and message of each condition of the node."""
    node = world.kube_node("box-1")
    assert node is not None
    return {each.type: (each.reason, each.message) for each in node.status.conditions}
