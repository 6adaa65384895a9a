"""A receiver of notifications: what it wants to hear, when it is quiet, and the forms of what it is sent."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from hexa.domain.notify.events import LEVELS, Event, Trouble
from hexa.domain.weekly import YEARS, Window, spans

AHEAD: Final = timedelta(days=15)
"""So far the end of windows that follow one another without a gap is looked for."""


class Quiet(Struct, frozen=True):
    """Weekly windows in which only what is critical is told."""

    windows: tuple[Window, ...] = ()
    zone: ZoneInfo = ZoneInfo("UTC")

    def span(self, now: datetime) -> tuple[datetime, datetime] | None:
        """From when to when it is quiet around now; None: it is not."""
        if now.year not in YEARS or not self.windows:
            return None
        start, end = now - timedelta(days=8), now + AHEAD
        joined: tuple[datetime, datetime] | None = None
        for begin, over in sorted(
            each for window in self.windows for each in spans(window, self.zone, start=start, end=end)
        ):
            if joined is not None and begin <= joined[1]:
                joined = joined[0], max(joined[1], over)
            elif begin <= now:
                joined = begin, over
            else:
                break
        return joined if joined is not None and joined[0] <= now < joined[1] else None

    def told(self, moment: datetime) -> str:
        """The moment in its zone, to the second."""
        zone = self.zone if moment.year in YEARS else UTC
        return moment.astimezone(zone).isoformat(timespec="seconds")


class Receiver(Struct, frozen=True, kw_only=True):
    """Who is told."""

    name: str
    events: frozenset[Event]
    least: int = 0
    """The least severe level that it wants, as a place in `LEVELS`."""
    quiet: Quiet = Quiet()
    content_type: str
    body: str
    """The template."""
    subject: str = ""
    """The template of a mail's."""

    def __repr__(self) -> str:
        return f"<Receiver {self.name}>"

    def wants(self, trouble: Trouble) -> bool:
        return trouble.event in self.events and LEVELS.index(trouble.level) >= self.least

    def quiet_until(self, now: datetime) -> datetime | None:
        """Until when what is not critical waits; None: it is told now."""
        span = self.quiet.span(now)
        return span[1] if span is not None else None
