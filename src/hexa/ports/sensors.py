"""Readings of a machine's power from something that knows: a BMC, a PDU. Unknown is a value."""

from typing import Protocol

from hexa.domain.resources.v1alpha1 import Node, PowerReading


class Sensors(Protocol):
    def reading(self, machine: Node) -> PowerReading | None:
        """The latest reading of the machine's power with source and time; None if nothing reads this machine."""
        ...
