"""A breaker of the site: what its machines may draw at each moment, and when each of them was switched on. It trips nothing."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import trio

from hexa.adapters.memory.site.machine import MemoryMachine


class Breaker:
    """Counts a machine with power by its `max_watts`, one without by its `off_watts`, from the moment it is made."""

    def __init__(self, machines: Sequence[MemoryMachine]) -> None:
        self._machines: Final = tuple(machines)
        self._had_power = {machine.name: machine.power for machine in machines}
        self.switched_on: Final[list[tuple[float, str]]] = []
        """(Trio's time, machine) each time that one got power."""
        self.peak = self.watts
        """The most that it ever was."""
        for machine in machines:
            machine.on_switch.append(self._look)

    def __repr__(self) -> str:
        return f"<Breaker {self.watts:g} W, {self.peak:g} W at most>"

    @property
    def watts(self) -> float:
        """What its machines may draw now."""
        return sum(each.spec.max_watts if each.power else each.spec.off_watts for each in self._machines)

    @property
    def closest(self) -> float:
        """Seconds between the two that got power closest to each other; infinite while there are no two."""
        return min((later[0] - first[0] for first, later in pairwise(self.switched_on)), default=float("inf"))

    def _look(self) -> None:
        self.peak = max(self.peak, self.watts)
        for machine in self._machines:
            if machine.power and not self._had_power[machine.name]:
                self.switched_on.append((trio.current_time(), machine.name))
            self._had_power[machine.name] = machine.power
