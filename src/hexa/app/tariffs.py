"""The tariffs that are known now. Whoever reads their files puts them here, and whoever prices asks."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.machine_view import MachineView
from hexa.domain.money import booking
from hexa.domain.money.rates import Rates
from hexa.domain.money.tariff import Tariff
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import OrderBy
from hexa.domain.weekly import YEARS

LONGEST: Final = timedelta(days=366)
"""Of a span that is asked about: a longer one has the mean of its first year."""


class Tariffs:
    """By name; replaced as a whole."""

    def __init__(self, known: Mapping[str, Tariff] | None = None) -> None:
        self.known: Mapping[str, Tariff] = known or {}
        self._told: Mapping[str, Tariff] = self.known
        self._on_change: Final[list[Callable[[], None]]] = []

    def __repr__(self) -> str:
        return f"<Tariffs {', '.join(self.known) or 'none'}>"

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify()` when it is told that they were replaced."""
        self._on_change.append(notify)

    def tell(self) -> None:
        """Tell whoever keeps something of theirs, if they were replaced. Whoever replaces them calls this, in a task of ours."""
        if self.known is not self._told:
            self._told = self.known
            for notify in self._on_change:
                notify()

    def of(self, policy: Policy) -> Tariff | None:
        """The tariff of a group that compares its machines by their price; None: it has none, or compares nothing by it."""
        return self.known.get(policy.tariff) if OrderBy.COST in policy.order else None

    def end_of(self, name: str) -> datetime | None:
        """When the last price of a tariff ends; None: it has no series."""
        tariff = self.known.get(name)
        return tariff.rows[-1].end if tariff is not None and tariff.rows else None

    def paid(self, policy: Policy, *, start: datetime, end: datetime) -> booking.Prices:
        """What was to be paid for energy, by the group's tariff; in the currency of before where that tariff is not known, and
        nothing stands in for it."""
        tariff = self.known.get(policy.tariff)
        if tariff is None or end.year not in YEARS:
            priced = not policy.tariff or policy.price_per_kwh
            return booking.Prices(flat=policy.price_per_kwh, currency=policy.currency if priced else "")
        steps = tariff.steps(max(start, end - LONGEST), end)
        flat = 0.0 if steps else tariff.at(end).per_kwh
        return booking.Prices(steps=steps, flat=flat, zone=tariff.zone.key, currency=tariff.currency)

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
