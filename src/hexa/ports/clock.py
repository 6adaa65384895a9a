"""Time as the core sees it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, aware and in UTC, with microseconds."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return no earlier than `when`; at once if it is past."""
        ...
