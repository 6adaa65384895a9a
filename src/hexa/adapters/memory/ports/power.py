"""A way to a machine of the site, as drivers are to real ones: implements `ports.power.HardPower`."""

from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.domain.errors import HexaError
from hexa.domain.resources.v1alpha1 import Reading


class MemoryPower:
    """Acts at once; the machine takes its time, and obeys or not as its defects say."""

    def __init__(self, machine: MemoryMachine) -> None:
        self._machine = machine
        self._errors: list[HexaError] = []
        self.calls: list[str] = []

    def __repr__(self) -> str:
        return f"<MemoryPower {self._machine.name}>"

    def fail_next(self, *errors: HexaError) -> None:
        """The next calls raise these, one each."""
        self._errors += errors

    async def turn_on(self) -> None:
        self._called("turn_on")
        self._machine.wake()

    async def turn_off(self) -> None:
        self._called("turn_off")
        self._machine.cut_soft()

    async def cut(self) -> None:
        self._called("cut")
        self._machine.cut_hard()

    async def sense(self) -> Reading:
        self._called("sense")
        if self._machine.defects.sensor_blind:
            return Reading.UNKNOWN
        return Reading.ON if self._machine.power else Reading.OFF

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self._errors:
            raise self._errors.pop(0)
