"""A site that sets every rule there is: what it costs while nothing happens."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import PROVISION, QUICK, kube_of
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.testing.autoscaler import Settings
from hexa.testing.world import Machine, group, machine, open_world

EVERYTHING: dict[str, Any] = {
    "minSize": 10,
    "maxSize": 22,
    "spares": 2,
    "maxCyclesPerDay": 6,
    "rateLimit": {"wakes": 10, "rests": 5, "per": "1m"},
    "maxDraining": 4,
    "maxWatts": 5000,
    "minOnTime": "5m",
    "minOffTime": "5m",
    "blackouts": [{"from": "12:00", "to": "13:00", "zone": "Europe/Berlin"}],
    "schedules": [{"days": ["Sat", "Sun"], "zone": "Europe/Berlin", "minSize": 4, "spares": 0}],
    "order": ["reliability", "energy", "boot", "wear", "cost", "index"],
    "wakeForPinned": True,
    "learnShape": True,
    "reportBlockers": True,
    "wakeProof": "Ignore",
    "remediation": {"powerCycle": True, "outOfService": True},
    "cost": {"pricePerKWh": 0.3},
    "maxNodeProvisionTime": PROVISION,
}
CIRCUITS = {"left": {"maxWatts": 12_000, "inrushSpacing": "1s"}, "right": {"maxWatts": 12_000}}
ENERGY = {"idleWatts": 60, "maxWatts": 200, "offWatts": 3, "bootWattHours": 2}


def rack(number: int) -> list[Machine]:
    """A rack of 25 machines, of which 12 are on."""
    spec = {"circuit": "left" if number % 2 else "right", "energy": ENERGY}
    names = [f"r{number}-{each:02}" for each in range(25)]
    return [
        machine(name, group=f"rack-{number}", on=place < 12, boot_seconds=20.0, spec=spec)
        for place, name in enumerate(names)
    ]


@pytest.mark.long
async def test_a_hundred_machines_with_every_rule_cost_no_call_while_idle(autojump_clock: MockClock) -> None:
    """With all of these set, a site at rest asks the API server nothing and writes nothing for ten minutes; only the account of
    the hour is written."""
    groups = [group(f"rack-{number}", **EVERYTHING) for number in range(4)]
    machines = [each for number in range(4) for each in rack(number)]
    async with open_world(
        groups=groups, machines=machines, circuits=CIRCUITS, site=QUICK, autoscaler=Settings()
    ) as world:
        world.add_pods(8, cpu="3")
        await trio.sleep(3600 + 900)
        on = sum(phase is Phase.READY for phase in world.phases().values())
        assert on == 40
        assert world.waiting == 0
        asked, version = kube_of(world).calls.total(), world.site.api.version
        await trio.sleep(600)
        assert (kube_of(world).calls.total(), world.site.api.version) == (asked, version)
