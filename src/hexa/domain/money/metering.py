"""From what a meter says to a count of energy: its own where it has one, else its watts, added up between two readings."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.money.rates import HOUR
from hexa.domain.resources.energy import Counter

GAP: Final = timedelta(minutes=10)
"""Of two readings that are further apart nobody knows what was drawn between them: the count begins anew."""


class Metering(Struct, frozen=True):
    """The last reading of a meter."""

    counter: Counter
    watts: float | None = None


def counted(
    last: Metering | None, *, watts: float | None, kwh: float | None, at: datetime, source: str
) -> Metering | None:
    """The reading after `last`; the very same where the meter tells neither watts nor energy. `source`: what read it."""
    if kwh is not None:
        return Metering(Counter(kwh=round(kwh, 6), at=at, source=source), watts)
    if watts is None:
        return last
    if last is None or last.watts is None or not _goes_on(last.counter, at, source):
        return Metering(Counter(at=at, source=f"{source}, watts from {at.isoformat(timespec='seconds')}"), watts)
    hours = (at - last.counter.at) / HOUR if last.counter.at is not None else 0.0
    total = last.counter.kwh + (last.watts + watts) / 2 * hours / 1000
    return Metering(Counter(kwh=round(total, 9), at=at, source=last.counter.source), watts)


def _goes_on(counter: Counter, at: datetime, source: str) -> bool:
    same = counter.source.startswith(f"{source}, watts from ")
    return same and counter.at is not None and timedelta(0) < at - counter.at <= GAP
