"""Implements ports.clock on the system's clock."""

from datetime import UTC, datetime

import trio


class SystemClock:
    """Wall-clock time; waiting follows Trio's clock, so a jump of the wall clock never wakes anybody early."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251

    async def sleep_until(self, when: datetime) -> None:
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall clock may be set back
            await trio.sleep(left)
