"""How much is worked on at a time: much, and little while Cluster Autoscaler asks, so that its questions are answered in between.

A question waits for what is being done when it arrives. It knows no queue and no question; who answers tells that one was asked.
"""

from typing import Final

import trio

MANY: Final = 96
"""Machines, groups and nodes that are worked on at a time. Most of them wait for the API server."""
FEW: Final = 2
"""The same while questions come."""
HOLD: Final = 0.25
"""Seconds after a question in which the next one is expected."""


class Turns:
    """`limit` is shared by whoever works."""

    def __init__(self) -> None:
        self.limit: Final = trio.CapacityLimiter(MANY)
        self._until = 0.0
        self._asked = trio.Event()

    def __repr__(self) -> str:
        return f"<Turns {self.limit.borrowed_tokens} of {self.limit.total_tokens:g} taken>"

    def asked(self) -> None:
        """Cluster Autoscaler asks something."""
        self._until = trio.current_time() + HOLD
        if self.limit.total_tokens != FEW:
            self.limit.total_tokens = FEW
            self._asked.set()

    async def run(self) -> None:
        """Give the turns back once the questions are over; never returns."""
        while True:
            await self._asked.wait()
            if trio.current_time() < self._until:
                await trio.sleep_until(self._until)
                continue
            self._asked = trio.Event()
            self.limit.total_tokens = MANY
