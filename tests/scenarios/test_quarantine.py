"""Quarantine: a machine that failed to start is looked at quietly, comes back by itself, and waits longer when it fails again."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, boxes, rack, reach, switch
from tests.scenarios.test_spec_power import BMC, wired
from trio.testing import MockClock

from hexa.adapters.memory.site.machine import State
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.resources.health import NodeHealth
from hexa.domain.resources.v1alpha1 import Asker, Power
from hexa.ports.cloud import Done
from hexa.testing.world import World, machine, open_world

LOST: dict[str, Any] = {"kind": "lostWake", "machine": "box-1", "count": 1000}


def events(world: World, reason: str, name: str = "box-1") -> list[str]:
    """What was told of a machine for this reason."""
    return [told.message for told in world.journal.events if told.about.name == name and told.reason == reason]


def wakes(world: World, name: str = "box-1") -> list[datetime]:
    """When its quiet wakes began."""
    return [told.at for told in world.journal.events if told.about.name == name and told.reason == "QuietProbe"]


async def broken(world: World) -> None:
    """Cluster Autoscaler asks for a machine; box-1 does not come, and box-2 takes its place."""
    await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=60)
    world.inject(LOST)
    assert await world.cloud.increase_size(ID, delta=1) == Done()
    await reach(world, Phase.START_FAILED, within=300)
    await reach(world, Phase.READY, "box-2", within=300)


async def test_failure_11_a_machine_that_works_again_comes_back_by_itself(autojump_clock: MockClock) -> None:
    """Nobody waits for it: it is woken at the end of its back-off, comes, is told of, and rests again, as good as the others."""
    group = rack(quarantineProbe="Wake")
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await broken(world)
        assert world.node("box-1").status.health is NodeHealth.DEGRADED
        world.hardware("box-1").defects.lost_wakes = 0
        await world.until(lambda: events(world, "Returned"), within=3600)
        assert events(world, "Returned") == ["its last start failed, and a quiet wake has brought it up"]
        await reach(world, Phase.OFF, within=600)
        status = world.node("box-1").status
        assert (status.health, status.failures, status.wake_failed_at) == (NodeHealth.HEALTHY, 0, None)
        await trio.sleep(86_400)
        assert len(wakes(world)) == 1
        assert world.phase("box-2") is Phase.READY
        assert world.site.report().pods_killed == 0


@pytest.mark.long
async def test_a_machine_that_stays_broken_is_looked_at_ever_more_seldom(autojump_clock: MockClock) -> None:
    """Each quiet wake that fails doubles the time to the next, up to a day; the machine in use is not touched."""
    group = rack(quarantineProbe="Wake")
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await broken(world)
        await trio.sleep(7 * 86_400)
        gaps = list(gaps_of(wakes(world)))
        assert all(later >= earlier for earlier, later in pairwise(gaps))
        assert max(gaps) < 90_000
        assert len(gaps) < 20
        assert world.phase("box-2") is Phase.READY
        record = recorded_wish(world.node("box-1"))
        assert record is not None
        assert (record.power, record.by) in {(Power.OFF, Asker.RECOVERY), (Power.ON, Asker.RECOVERY)}


def gaps_of(times: list[datetime]) -> Iterator[float]:
    """Seconds from each to the next."""
    return ((later - earlier).total_seconds() for earlier, later in pairwise(times))


async def test_cluster_autoscaler_hears_of_a_quiet_wake_only_when_it_worked(autojump_clock: MockClock) -> None:
    """Target and instances are as if the machine were off, through a quiet wake that fails too; while it is on its way, demand may
    still have it."""
    group = rack(quarantineProbe="Wake")
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await broken(world)
        await world.until(lambda: wakes(world), within=3600)
        await reach(world, Phase.POWERING_ON, within=10)
        while world.phase("box-1") in (Phase.POWERING_ON, Phase.BOOTING, Phase.START_FAILED):
            assert world.cloud.target_size(ID) == 1
            instances = world.cloud.instances(ID)
            assert isinstance(instances, list)
            assert [each.id for each in instances] == ["hexa://machines/box-2"]
            await trio.sleep(0.5)
        world.hardware("box-1").defects.lost_wakes = 0
        await world.until(lambda: len(wakes(world)) > 1, within=3600)
        await reach(world, Phase.POWERING_ON, within=10)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        assert world.cloud.target_size(ID) == 2
        await reach(world, Phase.READY, within=120)
        await trio.sleep(1800)
        assert world.phase("box-1") is Phase.READY


async def test_pods_that_come_to_it_keep_it(autojump_clock: MockClock) -> None:
    """Woken to be looked at, and needed: it stays, and nothing is switched off under its pods."""
    group = rack(quarantineProbe="Wake")
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await broken(world)
        world.hardware("box-1").defects.lost_wakes = 0
        await reach(world, Phase.READY, within=3600)
        world.add_pods(2, cpu="3")
        await trio.sleep(1800)
        assert world.phase("box-1") is Phase.READY
        assert world.waiting == 0
        assert world.site.report().pods_killed == 0


async def test_without_the_groups_word_nothing_is_woken(autojump_clock: MockClock) -> None:
    """The default only looks: a machine that has just a magic packet stays off until somebody asks for it."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await broken(world)
        await trio.sleep(86_400)
        assert not wakes(world)
        assert world.phase("box-1") is Phase.OFF


async def test_a_persons_off_is_not_probed(autojump_clock: MockClock) -> None:
    """Who puts a broken machine off wants it off."""
    group = rack(quarantineProbe="Wake")
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await broken(world)
        world.edit("box-1", {"hold": {"power": "off", "reason": "its card is out"}})
        await trio.sleep(86_400)
        assert not wakes(world)


async def test_a_bmc_that_answers_again_brings_the_next_try_forward(autojump_clock: MockClock) -> None:
    """Machine and BMC were dark together; the reading that comes back ends the back-off early, and an Event says why."""
    retries = {"backoff": "1h"}
    box = wired("box-1", {**BMC}, boot_seconds=8.0)
    async with open_world(groups=[rack(retries=retries)], machines=[box], autoscaler=None, site=QUICK) as world:
        await world.until(lambda: world.phase("box-1") is Phase.OFF, within=60)
        world.inject({"kind": "sensorBlind", "machine": "box-1"}, {"kind": "dead", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=600)
        cool = world.node("box-1").status.cool_until
        await trio.sleep(600)
        world.hardware("box-1").defects.sensor_blind = world.hardware("box-1").defects.dead = False
        await world.until(lambda: events(world, "WorksAgain"), within=600)
        assert "its power can be read again (ipmi)" in events(world, "WorksAgain")[0]
        await reach(world, Phase.READY, within=1800)
        assert cool is not None
        assert world.now < cool
        assert events(world, "Returned")


async def test_a_check_that_passes_brings_the_next_try_forward(autojump_clock: MockClock) -> None:
    """Its kubelet never joined, and its health check shows that the machine works: it is tried again sooner."""
    checked = {"healthcheckPodSpec": {"image": "ping:1"}, "healthcheckPeriod": "1m"}
    box = machine("box-1", group="rack", boot_seconds=8.0, spec=checked)
    retries = {"backoff": "1h"}
    async with open_world(groups=[rack(retries=retries)], machines=[box], autoscaler=None, site=QUICK) as world:
        await world.until(lambda: world.phase("box-1") is Phase.OFF, within=60)
        world.inject({"kind": "noJoin", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=600)
        await trio.sleep(300)
        assert not events(world, "WorksAgain")
        world.hardware("box-1")._become(State.UP)  # its system is there, and its kubelet is not
        await world.until(lambda: events(world, "WorksAgain"), within=1800)
        assert "its health check passes" in events(world, "WorksAgain")[0]


@pytest.mark.long
async def test_killed_at_any_write_one_machine_is_looked_at(autojump_clock: MockClock) -> None:
    """Whatever hexa was doing when it died, the machine comes back once, and rests."""
    for dies in range(1, 8):
        group = rack(quarantineProbe="Wake")
        async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
            await broken(world)
            world.hardware("box-1").defects.lost_wakes = 0
            await trio.sleep(30)
            world.kill_agent(after_writes=dies)
            with trio.move_on_after(3600):
                await world.agent.ended()
            await world.restart_agent()
            await world.until(lambda w=world: w.node("box-1").status.wake_proven_at is not None, within=7200)
            await reach(world, Phase.OFF, within=600)
            assert world.hardware("box-1").boots == 1
