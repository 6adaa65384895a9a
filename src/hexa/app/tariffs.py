"""The tariffs that are known now. Whoever reads their files puts them here, and whoever prices asks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.money.tariff import Tariff
from hexa.domain.weekly import YEARS

LONGEST: Final = timedelta(days=366)
"""Of a span that is asked about: a longer one has the mean of its first year."""


class Tariffs:
    """By name; replaced as a whole."""

    def __init__(self, known: Mapping[str, Tariff] | None = None) -> None:
        self.known: Mapping[str, Tariff] = known or {}

    def __repr__(self) -> str:
        return f"<Tariffs {', '.join(self.known) or 'none'}>"

    def within(self, start: datetime, end: datetime) -> "Prices":
        """The prices of a span."""
        return Prices(self.known, start, end)


class Prices:
    """What a kilowatt-hour costs in the mean of one span, by each tariff; reckoned once."""

    def __init__(self, known: Mapping[str, Tariff], start: datetime, end: datetime) -> None:
        counts = start.year in YEARS  # who asks about another year knows no clock: a price without a tariff
        self._known: Mapping[str, Tariff] = known if counts else {}
        self._start, self._end = start, min(end, start + LONGEST) if counts else end
        self._means: Final[dict[str, float]] = {}

    def rates(self, machine: MachineView) -> Rates:
        """The machine's rates, with energy at its group's tariff."""
        name = machine.policy.tariff
        if name not in self._known:
            return machine.rates
        if name not in self._means:
            self._means[name] = self._known[name].mean(self._start, self._end)
        return structs.replace(machine.rates, per_kwh=self._means[name])
