"""Times of day and days of the week in a scenario. Its zone is the offset of the scenario's start."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.duration import parse_duration
from hexa.domain.weekly import DAYS

DAY: Final = timedelta(days=1)
_TIME: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)", re.ASCII)


def parse_time(text: str) -> timedelta:
    """ "08:30" as the time since midnight; 24:00 is the end of the day. Raises `ValueError`."""
    match = _TIME.fullmatch(text)
    if match is None or (time := timedelta(hours=int(match[1]), minutes=int(match[2]))) > DAY:
        raise ValueError(f"{text!r} is no time of day")
    return time


def parse_moment(text: str, *, start: datetime) -> datetime:
    """A duration after the start, or the first such weekday and time after it. Raises `ValueError`."""
    day, _, time = text.partition(" ")
    if day not in DAYS:
        return start + parse_duration(text)
    moment = midnight(start) + timedelta(days=(DAYS.index(day) - start.weekday()) % 7) + parse_time(time.strip())
    return moment if moment >= start else moment + timedelta(days=7)


def signed_seconds(text: str) -> float:
    """A duration in seconds, or one backwards ("-5m"). Raises `ValueError`."""
    sign = -1 if text.startswith("-") else 1
    return sign * parse_duration(text.removeprefix("-")).total_seconds()


def midnight(when: datetime) -> datetime:
    """The beginning of its day."""
    return when.replace(hour=0, minute=0, second=0, microsecond=0)


def day_times(start: datetime, end: datetime) -> Iterator[datetime]:
    """Midnight of each day that begins before `end`, the day of `start` included."""
    day = midnight(start)
    while day < end:
        yield day
        day += DAY


class Daily(Struct, frozen=True):
    """A window of some days of the week; one that ends before it begins ends on the next day."""

    days: frozenset[str]
    """Empty: all."""
    begin: timedelta
    end: timedelta

    def on(self, day: datetime) -> tuple[datetime, datetime] | None:
        """The window that begins on the day; None if there is none."""
        if self.days and DAYS[day.weekday()] not in self.days:
            return None
        length = (self.end - self.begin) % DAY or DAY
        return day + self.begin, day + self.begin + length
