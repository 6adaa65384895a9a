"""Readings of the power of the site's machines: by a sensor that is just there, or by asking, as of a BMC."""

from collections import Counter

import trio

from hexa.adapters.memory.site.site import Site
from hexa.domain.errors import HexaError, Unavailable
from hexa.domain.machine.trust import Sample
from hexa.domain.resources.power_spec import DriverName
from hexa.domain.resources.v1alpha1 import Node, PowerReading, Reading
from hexa.ports.power import UNMEASURED, Measurement


class MemorySensors:
    """`ports.sensors`: always fresh, unless the sensor is blind."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __repr__(self) -> str:
        return "<MemorySensors>"

    def reading(self, machine: Node) -> PowerReading | None:
        known = self._site.machines.get(machine.metadata.name)
        if known is None or not known.spec.sensor:
            return None
        now = self._site.clock.now()
        if known.defects.sensor_blind:
            return PowerReading(power=Reading.UNKNOWN, source="memory", at=now)
        power = Reading.ON if known.shown_power else Reading.OFF
        return Sample(power=power, source="memory", at=now, first=self._site.clock.at(known.shown_since))

    def trouble(self, machine: Node) -> str:
        return ""


class MemoryGauge:
    """`ports.sensors.Gauge`: asks the machine of the same name. An answer takes `seconds`; a blind sensor gives none."""

    def __init__(self, site: Site, *, seconds: float = 0.05) -> None:
        self._site = site
        self._errors: list[HexaError] = []
        self._zero: dict[str, float] = {}
        """What meters had counted when they were reset."""
        self.seconds = seconds
        self.calls: Counter[str] = Counter()
        """How often each machine was asked."""

    def __repr__(self) -> str:
        return f"<MemoryGauge {self.calls.total()} calls>"

    def fail_next(self, *errors: HexaError) -> None:
        """The next calls raise these, one each."""
        self._errors += errors

    async def measure(self, machine: Node, driver: DriverName) -> Measurement:
        name = machine.metadata.name
        await trio.sleep(self.seconds)
        known = self._site.machines.get(name)
        if known is None or known.defects.sensor_blind:
            return UNMEASURED
        return Measurement(kwh=known.meter.kwh - self._zero.get(name, 0.0))

    def reset_meter(self, name: str) -> None:
        """The meter of the machine begins to count anew, as one does that lost its own power."""
        self._zero[name] = self._site.machines[name].meter.kwh

    async def read(self, machine: Node, driver: DriverName) -> Reading:
        name = machine.metadata.name
        self.calls[name] += 1
        await trio.sleep(self.seconds)
        if self._errors:
            raise self._errors.pop(0)
        known = self._site.machines.get(name)
        if known is None or known.defects.sensor_blind:
            raise Unavailable(
                f"{name}: {driver}: no answer; check its address, its network and its power", reason="NoAnswer"
            )
        return Reading.ON if known.shown_power else Reading.OFF
