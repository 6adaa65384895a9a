"""SafeHands: a site in doubt. hexa only powers on, for wishes that stand, says so once, and goes on when the site is calm."""

from collections.abc import Iterable

import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import World, machine, open_world

P = Phase


def safe_hands(world: World) -> str:
    """What the group says; empty: nothing."""
    return next((c.reason for c in world.group("rack").status.conditions if c.type == "SafeHands"), "")


def events(world: World, *reasons: str) -> list[str]:
    """Reasons of the group's Events, of these, in order."""
    return [reason for reason in world.journal.reasons("rack") if reason in reasons]


async def all_up(world: World, names: Iterable[str], *, within: float = 900) -> None:
    """Wait until these are on, and hexa says so."""

    def up() -> bool:
        return all(world.hardware(name).power and world.phase(name) is P.READY for name in names)

    await world.until(up, within=within, every=2)


async def test_failure_38_a_site_that_went_dark_comes_back_in_order(autojump_clock: MockClock) -> None:
    """Mains fail for everything while hexa is dead. What was wanted comes back, what others depend on first; nothing else is woken,
    nothing is switched off, no failure is counted; two minutes after most are back all is as before."""
    first, *others = boxes(4, sensor=True)
    needs = [
        machine(f"box-{n}", group="rack", boot_seconds=8.0, sensor=True, spec={"dependsOn": ["box-1"]}) for n in (2, 3)
    ]
    async with open_world(groups=[rack()], machines=[first, *needs, others[-1]], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world, "box-1", "box-2", "box-3")
        world.kill_agent()
        await world.agent.ended()
        world.inject({"kind": "powerLoss"})
        jobs.made.clear()
        await trio.sleep(60)
        await world.start_agent()
        await world.until(lambda: safe_hands(world) == "DarkSite", within=120)
        denied = await world.cloud.increase_size(ID, delta=1)
        assert isinstance(denied, Denied)
        assert denied.reason == "SafeHands"
        (group,) = world.cloud.groups()
        assert group.max_size == world.group("rack").status.target
        await switch(world, "off", "box-3")
        await all_up(world, ("box-1", "box-2"))
        order = [name for name, action, _ in jobs.made if action == "startup"]
        assert order[0] == "box-1"
        assert "box-4" not in order
        await world.until(lambda: not safe_hands(world), within=1200, every=2)
        assert not any(action == "shutdown" for _, action, _ in jobs.made)
        assert [world.node(name).status.failures for name in ("box-1", "box-2", "box-3")] == [0, 0, 0]
        assert events(world, "DarkSite", "Calm") == ["DarkSite", "Calm"]
        await reach(world, P.OFF, "box-3")
        assert await world.cloud.increase_size(ID, delta=1) == Done()


async def test_failure_38_most_nodes_fall_silent(autojump_clock: MockClock) -> None:
    """A switch fails under four of six machines: no off of a program or a person is acted on, Cluster Autoscaler is told before it
    drains, and the person who asked sees why. Two minutes after the network is back the off is done."""
    async with open_world(groups=[rack()], machines=boxes(7), autoscaler=None, site=QUICK) as world:
        names = [f"box-{number}" for number in range(1, 7)]
        await up(world, *names)
        await trio.sleep(700)  # hexa has long begun
        jobs = JobWatch(world)
        for name in names[:4]:
            world.inject({"kind": "partition", "machine": name, "duration": 300})
        await world.until(lambda: safe_hands(world) == "MostNodesLost", within=90)
        writes = world.node("box-6").metadata.resource_version
        node = world.kube_node("box-6")
        await world.until(lambda: forbidden(world, "box-6") == "SafeHands", within=10)
        assert node is not None
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-6")])
        assert isinstance(refused, Denied)
        assert refused.reason == "SafeHands"
        assert world.node("box-6").metadata.resource_version == writes  # groups tell it, not each machine
        world.edit_group("rack", {"minSize": 7})  # nobody is woken for it now
        await switch(world, "off", "box-5")
        await world.until(lambda: blocked(world, "box-5") == "SafeHands", within=10)
        await all_up(world, names[:4])
        assert world.phase("box-5") is P.READY
        assert world.phase("box-7") is P.OFF
        world.edit_group("rack", {"minSize": 0})
        took = await world.until(lambda: not safe_hands(world), within=300)
        assert took < 130
        await reach(world, P.OFF, "box-5")
        await world.until(lambda: forbidden(world, "box-6") == "", within=10)
        assert [action for _, action, _ in jobs.made if action == "shutdown"] == ["shutdown"]
        assert events(world, "MostNodesLost", "Calm") == ["MostNodesLost", "Calm"]


def forbidden(world: World, name: str) -> str:
    """What Cluster Autoscaler is told to keep the machine's node for."""
    node = world.kube_node(name)
    return node.metadata.annotations.get(OFF_FORBIDDEN_ANNOTATION, "") if node is not None else ""


def blocked(world: World, name: str) -> str:
    """Why the machine is Blocked."""
    return next((c.reason for c in world.node(name).status.conditions if c.type == "Blocked"), "")


async def test_reboots_one_after_the_other_are_no_trouble(autojump_clock: MockClock) -> None:
    """A program that reboots each machine in turn, such as kured, and a machine of two that dies: nothing is told of the site."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        names = ("box-1", "box-2", "box-3")
        await up(world, *names)
        for name in names:
            world.inject({"kind": "crash", "machine": name, "duration": 60})
            await reach(world, P.LOST, name)
            await all_up(world, names)
            await trio.sleep(180)
        assert events(world, "MostNodesLost", "DarkSite") == []


async def test_failure_39_a_flapping_api_server(autojump_clock: MockClock) -> None:
    """It is lost again and again for a few seconds: an off that was asked for waits until it has held for two minutes."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        for _ in range(4):
            kube_of(world).fail_next(Unavailable("reset"), verb="watch", kind=MACHINES, times=1)
            world.site.api.break_watches()
            await trio.sleep(20)
        await world.until(lambda: safe_hands(world) == "ApiServerFlaps", within=10)
        await switch(world, "off")
        await trio.sleep(60)
        assert world.phase("box-1") is P.READY
        took = await world.until(lambda: not safe_hands(world), within=200)
        assert took < 62
        await reach(world, P.OFF)
        assert events(world, "ApiServerFlaps", "Calm") == ["ApiServerFlaps", "Calm"]


async def test_a_clock_that_is_set(autojump_clock: MockClock) -> None:
    """For two minutes nothing is switched off; a step of a second is nothing."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.set_clock(6)
        await trio.sleep(30)
        assert safe_hands(world) == ""
        world.set_clock(3600)
        await switch(world, "off")
        await world.until(lambda: safe_hands(world) == "ClockSet", within=60)
        await trio.sleep(60)
        assert world.phase("box-1") is P.READY
        await reach(world, P.OFF, within=200)
        assert safe_hands(world) == ""


async def test_a_restart_calms_no_site(autojump_clock: MockClock) -> None:
    """hexa starts anew while its site is in doubt: an off goes on waiting for two calm minutes, which hexa has seen itself."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.set_clock(3600)
        await world.until(lambda: safe_hands(world) == "ClockSet", within=60)
        await world.restart_agent(after=5)
        await switch(world, "off")
        await trio.sleep(100)
        assert world.phase("box-1") is P.READY
        assert safe_hands(world) == "ClockSet"
        await reach(world, P.OFF, within=60)
        await world.until(lambda: safe_hands(world) == "", within=10)
        assert events(world, "ClockSet", "Calm") == ["ClockSet", "Calm"]


async def test_a_calm_site_costs_nothing(autojump_clock: MockClock) -> None:
    """Nothing wakes the watch over the site while it is calm, and an hour of it is one look."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        life = world.agent.life
        assert life is not None
        waits = life.core.site._news
        await trio.sleep(3600)
        assert life.core.site._news is waits  # each look begins a new one
        assert not waits.is_set()
