"""Readings of a machine's power from something that knows: a BMC, a PDU. Unknown is a value."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from hexa.domain.resources.power_spec import DriverName
from hexa.domain.resources.v1alpha1 import Counter, Node, PowerReading, Reading
from hexa.ports.power import Measurement


class Sensors(Protocol):
    """What is known of machines' power, without asking anybody."""

    def reading(self, machine: Node) -> PowerReading | None:
        """The latest reading of the machine's power with source and time; None if nothing reads this machine."""
        ...

    def trouble(self, machine: Node) -> str:
        """In one sentence why the reading is Unknown; empty where nobody can say, or nothing is wrong."""
        ...


class Gauge(Protocol):
    """Asks what reads a machine's power."""

    async def read(self, machine: Node, driver: DriverName) -> Reading:
        """Ask once, by this driver of its `spec.power`. Where several machines share a controller, one is asked at a time. It gives
        up by itself only where the other side does not answer. Raises `Unavailable` (try again) or `Refused` (a person must act:
        a Secret that is missing, wrong credentials) with one sentence that names machine, driver, address and remedy."""
        ...


@runtime_checkable
class MeterGauge(Gauge, Protocol):
    """Asks the meters of machines as well."""

    async def measure(self, machine: Node, driver: DriverName) -> Measurement:
        """Ask once, as `read` does, what the machine draws and has drawn."""
        ...


class Meters(Protocol):
    """What is known of machines' energy, without asking anybody."""

    def counter(self, machine: Node) -> Counter | None:
        """The last count of the machine's meter; None: it has none, or it was not read yet."""
        ...


class Secrets(Protocol):
    """Secrets, one by one and by name: nothing here lists them."""

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The keys of the Secret as they are now; None if there is none. Raises `Unavailable` or `Refused`."""
        ...
