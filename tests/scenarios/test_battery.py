"""A UPS on battery: no new wakes, then machines off in order, and all back after mains and charge. It lies, hangs, is silent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, boxes, kube_of, loaded, rack, reach, up
from trio.testing import MockClock

from hexa.adapters.memory.ports.ups import MemoryUps
from hexa.app.supply import Fed
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.power.ups import Supply, UpsReading, unknown
from hexa.domain.resources.core import JOBS
from hexa.domain.rules.battery import State
from hexa.ports.cloud import Denied, Done
from hexa.testing.world import Machine, World, group, machine, open_world
from hexa.testing.world.people import delete_group

P = Phase


@asynccontextmanager
async def fed(machines: list[Machine], *groups: Any) -> AsyncIterator[tuple[World, MemoryUps]]:
    """A world whose machines a UPS feeds; it is asked each 15 seconds."""
    ups = MemoryUps()
    opened = open_world(groups=groups or (rack(),), machines=machines, autoscaler=None, site=QUICK, agent=False)
    async with opened as world:
        world.agent.fed = Fed(ups)
        await world.start_agent()
        yield world, ups


def told(world: World, name: str = "rack") -> str:
    """What the group says of the UPS; empty: nothing."""
    return next((c.reason for c in world.group(name).status.conditions if c.type == "OnBattery"), "")


async def ask(world: World, delta: int, *, group: str = "rack") -> None:
    """Cluster Autoscaler asks for machines, and they come."""
    assert await world.cloud.increase_size(f"machines/{group}", delta=delta) == Done()


async def test_failure_37_a_ups_on_battery_and_mains_back(autojump_clock: MockClock) -> None:
    """No program wakes a machine on battery. From the threshold machines go off in order: the group with the higher figure first,
    and what others depend on last. With mains alone nobody comes; with charge all that was wanted is wanted again, once."""
    early = group("early", maxNodeProvisionTime="2m", onBattery={"charge": 70})
    first = machine("box-1", group="rack", boot_seconds=8.0)
    second = machine("box-2", group="rack", boot_seconds=8.0, spec={"dependsOn": ["box-1"]})
    other = machine("box-4", group="early", boot_seconds=8.0)
    async with fed([first, second, *boxes(3)[2:], other], rack(), early) as (world, ups):
        jobs = JobWatch(world)
        await world.until(lambda: world.phase("box-3") is P.OFF, within=60)
        await up(world, "box-1", "box-2")
        await ask(world, 1, group="early")
        await world.until(lambda: sum(p is P.READY for p in world.phases().values()) == 3, within=120)
        assert world.phase("box-3") is P.OFF
        ups.mains, ups.charge = False, 90
        await world.until(lambda: told(world) == "OnBattery", within=20)
        assert isinstance(await world.cloud.increase_size(ID, delta=1), Denied)
        await trio.sleep(60)
        assert not any(action == "shutdown" for _, action, _ in jobs.made)
        ups.charge = 65
        await reach(world, P.OFF, "box-4")
        assert (told(world, "early"), told(world)) == ("OrderedOff", "OnBattery")
        assert world.phase("box-1") is P.READY
        ups.charge = 40
        await world.until(lambda: world.phase("box-1") is P.OFF, within=200)
        assert [name for name, action, _ in jobs.made if action == "shutdown"] == ["box-4", "box-2", "box-1"]
        assert world.node("box-1").status.wish is not None
        assert str(world.node("box-1").status.wish.by) == "ups"  # type: ignore[union-attr]
        ups.mains = True
        await trio.sleep(300)
        assert told(world) == "Charging"
        assert not any(world.hardware(name).power for name in ("box-1", "box-2", "box-3", "box-4"))
        jobs.made.clear()
        ups.charge = 81
        await world.until(lambda: sum(p is P.READY for p in world.phases().values()) == 3, within=200)
        assert sorted(name for name, _, _ in jobs.made) == ["box-1", "box-2", "box-4"]
        assert [name for name, _, _ in jobs.made if name != "box-4"] == ["box-1", "box-2"]
        assert (told(world), told(world, "early")) == ("", "")
        assert world.site.report().pods_killed == 0
        events = [each for each in world.journal.reasons("rack") if each in {*State, "PowerIsBack"}]
        assert events == ["OnBattery", "OrderedOff", "Charging", "PowerIsBack"]


async def test_a_restart_on_battery_changes_nothing(autojump_clock: MockClock) -> None:
    """hexa dies with the machines off and comes back on mains with little charge: they still wait for it."""
    async with fed(boxes(1)) as (world, ups):
        await reach(world, P.OFF)
        await ask(world, 1)
        await reach(world, P.READY)
        ups.mains, ups.charge = False, 30
        await reach(world, P.OFF)
        ups.mains = True
        await world.restart_agent(after=60)
        await trio.sleep(120)
        assert world.phase("box-1") is P.OFF
        ups.charge = 90
        await reach(world, P.READY)


async def test_an_agent_that_starts_on_battery_wakes_nobody_before_it_has_heard_the_ups(
    autojump_clock: MockClock,
) -> None:
    """A machine that is wanted on went dark with the mains; the UPS answers slowly, and nothing that is stored tells of it."""
    async with fed(boxes(1, sensor=True)) as (world, ups):
        await reach(world, P.OFF)
        await ask(world, 1)
        await reach(world, P.READY)
        jobs = JobWatch(world)
        ups.mains, ups.charge, ups.takes = False, 90, 3.0
        await world.until(lambda: told(world) == "OnBattery", within=30)
        world.inject({"kind": "powerLoss", "machine": "box-1"})
        await reach(world, P.OFF)
        await world.restart_agent(after=10)
        await trio.sleep(600)
        assert (world.phase("box-1"), jobs.made) == (P.OFF, [])
        ups.mains = True
        await reach(world, P.READY)


async def test_a_restart_that_hears_no_ups_finishes_no_shutdown_for_it(autojump_clock: MockClock) -> None:
    """A machine was off by the UPS; another one was being held off when hexa died, before its Job was made. The hold is over, and
    whether the UPS is still on battery nobody knows: that one serves on."""
    async with fed(boxes(2)) as (world, ups):
        await reach(world, P.OFF, "box-1")
        await reach(world, P.OFF, "box-2")
        await ask(world, 2)
        await reach(world, P.READY, "box-1")
        await reach(world, P.READY, "box-2")
        world.edit("box-1", {"hold": {"power": "on"}})
        ups.mains, ups.charge = False, 30
        await reach(world, P.OFF, "box-2")
        ups.hangs = True
        await trio.sleep(60)
        jobs = JobWatch(world)
        kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=1000)
        world.edit("box-1", {"hold": {"power": "off"}})
        await reach(world, P.POWERING_OFF, "box-1")
        world.agent.kill()
        await world.agent.ended()
        world.edit("box-1", {"hold": None})
        await world.start_agent()
        await trio.sleep(180)
        assert (world.phase("box-1"), world.phase("box-2"), jobs.made) == (P.READY, P.OFF, [])


async def test_mains_that_come_back_turn_a_drain_back(autojump_clock: MockClock) -> None:
    """A budget keeps the machine on; no pod is lost to the battery, and with mains it stays."""
    async with fed(boxes(1)) as (world, ups):
        await loaded(world, budget={"minAvailable": 1})
        ups.mains, ups.charge = False, 30
        await reach(world, P.DRAINING)
        await trio.sleep(60)
        assert world.hardware("box-1").power
        ups.mains = True
        await reach(world, P.READY, within=60)
        await trio.sleep(120)
        assert world.phase("box-1") is P.READY
        assert world.site.report().pods_killed == 0


async def test_mains_that_came_back_while_there_was_no_group_order_nobody_off(autojump_clock: MockClock) -> None:
    """A Group that is created anew is judged by what the UPS says then, not by what it said before."""
    async with fed(boxes(1)) as (world, ups):
        await up(world)
        ups.mains, ups.charge = False, 10
        await reach(world, P.OFF)
        delete_group(world, "rack")
        await trio.sleep(60)
        ups.mains, ups.charge = True, 100
        await trio.sleep(60)
        jobs = JobWatch(world)
        world.add_group(rack())
        await reach(world, P.READY)
        await trio.sleep(120)
        assert world.phase("box-1") is P.READY
        assert told(world) == ""
        assert set(jobs.of("box-1")) == {"startup"}


async def test_a_group_that_is_created_on_battery_is_barred_at_once(autojump_clock: MockClock) -> None:
    """It need not wait for the next answer of the UPS, also where it is the first."""
    async with fed([]) as (world, ups):
        delete_group(world, "rack")
        ups.mains, ups.charge = False, 90
        await trio.sleep(61)
        jobs = JobWatch(world)
        world.add_group(group("later", minSize=1, onBattery={"charge": 20}))
        world.add_machine(machine("box-2", group="later", boot_seconds=8.0))
        await trio.sleep(60)
        assert world.phase("box-2") is P.OFF
        assert told(world, "later") == "OnBattery"
        assert not jobs.made


async def test_a_person_is_above_the_ups(autojump_clock: MockClock) -> None:
    """What a person holds on stays on, and what a person switches on comes, on battery too."""
    async with fed(boxes(2)) as (world, ups):
        await reach(world, P.OFF, "box-2")
        world.edit("box-1", {"hold": {"power": "on"}})
        await reach(world, P.READY)
        ups.mains, ups.charge = False, 30
        await world.until(lambda: told(world) == "OrderedOff", within=40)
        world.edit("box-2", {"hold": {"power": "on"}})
        await reach(world, P.READY, "box-2")
        await trio.sleep(600)
        assert world.phases() == {"box-1": P.READY, "box-2": P.READY}


SILENT: dict[str, Any] = {
    "hangs": {"hangs": True},
    "refuses": {"error": Refused("upsd says ACCESS-DENIED")},
    "stale": {"error": Unavailable("upsd says DATA-STALE")},
    "lies": {"answer": unknown("its ups.status says 'OL OB'")},
}


@pytest.mark.parametrize("how", SILENT)
async def test_a_ups_in_doubt_switches_nothing_off(autojump_clock: MockClock, how: str) -> None:
    """From the beginning, or on battery: no machine goes off for it, wakes are as ever while mains were there last, and it is told
    once."""
    async with fed(boxes(1)) as (world, ups):
        for name, value in SILENT[how].items():
            setattr(ups, name, value)
        ups.charge, ups.mains = 10, False
        await reach(world, P.OFF)
        await ask(world, 1)
        await reach(world, P.READY)
        await trio.sleep(600)
        assert world.phase("box-1") is P.READY
        assert told(world) == ""
        assert [each for each in world.journal.reasons("rack") if each == "UpsNotHeard"] == ["UpsNotHeard"]


async def test_a_ups_that_falls_silent_on_battery(autojump_clock: MockClock) -> None:
    """Who is on stays on and who is off stays off, for half an hour; then what was wanted comes. One missed answer is nothing."""
    later = group("later", maxNodeProvisionTime="2m", onBattery={"charge": 10, "runtime": "0s"})
    async with fed([*boxes(1), machine("box-2", group="later", boot_seconds=8.0)], rack(), later) as (world, ups):
        await reach(world, P.OFF, "box-2")
        await ask(world, 1)
        await ask(world, 1, group="later")
        await reach(world, P.READY, "box-2")
        ups.mains, ups.charge, ups.runtime = False, 30, timedelta(minutes=5)
        await reach(world, P.OFF, "box-1")
        calls, ups.error = ups.calls, Unavailable("lost")
        await world.until(lambda: ups.calls > calls, within=20)
        ups.error = None
        for _ in range(40):
            await trio.sleep(0.5)
            assert told(world) == "OrderedOff"
        ups.hangs = True
        await world.until(lambda: told(world) == "UpsUnknown", within=60)
        await trio.sleep(1500)
        assert (world.phase("box-1"), world.phase("box-2")) == (P.OFF, P.READY)
        await reach(world, P.READY, "box-1", within=600)
        assert told(world) == ""


async def test_a_charge_that_is_not_known_is_no_low_charge(autojump_clock: MockClock) -> None:
    """A UPS that says neither charge nor runtime switches nothing off until it says itself that its battery is low."""
    async with fed(boxes(1)) as (world, ups):
        await up(world)
        ups.answer = UpsReading(supply=Supply.BATTERY)
        await trio.sleep(600)
        assert world.phase("box-1") is P.READY
        ups.answer = UpsReading(supply=Supply.BATTERY, low=True)
        await reach(world, P.OFF)


async def test_mains_cost_no_write(autojump_clock: MockClock) -> None:
    """With a UPS on mains an hour changes nothing at the API server."""
    async with fed(boxes(1)) as (world, ups):
        await up(world)
        await world.settle(quiet=30)
        version, calls = world.site.api.version, ups.calls
        await trio.sleep(3600)
        assert ups.calls - calls == 240
        assert world.node("box-1").metadata.resource_version
        assert world.site.api.version == version
