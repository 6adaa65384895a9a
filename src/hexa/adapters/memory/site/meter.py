"""Hours on and energy of a machine, integrated exactly over what its power and its pods' requests were."""

import trio

from hexa.adapters.memory.site.machine_spec import MachineSpec
from hexa.domain.quantity import parse_quantity


class Meter:
    """Counts at each change what went before; a reading is complete up to now."""

    def __init__(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._cpu = float(parse_quantity(spec.cpu))
        self._since = trio.current_time()
        self._on = False
        self._used = 0.0
        self._on_seconds = 0.0
        self._watt_seconds = 0.0

    def __repr__(self) -> str:
        return f"<Meter {self.on_hours:.2f} h, {self.kwh:.3f} kWh>"

    @property
    def on_seconds(self) -> float:
        self._count()
        return self._on_seconds

    @property
    def on_hours(self) -> float:
        return self.on_seconds / 3600

    @property
    def kwh(self) -> float:
        self._count()
        return self._watt_seconds / 3_600_000

    @property
    def utilisation(self) -> float:
        """Share of the machine's cores that running pods request."""
        return min(1.0, self._used / self._cpu)

    def switch(self, on: bool) -> None:
        self._count()
        self._on = on

    def boot(self) -> None:
        """A boot takes its own energy on top of idling."""
        self._watt_seconds += self._spec.boot_watt_hours * 3600

    def use(self, cores: float) -> None:
        """Pods that request `cores` start (or, negative, end)."""
        self._count()
        self._used += cores

    def _count(self) -> None:
        now = trio.current_time()
        seconds, self._since = now - self._since, now
        if self._on:
            self._on_seconds += seconds
        self._watt_seconds += seconds * self._watts()

    def _watts(self) -> float:
        spec = self._spec
        if not self._on:
            return spec.off_watts
        return spec.idle_watts + (spec.max_watts - spec.idle_watts) * self.utilisation
