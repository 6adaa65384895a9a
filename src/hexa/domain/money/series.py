"""Steps of one price each, and the series of prices that an exchange or a supplier publishes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
MOST: Final = 1000.0
"""Of a kilowatt-hour's price, up or down, in the currency: what is beyond it was written in another unit."""
NEAR: Final = tuple(days * DAY for days in (1, 2, 3, 4, 5, 6, 7, -1, -2, -3, -4, -5, -6, -7))
"""How far away a day may be whose price stands in, the best first: the days before, then those after."""


class Step(Struct, frozen=True):
    """One price, from and to, UTC."""

    start: datetime
    end: datetime
    per_kwh: float
    """In the tariff's currency."""
    known: bool = True
    """False: the series has no price here, and this one is taken from a day that it has."""

    @property
    def hours(self) -> float:
        return (self.end - self.start) / HOUR


class Row(Struct, frozen=True):
    """A price of a series, from and to, UTC."""

    start: datetime
    end: datetime
    per_kwh: float


def series_steps(rows: Sequence[Row], start: datetime, end: datetime) -> Iterator[Step]:
    """The prices of a series. Before its first row, between two that do not meet, and for a day after its last: the price at the
    same time of the nearest day that it knows; beyond that the mean of its last day."""
    at, index = start, bisect_right(rows, start, key=lambda row: row.end)
    while at < end:
        row = rows[index] if index < len(rows) else None
        if row is not None and row.start <= at:
            yield Step(at, min(row.end, end), row.per_kwh)
            at, index = min(row.end, end), index + 1
        else:
            until = min(end, row.start) if row is not None else end
            yield from _guessed(rows, at, until)
            at = until


def _guessed(rows: Sequence[Row], start: datetime, end: datetime) -> Iterator[Step]:
    """What stands in where no row is."""
    last = rows[-1].end
    shaped = end if start < last else min(end, max(start, last + DAY))
    at = start
    while at < shaped:
        row, until = _alike(rows, at, shaped)
        yield Step(at, until, row.per_kwh if row is not None else _mean_of_last_day(rows), known=False)
        at = until
    if at < end:
        yield Step(at, end, _mean_of_last_day(rows), known=False)


def _alike(rows: Sequence[Row], at: datetime, end: datetime) -> tuple[Row | None, datetime]:
    """The row at the same time of the nearest day before, or else after, within a week; until when that is so, at most `end`."""
    for away in NEAR:
        index = bisect_right(rows, at - away, key=lambda row: row.end)
        row = rows[index] if index < len(rows) else None
        if row is not None and row.start <= at - away:
            return row, min(end, row.end + away)
        if row is not None and row.start < end - away:  # from then on this day has a price
            end = row.start + away
    return None, end


def _mean_of_last_day(rows: Sequence[Row]) -> float:
    start = rows[-1].end - DAY
    within = rows[bisect_right(rows, start, key=lambda row: row.end) :]
    parts = [((row.end - max(row.start, start)) / HOUR, row.per_kwh) for row in within]
    return sum(hours * price for hours, price in parts) / sum(hours for hours, _ in parts)


def joined(steps: Iterable[Step]) -> Iterator[Step]:
    """Steps that follow each other with one price are one step."""
    last: Step | None = None
    for step in steps:
        if last is not None and (last.per_kwh, last.known) == (step.per_kwh, step.known):
            last = Step(last.start, step.end, last.per_kwh, last.known)
            continue
        if last is not None:
            yield last
        last = step
    if last is not None:
        yield last
