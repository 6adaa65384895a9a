"""The energy account of machines at a site: true to what they drew, through restarts, and with few writes."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.adapters.memory.clock import START
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, EnergyAccount
from hexa.testing.world import World, open_world

WATTS: Any = {"idle_watts": 60.0, "max_watts": 60.0, "off_watts": 2.0, "boot_watt_hours": 5.0}
HOUR = 3600.0


def writes(world: World) -> list[str]:
    """What is written of groups and machines from now on."""
    found: list[str] = []
    for kind in (GROUPS, MACHINES):
        world.site.api.listen(kind, lambda event: found.append(event.stored.key[1]))
    return found


async def test_an_account_is_what_the_machine_drew(autojump_clock: MockClock) -> None:
    """Through two boots, restarts of hexa, and its death in the middle of a write: within a few seconds' draw of what the machine's
    own meter counted, and the group's sum says the same."""
    group = rack(cost={"pricePerKWh": 0.5})
    async with open_world(groups=[group], machines=boxes(1, **WATTS), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, within=60)
        for _ in range(2):
            await switch(world, "on")
            await reach(world, Phase.READY)
            world.kill_agent(after_writes=1)
            await world.until(lambda: world.now.minute == 30, within=2 * HOUR, every=20)
            await world.restart_agent(after=200)
            await switch(world, "off")
            await reach(world, Phase.OFF)
            await world.until(lambda: world.now.minute == 0, within=2 * HOUR, every=20)
        await world.until(lambda: world.now.hour == 12, within=24 * HOUR, every=600)
        account, meter = world.node("box-1").status.energy, world.hardware("box-1").meter
        assert account.counted_to is not None
        late = (world.now - account.counted_to).total_seconds()
        there = (world.now - START).total_seconds()
        assert account.on_seconds + account.off_seconds + late == pytest.approx(there, abs=30)
        assert account.kwh == pytest.approx(meter.kwh - late * 2 / 3_600_000, abs=0.002)
        assert account.money == pytest.approx(account.kwh * 0.5)
        assert account.boots == 2
        total = world.group("rack").status.energy
        assert total.kwh == pytest.approx(account.kwh, abs=0.003)
        assert total.saved > 0


async def test_an_idle_site_writes_its_accounts_by_the_hour(autojump_clock: MockClock) -> None:
    """One write an hour of each machine and one of the group, by which no answer changes; without watts none."""
    found: dict[bool, list[str]] = {}
    for draws in (True, False):
        watts = WATTS if draws else {}
        async with open_world(
            groups=[rack(cost={"tariff": "house"})], machines=boxes(2, **watts), autoscaler=None, site=QUICK
        ) as world:
            await world.settle()
            found[draws], version = writes(world), world.cloud.version()
            await trio.sleep(6 * HOUR)
            assert world.cloud.version() == version  # nothing that Cluster Autoscaler is told has changed
    assert found[False] == []
    assert {name: found[True].count(name) for name in ("box-1", "box-2")} == {"box-1": 6, "box-2": 6}
    assert 5 <= found[True].count("rack") <= 7


BMC = {"startupPodSpec": None, "shutdownPodSpec": None, "power": {"ipmi": {"address": "bmc.lan", "secretName": "bmc"}}}


async def test_a_meter_is_counted_through_restarts_and_resets(autojump_clock: MockClock) -> None:
    """Pods make the machine draw more than its declared watts: the account says what the meter of its controller says. A meter that
    begins anew is told once, and nothing is counted twice."""
    watts = WATTS | {"max_watts": 200.0}
    machines = boxes(1, spec=BMC, **watts)
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        meter = world.hardware("box-1").meter

        def account() -> EnergyAccount:
            return world.node("box-1").status.energy

        await reach(world, Phase.OFF, within=120)
        await switch(world, "on")
        await reach(world, Phase.READY)
        world.add_pods(1, cpu="2")
        await trio.sleep(3 * HOUR)
        await world.restart_agent(after=300)
        await trio.sleep(2 * HOUR)
        assert account().measured == pytest.approx(meter.kwh, abs=0.15)
        assert account().kwh > 5 * 0.1
        world.agent.gauge.reset_meter("box-1")
        before = account()
        await trio.sleep(3 * HOUR)
        assert world.journal.reasons("box-1").count("MeterDoubted") == 1
        assert before.kwh < account().kwh <= meter.kwh + 0.001
