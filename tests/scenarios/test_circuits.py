"""Circuits: machines of one breaker are woken one after the other, and no wake of hexa's takes it above its watts."""

from itertools import pairwise
from typing import Any

import trio
from tests.scenarios.stage import ID, PROVISION, QUICK, at, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import ACTION_LABEL, MACHINE_LABEL
from hexa.domain.resources.core import JOBS
from hexa.ports.cloud import Denied, Done, ExternalNode, NodeGroup
from hexa.testing.world import Machine, World, group, machine, open_world

SHELF = "attic/shelf"


def plugged(name: str, where: str = "rack", *, namespace: str = "machines", **more: Any) -> Machine:
    """A machine of 200 W that draws from the garage."""
    spec = {"circuit": "garage"}
    return machine(name, group=where, namespace=namespace, spec=spec, max_watts=200.0, off_watts=0.0, **more)


def ready(world: World, *names: str, namespace: str = "machines") -> int:
    """How many of them are."""
    return sum(world.phase(name, namespace=namespace) is Phase.READY for name in names)


def shown(world: World, id_: str = ID) -> NodeGroup:
    """The group as Cluster Autoscaler is shown it."""
    return next(each for each in world.cloud.groups() if each.id == id_)


def told(world: World, name: str) -> set[str]:
    """The types of its conditions that hold."""
    return {each.type for each in world.node(name).status.conditions if each.status == "True"}


def starts_of(world: World) -> list[tuple[float, str]]:
    """When each Job is made that switches a machine on, and which, from now on."""
    found: list[tuple[float, str]] = []

    def changed(event: Any) -> None:
        labels = event.stored.raw["metadata"].get("labels", {})
        if event.type == "ADDED" and labels.get(ACTION_LABEL) == "startup":
            found.append((trio.current_time(), labels[MACHINE_LABEL]))

    world.site.api.listen(JOBS, changed)
    return found


async def test_failure_36_ten_machines_wake_at_once_on_one_breaker(autojump_clock: MockClock) -> None:
    """They are of two groups and namespaces, one request each: they begin ten seconds apart, never draw more than the breaker
    bears, also while hexa is killed, and the last is up soon after its turn."""
    names = [f"box-{number}" for number in range(1, 6)]
    others = [f"shelf-{number}" for number in range(1, 6)]
    machines = [plugged(name, boot_seconds=30.0) for name in names]
    machines += [plugged(name, "shelf", namespace="attic", boot_seconds=30.0) for name in others]
    shelf = group("shelf", namespace="attic", maxNodeProvisionTime="5m")
    circuits = {"garage": {"maxWatts": 2000, "inrushSpacing": "10s"}}
    groups = [group("rack", maxNodeProvisionTime="5m"), shelf]
    async with open_world(groups=groups, machines=machines, autoscaler=None, site=QUICK, circuits=circuits) as world:
        breaker = world.breaker(*names, *others)
        await world.until(lambda: all(at(world, Phase.OFF, name)() for name in names), within=60)
        assert await world.cloud.increase_size(ID, delta=5) == Done()
        assert await world.cloud.increase_size(SHELF, delta=5) == Done()
        assert (world.cloud.target_size(ID), shown(world).max_size) == (5, 5)
        await world.until(lambda: len(breaker.switched_on) == 3, within=60)
        waiting = [name for name in names if world.phase(name) is Phase.OFF]
        assert waiting
        assert all("InrushSpacing" in told(world, name) for name in waiting)
        await world.restart_agent(after=4)

        def all_up() -> bool:
            return ready(world, *names) == 5 and ready(world, *others, namespace="attic") == 5

        await world.until(all_up, within=10 * 13 + 60)
        assert len(breaker.switched_on) == 10
        assert breaker.closest >= 10
        assert breaker.peak <= 2000
        assert "WaitsItsTurn" in world.journal.reasons()


async def test_a_request_is_granted_whole_or_refused_with_the_reason(autojump_clock: MockClock) -> None:
    """Of four machines a breaker of 500 W bears two: the group shows two, a third is refused, and comes once another is off."""
    machines = [plugged(f"box-{number}", boot_seconds=8.0) for number in range(1, 5)]
    circuits = {"garage": {"maxWatts": 500}}
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK, circuits=circuits) as world:
        breaker = world.breaker("box-1", "box-2", "box-3", "box-4")
        await reach(world, Phase.OFF, "box-4", within=60)
        assert shown(world).max_size == 2
        refused = await world.cloud.increase_size(ID, delta=3)
        assert isinstance(refused, Denied)
        assert refused.reason == "CircuitFull"
        assert "circuit garage bears 500 W, and 500 W are left" in refused.message
        assert await world.cloud.increase_size(ID, delta=2) == Done()
        await world.until(lambda: ready(world, "box-1", "box-2") == 2, within=120)
        assert (world.cloud.target_size(ID), shown(world).max_size) == (2, 2)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF, "box-1", within=120)
        assert (world.cloud.target_size(ID), shown(world).max_size) == (1, 2)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await world.until(lambda: world.cloud.target_size(ID) == 2 and world.site.waiting == 0, within=120)
        assert breaker.peak <= 500


async def test_nobody_passes_the_watts_of_a_group(autojump_clock: MockClock) -> None:
    """A person's on waits while the group has no watts left, says so, and the machine is woken when another went off."""
    machines = boxes(2, max_watts=200.0, off_watts=0.0)
    async with open_world(groups=[rack(maxWatts=300)], machines=machines, autoscaler=None, site=QUICK) as world:
        breaker = world.breaker("box-1", "box-2")
        await reach(world, Phase.OFF, "box-2", within=60)
        await switch(world, "on", "box-1")
        await reach(world, Phase.READY, "box-1")
        world.edit("box-2", {"hold": {"power": "on"}})
        await world.until(lambda: "CircuitFull" in told(world, "box-2"), within=60)
        assert world.phase("box-2") is Phase.OFF
        assert world.cloud.target_size(ID) == 1
        await switch(world, "off", "box-1")
        await reach(world, Phase.READY, "box-2")
        assert breaker.peak <= 300
        assert "CircuitFull" not in told(world, "box-2")


async def test_a_machine_that_somebody_switched_on_counts(autojump_clock: MockClock) -> None:
    """Its watts are taken, and the next wake begins after its own spacing."""
    machines = [plugged("box-1", boot_seconds=8.0, sensor=True), plugged("box-2", boot_seconds=8.0)]
    circuits = {"garage": {"maxWatts": 400, "inrushSpacing": "30s"}}
    spec = group("rack", maxNodeProvisionTime=PROVISION)
    async with open_world(groups=[spec], machines=machines, autoscaler=None, site=QUICK, circuits=circuits) as world:
        breaker = world.breaker("box-1", "box-2")
        await reach(world, Phase.OFF, "box-1", within=60)
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY, "box-1")
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2")
        assert breaker.closest >= 30
        assert breaker.peak <= 400


async def test_failure_38_after_a_site_outage_machines_come_back_in_order_and_apart(autojump_clock: MockClock) -> None:
    """Mains fail for all while hexa is dead: the storage box comes first, then those that need it, each in its turn, and no wake
    that repeats another one comes too near."""
    needs = {"circuit": "garage", "dependsOn": ["nas"]}
    names = [f"box-{number}" for number in range(1, 5)]
    more = {"max_watts": 200.0, "off_watts": 0.0, "boot_seconds": 8.0, "sensor": True}
    machines = [plugged("nas", boot_seconds=8.0, sensor=True)]
    machines += [machine(name, group="rack", spec=needs, **more) for name in names]
    circuits = {"garage": {"maxWatts": 1000, "inrushSpacing": "20s"}}
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK, circuits=circuits) as world:
        await reach(world, Phase.OFF, "box-4", within=60)
        await switch(world, "on", *names)
        await world.until(lambda: ready(world, "nas", *names) == 5, within=300)
        world.kill_agent()
        await world.agent.ended()
        world.inject({"kind": "powerLoss"}, {"kind": "lostWake", "machine": "box-2"})
        await trio.sleep(60)
        breaker = world.breaker("nas", *names)
        starts = starts_of(world)
        await world.start_agent()
        await world.until(lambda: len(breaker.switched_on) == 5, within=600)
        await world.until(lambda: ready(world, "nas", *names) == 5, within=60)
        assert breaker.switched_on[0][1] == "nas"
        assert breaker.closest >= 20
        assert len(starts) == 6  # one of box-2 was lost
        assert min(later[0] - first[0] for first, later in pairwise(starts) if later[1] != first[1]) >= 20
        assert breaker.peak <= 1000


async def test_watts_are_free_when_somebody_raises_them(autojump_clock: MockClock) -> None:
    """And not when a machine ceases to decode: it draws what it drew."""
    machines = boxes(2, max_watts=200.0, off_watts=0.0)
    async with open_world(groups=[rack(maxWatts=300)], machines=machines, autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, "box-2", within=60)
        await switch(world, "on", "box-1")
        await reach(world, Phase.READY, "box-1")
        world.edit("box-1", {"template": {"capacity": 5}})
        await switch(world, "on", "box-2")
        await world.until(lambda: "CircuitFull" in told(world, "box-2"), within=60)
        world.edit_group("rack", {"maxWatts": "400"})
        await reach(world, Phase.READY, "box-2")
