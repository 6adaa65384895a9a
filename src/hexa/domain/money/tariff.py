"""What a kilowatt-hour costs at each moment: flat, by weekly windows, or by a series of prices; with charges and tax on top.

Every tariff is a row of steps, each with one price, so that what energy costs over any span is a sum that is exact. Prices may be
negative. Where a series has no price the shape of a day that it knows stands in, and the steps say so.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from hexa.domain.memo import ByIdentity
from hexa.domain.money.series import HOUR, Row, Step, joined, series_steps
from hexa.domain.weekly import YEARS, Window, edges, spans

BERTH: Final = timedelta(days=2)
"""Around a moment in which a weekly tariff has a step that holds then."""


class Priced(Struct, frozen=True):
    """A weekly window and what a kilowatt-hour costs in it."""

    window: Window
    per_kwh: float


class Charge(Struct, frozen=True):
    """What is added to every kilowatt-hour, at all times or in a weekly window."""

    per_kwh: float
    window: Window | None = None


class Tariff(Struct, frozen=True, kw_only=True):
    """Prices of energy. `rows`, where there are any, come before `windows`, and these before `per_kwh`."""

    per_kwh: float = 0.0
    windows: tuple[Priced, ...] = ()
    """Of two that hold at the same moment the first counts."""
    rows: tuple[Row, ...] = ()
    """In order of time, without overlaps."""
    charges: tuple[Charge, ...] = ()
    """All that hold at a moment are added up."""
    tax: float = 0.0
    """A share of price and charges: 0.19 for 19 %."""
    zone: ZoneInfo = ZoneInfo("UTC")
    """Of the windows."""
    currency: str = "EUR"

    def steps(self, start: datetime, end: datetime) -> tuple[Step, ...]:
        """The prices from `start` to `end`, in order and without a gap; steps of one price are one step."""
        if end <= start:
            return ()
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        base = series_steps(self.rows, start, end) if self.rows else self._weekly(start, end)
        return tuple(joined(self._charged(base, start, end)))

    def at(self, moment: datetime) -> Step:
        """The step that holds at that moment, and how long it still does, for two days at most."""
        return self.steps(moment, moment + BERTH)[0]

    def cost(self, kwh_per_hour: float, start: datetime, end: datetime) -> float:
        """What a constant draw of so many kilowatts costs from `start` to `end`."""
        return kwh_per_hour * sum(step.per_kwh * step.hours for step in self.steps(start, end))

    def mean(self, start: datetime, end: datetime) -> float:
        """The price of a kilowatt-hour that is drawn evenly from `start` to `end`; at `start`, where that is no span."""
        hours = (end - start) / HOUR
        return self.cost(1.0, start, end) / hours if hours > 0 else self.at(start).per_kwh

    def _weekly(self, start: datetime, end: datetime) -> Iterator[Step]:
        held = [(list(spans(each.window, self.zone, start=start, end=end)), each.per_kwh) for each in self.windows]
        for begin, over in pairwise(edges((each.window for each in self.windows), self.zone, start=start, end=end)):
            price = next((price for found, price in held if _holds(found, begin)), self.per_kwh)
            yield Step(begin, over, price)

    def _charged(self, base: Iterable[Step], start: datetime, end: datetime) -> Iterator[Step]:
        """With charges and tax."""
        always = sum(charge.per_kwh for charge in self.charges if charge.window is None)
        timed = [(charge.window, charge.per_kwh) for charge in self.charges if charge.window is not None]
        held = [(list(spans(window, self.zone, start=start, end=end)), price) for window, price in timed]
        cuts = edges((window for window, _ in timed), self.zone, start=start, end=end)
        for step in base:
            inner = cuts[bisect_right(cuts, step.start) : bisect_right(cuts, step.end)]
            for begin, over in pairwise(sorted({step.start, *inner, step.end})):
                added = always + sum(price for found, price in held if _holds(found, begin))
                yield Step(begin, over, (step.per_kwh + added) * (1 + self.tax), step.known)


def _holds(found: Sequence[tuple[datetime, datetime]], at: datetime) -> bool:
    index = bisect_right(found, at, key=lambda span: span[0]) - 1
    return index >= 0 and at < found[index][1]


_LAST: Final[ByIdentity[Tariff, Step]] = ByIdentity()
"""Of each tariff the step that was asked about last."""


def step_at(tariff: Tariff, moment: datetime) -> Step | None:
    """The step that holds at that moment, worked out once for all who ask in it; None: no clock shows such a year."""
    if moment.year not in YEARS:
        return None
    known = _LAST.get(tariff)
    if known is None or not known.start <= moment < known.end:
        known = tariff.at(moment)
        _LAST.put(tariff, known)
    return known
