"""The clock of one life: the wall clock, watched by the monotonic one, so that it is noticed when somebody sets it.

Within a life it never goes backwards by a little, as time servers turn clocks. When it is set by more, who keeps moments in memory
is told by how much, and moves them: what was measured before and after can be compared again. It writes nothing down; stamps
that are stored are looked at by `domain.machine.stamps`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import trio

from hexa.ports.clock import Clock

SET_BY: Final = timedelta(seconds=5)
"""A wall clock that is so far from where it should be was set; by less it is turned."""


class WatchedClock:
    """`ports.clock` over another one. Trio's clock is the monotonic one."""

    def __init__(self, wall: Clock) -> None:
        self._wall = wall
        self._seen = trio.current_time(), wall.now()
        self._told = self._seen[1]
        self._on_set: list[Callable[[timedelta], None]] = []

    def __repr__(self) -> str:
        return f"<WatchedClock {self._told.isoformat()}>"

    def on_set(self, notify: Callable[[timedelta], None]) -> None:
        """Call `notify(by)` when the clock was set; negative: back."""
        self._on_set.append(notify)

    def now(self) -> datetime:
        wall = self._wall.now()
        if wall is self._seen[1]:  # virtual time stands still while things happen
            return self._told
        moment, (before, was) = trio.current_time(), self._seen
        by = wall - was - timedelta(seconds=moment - before)
        self._seen = moment, wall
        if abs(by) < SET_BY:
            self._told = max(self._told, wall)
            return self._told
        self._told = wall
        for notify in self._on_set:
            notify(by)
        return wall

    async def sleep_until(self, when: datetime) -> None:
        await self._wall.sleep_until(when)
