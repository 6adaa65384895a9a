"""How much is worked on at a time: much, and little while Cluster Autoscaler asks, so that its questions are answered in between.

A question waits for what is being done when it arrives, not for what waits for the API server. It knows no queue and no question;
who answers tells that one was asked.
"""

from typing import Final

import trio

MANY: Final = 96
"""Machines, groups and nodes that are worked on at a time. Most of them wait for the API server."""
FEW: Final = 3
"""The same while questions come: enough that the API server need not wait for us."""
HOLD: Final = 0.25
"""Seconds after a question in which the next one is expected."""
PATIENCE: Final = 0.03
"""Seconds after which one more is begun all the same: those at work wait for the API server then, and hold nobody up."""
LOOK: Final = 1.0
"""Seconds between looks whether turns have become few."""


class Turns:
    """Shared by whoever works, as the `queue.Limit` that it is."""

    def __init__(self) -> None:
        self.limit: Final = trio.CapacityLimiter(MANY)
        self._until = 0.0
        self._asked = trio.Event()
        self._gate = trio.Lock()

    def __repr__(self) -> str:
        return f"<Turns {self.limit.borrowed_tokens} of {self.limit.total_tokens:g} taken>"

    def asked(self) -> None:
        """Cluster Autoscaler asks something."""
        self._until = trio.current_time() + HOLD
        if self.limit.total_tokens != FEW:
            self.limit.total_tokens = FEW
            self._asked.set()

    async def step(self) -> None:
        """To be awaited before work that computes for a millisecond: questions are answered in between. While they come, one such
        piece begins in every other round of the event loop, so that a question waits for one and not for several."""
        if self.limit.total_tokens >= MANY:
            await trio.lowlevel.checkpoint()
            return
        async with self._gate:
            await trio.lowlevel.checkpoint()

    async def acquire_on_behalf_of(self, borrower: object, /) -> None:
        """Wait for a turn; while questions come, for `PATIENCE` at most, unless `MANY` are taken."""
        while self.limit.available_tokens <= 0:
            few = self.limit.total_tokens < MANY
            with trio.move_on_after(PATIENCE if few else LOOK):
                await self.limit.acquire_on_behalf_of(borrower)
                return
            if few:
                self.limit.total_tokens = min(max(self.limit.total_tokens, self.limit.borrowed_tokens) + 1, MANY)
        await self.limit.acquire_on_behalf_of(borrower)  # nobody is waited for

    def release_on_behalf_of(self, borrower: object, /) -> None:
        """The turn is over."""
        self.limit.release_on_behalf_of(borrower)

    async def run(self) -> None:
        """Give the turns back once the questions are over; never returns."""
        while True:
            await self._asked.wait()
            if trio.current_time() < self._until:
                await trio.sleep_until(self._until)
                continue
            self._asked = trio.Event()
            self.limit.total_tokens = MANY
