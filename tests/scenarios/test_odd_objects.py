"""One object with a value that nobody foresaw, beside others: the others are switched as if it were not there."""

import json
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, switch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import WISH_ANNOTATION
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import Machine, group, machine, open_world

WHOLE = {
    "startupPodSpec": {"image": "power.example/switch", "resources": {"requests": {"cpu": 1}, "limits": {"cpu": 2}}}
}
POD = {"image": "power.example/switch", "env": [{"name": "X", "valueFrom": {"fieldRef": {}}}]}
BRACKET = {"redfish": {"address": "https://[fd00::10", "secretName": "bmc"}}


def odd(name: str, **spec: Any) -> Machine:
    """A machine of a group of its own."""
    return machine(name, group="others", namespace="tenant", spec=spec)


@pytest.mark.contains
async def test_failure_51_an_object_with_an_odd_value_harms_no_other(autojump_clock: MockClock) -> None:
    """Whole numbers as quantities, an address with a missing bracket, absurd times: the machines of other namespaces go on, also
    after a restart, and nothing of the odd ones is switched off."""
    machines = [
        odd("whole", **WHOLE),
        odd("incomplete", startupPodSpec=POD),
        odd("bracket", startupPodSpec=None, shutdownPodSpec=None, power=BRACKET),
        odd("times"),
    ]
    groups = [rack(), group("others", namespace="tenant")]
    async with open_world(groups=groups, machines=[*boxes(), *machines], autoscaler=None, site=QUICK) as world:
        await trio.sleep(60)
        wish = {"power": "on", "by": "user", "since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59"}
        annotated = {"metadata": {"annotations": {WISH_ANNOTATION: json.dumps(wish)}}, "spec": {"powerState": "on"}}
        for each in machines:
            world.site.api.patch(MACHINES, ("tenant", each.name), Patch(annotated))
        ages = {"since": "0001-01-01T00:00:00Z", "stoodStill": 1e300, "coolUntil": "9999-12-31T23:59:59Z"}
        world.site.api.patch(MACHINES, ("tenant", "times"), Patch({"status": ages}, subresource="status"))
        await world.restart_agent()
        await switch(world, "on")
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=120)
        await world.until(lambda: world.phase("whole", namespace="tenant") is Phase.READY, within=300)
        assert "BadPodSpec" in world.journal.reasons("incomplete")
        told = {c.type: c.message for c in world.node("bracket", namespace="tenant").status.conditions}
        assert "'https://[fd00::10' is no address" in told["Invalid"]
        assert not [line for line in world.journal.lines if line.message == "contained"]
