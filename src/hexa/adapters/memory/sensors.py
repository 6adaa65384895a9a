"""Readings of the power of the site's machines that have a sensor."""

from typing import TYPE_CHECKING

from hexa.domain.resources.v1alpha1 import Node, PowerReading, Reading

if TYPE_CHECKING:
    from hexa.adapters.memory.site import Site


class MemorySensors:
    """`ports.sensors`: always fresh, unless the sensor is blind."""

    def __init__(self, site: "Site") -> None:
        self._site = site

    def __repr__(self) -> str:
        return "<MemorySensors>"

    def reading(self, machine: Node) -> PowerReading | None:
        known = self._site.machines.get(machine.metadata.name)
        if known is None or not known.spec.sensor:
            return None
        now = self._site.clock.now()
        if known.ills.sensor_blind:
            return PowerReading(power=Reading.UNKNOWN, source="memory", at=now)
        return PowerReading(power=Reading.ON if known.power else Reading.OFF, source="memory", at=now)
