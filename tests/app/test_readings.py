"""What is kept of readings of the power, and for how long it says anything of the machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from tests.app.rig import SPACE, Rig, key, open_rig
from trio.testing import MockClock

from hexa.app.core import NoSensors
from hexa.app.node.power_readings import Readings
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.trust import read_twice
from hexa.domain.resources.power_spec import DriverName
from hexa.domain.resources.v1alpha1 import MACHINES, Node, PowerReading, Reading
from hexa.ports.kube import Patch


def bmc(host: str) -> dict[str, Any]:
    """The machine's way by this address."""
    return {"power": {"redfish": {"address": f"https://{host}", "credentials": {"name": "bmc"}}}}


class ByAddress:
    """A gauge that reads what each address says, and waits where it says nothing."""

    def __init__(self, **says: Reading) -> None:
        self.says = says

    async def read(self, machine: Node, driver: DriverName) -> Reading:
        spec = machine.spec.power
        assert spec is not None
        assert spec.redfish is not None
        name = spec.redfish.address.removeprefix("https://")
        while name not in self.says:  # noqa: ASYNC110
            await trio.sleep(1)
        return self.says[name]


@asynccontextmanager
async def read(rig: Rig, gauge: ByAddress) -> AsyncIterator[Readings]:
    """Readings that go on."""
    parts: dict[str, Any] = {"clock": rig.clock, "news": rig.news}
    readings = Readings(store=rig.store, views=rig.views, gauge=gauge, elsewhere=NoSensors(), **parts)
    async with trio.open_nursery() as nursery:
        await nursery.start(readings.queue.run)
        yield readings
        nursery.cancel_scope.cancel()


async def test_failure_46_what_another_address_said_is_no_reading_of_the_machine(autojump_clock: MockClock) -> None:
    """The address of the BMC is corrected: what the old one said counts no more, and one Off of the new one is a single sample,
    whatever was read before."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, spec=bmc("wrong"))
        gauge = ByAddress(wrong=Reading.OFF)
        async with read(rig, gauge) as readings:

            def known() -> PowerReading:
                found = readings.reading(rig.store.machines.objects[key("m")])
                assert found is not None
                return found

            await trio.sleep(30)
            assert known().power is Reading.OFF
            assert read_twice(known())
            rig.api.patch(MACHINES, (SPACE, "m"), Patch({"spec": bmc("right")}))
            await trio.sleep(1)
            assert known().power is Reading.UNKNOWN
            gauge.says["right"] = Reading.OFF
            await trio.sleep(2)
            assert known().power is Reading.OFF
            assert not read_twice(known())
            gauge.says["right"] = Reading.ON
            await trio.sleep(6)
            assert known().power is Reading.ON
