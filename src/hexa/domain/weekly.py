"""Weekly windows in the wall-clock time of an IANA zone, and the moments at which they begin and end.

A time that clocks skip when they go forward is met at the jump; one that they show twice when they go back is met once, at the
first. So no window begins twice, none is lost, and one that spans the change is an hour shorter or longer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: Final = get_args(Day)
YEARS: Final = range(1970, 9000)
"""Of which calendars speak: all that is reckoned from one of these is a date that there is."""
DAY: Final = 24 * 60
"""Minutes of a day by the wall clock."""
WEEK: Final = 7 * DAY

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")

Span = tuple[datetime, datetime]
"""From, inclusive, and to, exclusive; in UTC."""


class Window(Struct, frozen=True):
    """Each week, on these days, from one wall-clock time to another; one that ends at or before its start ends on the next day."""

    days: tuple[str, ...] = DAYS
    start: int = 0
    """Minutes after midnight, 0 to 1439."""
    end: int = DAY
    """Minutes after midnight, 1 to 1440."""

    @property
    def minutes(self) -> int:
        """Its length by the wall clock."""
        return self.end - self.start if self.end > self.start else self.end - self.start + DAY


def minutes_of(text: str) -> int:
    """Minutes after midnight of "HH:MM", up to "24:00". Raises `ValueError` with what is wanted."""
    if not _TIME.fullmatch(text):
        raise ValueError(f'{text!r} is no time of day: write "HH:MM", from "00:00" to "24:00"')
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def window_of(days: Sequence[str], start: str, end: str) -> Window:
    """The window that people wrote; no days are all days. Raises `ValueError` with what is wrong and what is wanted."""
    if unknown := [day for day in days if day not in DAYS]:
        raise ValueError(f"{unknown[0]!r} is no day: write {', '.join(DAYS[:-1])} or {DAYS[-1]}")
    begin, stop = minutes_of(start) % DAY, minutes_of(end)
    if begin == stop or (begin, stop) == (0, 0):
        raise ValueError(f"it is from {start} to {end} and so has no length; a whole day is from 00:00 to 24:00")
    return Window(tuple(day for day in DAYS if day in days) or DAYS, begin, stop or DAY)


def zone_of(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises `ValueError` with what is wanted."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no time zone that is known here: write an IANA name such as Europe/Berlin"
        ) from error


def moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """When clocks of the zone show that time on that day, in UTC: the first time, or the jump that skips it."""
    wall = datetime.combine(day, time(), tzinfo=zone) + timedelta(minutes=minutes)
    first = wall.astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return first
    return _jump(wall.replace(fold=1).astimezone(UTC), first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between the two at which the zone's offset changes, to the second."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def without(start: datetime, end: datetime, skipped: Sequence[Span]) -> Iterator[Span]:
    """The parts of a span that were: without those that the clock skipped."""
    for begin, over in sorted(skipped):
        if begin < end and over > start:
            if begin > start:
                yield start, begin
            start = max(start, over)
    if start < end:
        yield start, end


def spans(
    window: Window, zone: ZoneInfo, *, start: datetime, end: datetime, but: Iterable[date] = ()
) -> Iterator[Span]:
    """When the window holds between `start` and `end`, cut to these, in order. `but`: days on which it does not begin."""
    left, day, last = frozenset(but), start.astimezone(zone).date() - timedelta(days=1), end.astimezone(zone).date()
    while day <= last:
        if DAYS[day.weekday()] in window.days and day not in left:
            begin = moment(day, window.start, zone)
            over = moment(day, window.start + window.minutes, zone)
            if max(begin, start) < min(over, end):
                yield max(begin, start), min(over, end)
        day += timedelta(days=1)


def edges(windows: Iterable[Window], zone: ZoneInfo, *, start: datetime, end: datetime) -> list[datetime]:
    """`start`, `end`, and every moment between at which one of the windows begins or ends; in order."""
    found = {start, end}
    for window in windows:
        for span in spans(window, zone, start=start, end=end):
            found.update(span)
    return sorted(found)


def overlap(one: Window, other: Window) -> tuple[str, int] | None:
    """Day and minute at which both hold first in the week; None: they never meet."""
    met = sorted(
        max(first, second)
        for first, first_end in _in_week(one)
        for second, second_end in _in_week(other)
        if max(first, second) < min(first_end, second_end)
    )
    return (DAYS[met[0] // DAY], met[0] % DAY) if met else None


def uncovered(windows: Sequence[Window]) -> tuple[str, int] | None:
    """Day and minute at which none of them holds first in the week; None: they fill it."""
    at = 0
    for begin, end in sorted(part for window in windows for part in _in_week(window)):
        if begin > at:
            break
        at = max(at, end)
    return (DAYS[at // DAY], at % DAY) if at < WEEK else None


def _in_week(window: Window) -> Iterator[tuple[int, int]]:
    """Minutes of the week in which it holds; the part over its end is at its beginning."""
    for day in window.days:
        begin = DAYS.index(day) * DAY + window.start
        end = begin + window.minutes
        yield begin, min(end, WEEK)
        if end > WEEK:
            yield 0, end - WEEK


def clock(minutes: int) -> str:
    """Minutes after midnight as "HH:MM"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"
