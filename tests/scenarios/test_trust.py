"""How far a reading Off goes: one sample is none, and a kubelet that lives is no machine that is off."""

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, at, boxes, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import World, open_world


def power_known(world: World, name: str = "box-1") -> tuple[str, str]:
    """Status and reason of PowerKnown."""
    found = next(each for each in world.node(name).status.conditions if each.type == "PowerKnown")
    return found.status, found.reason


def contradictions(world: World) -> int:
    """Events that tell of one."""
    return world.journal.reasons("box-1").count("Contradiction")


@pytest.mark.parametrize("start", [pytest.param(Phase.READY, marks=pytest.mark.long), Phase.POWERING_OFF])
async def test_failure_43_a_reading_off_while_the_lease_is_renewed(autojump_clock: MockClock, start: Phase) -> None:
    """A sensor reads Off, the shutdown does nothing, and the kubelet lives on: never Off in any phase, the Kubernetes node and its
    Lease stay, a condition tells the contradiction and an Event does once; when the sensor reads right, it is over."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await up(world)
        node = world.kube_node("box-1")
        world.inject({"kind": "hungShutdown", "machine": "box-1", "count": 20})
        if start is Phase.POWERING_OFF:
            await switch(world, "off")
            await reach(world, start)
        world.inject({"kind": "sensorLies", "machine": "box-1", "duration": "15m"})
        if start is Phase.READY:
            world.edit("box-1", {"pricing": {"hourlyRate": 1}})  # it is looked at
            await world.until(lambda: power_known(world) == ("False", "Contradiction"), within=60)
            assert world.phase("box-1") is Phase.READY
            assert world.node("box-1").status.power_state == "on"
            await switch(world, "off")
        await reach(world, Phase.STOP_FAILED, within=900)
        assert power_known(world) == ("False", "Contradiction")
        deadline = world.site.clock.trio_time(world.now) + 300
        while trio.current_time() < deadline:
            assert world.phase("box-1") is not Phase.OFF
            await trio.sleep(5)
        left = world.kube_node("box-1")
        assert node is not None
        assert left is not None
        assert left.metadata.uid == node.metadata.uid
        assert world.hardware("box-1").power
        assert contradictions(world) == 1
        await switch(world, "on")
        await world.until(at(world, Phase.READY), within=900)
        await trio.sleep(900)
        assert power_known(world) == ("True", "Read")


async def test_failure_42_one_sample_of_off_changes_nothing(autojump_clock: MockClock) -> None:
    """A meter that shows 0 W once, while the kubelet is silent for a moment: the machine is not taken for off, and no word of the
    status says so."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await up(world)
        jobs, words = JobWatch(world), set[str]()
        world.inject({"kind": "partition", "machine": "box-1", "duration": "70s"})
        await reach(world, Phase.LOST)
        for _ in range(8):
            world.inject({"kind": "sensorLies", "machine": "box-1", "duration": 2})
            for _ in range(3):
                await trio.sleep(1)
                words.add(world.node("box-1").status.power_state)
        assert world.phase("box-1") in (Phase.LOST, Phase.READY)
        await reach(world, Phase.READY, within=120)
        assert words == {"on"}
        assert jobs.made == []


async def test_failure_42_a_machine_that_went_dark_is_woken_as_soon_as_ever(autojump_clock: MockClock) -> None:
    """After our own shutdown Job one reading and one missed renewal are two proofs: wanted again, it is woken 20 s after it went
    dark at the latest."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await up(world)
        jobs = JobWatch(world)
        await switch(world, "off")
        await world.until(lambda: not world.hardware("box-1").power, within=60, every=0.1)
        await switch(world, "on")
        await world.until(lambda: jobs.of("box-1") == ["shutdown", "startup"], within=20, every=0.1)


async def test_failure_43_on_though_all_else_says_off(autojump_clock: MockClock) -> None:
    """The shutdown Job is done and the kubelet silent for long, and the sensor reads On: told, and not taken for off."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "sensorLies", "machine": "box-1", "duration": "1h", "at": 1})
        await switch(world, "off")
        await world.until(lambda: not world.hardware("box-1").power, within=120, every=0.2)
        await world.until(lambda: power_known(world) == ("False", "Contradiction"), within=400)
        assert world.phase("box-1") in (Phase.POWERING_OFF, Phase.STOP_FAILED)
        assert world.kube_node("box-1") is not None
        assert contradictions(world) == 1
