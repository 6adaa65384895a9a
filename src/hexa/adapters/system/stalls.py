"""Notices that this process stood still: its host stopped it (SIGSTOP, swap, a suspended VM), or it was at work for long.

What was not heard meanwhile is no silence: it lies in buffers that nobody has read. So who is told is told before anything else
runs.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import trio

TICK: Final = 5.0
"""Seconds between two signs of our own life."""
STALLED: Final = 10.0
"""By so many seconds a sign of our own life is late if we stood still; less changes nothing that is judged."""


async def watch_stalls(notify: Callable[[timedelta], None]) -> None:
    """Call `notify(for how long)` after each time in which nothing of this process ran, until cancelled."""
    witness = _Witness(notify)
    trio.lowlevel.add_instrument(witness)
    try:
        while True:  # noqa: ASYNC110 - time is what is waited for
            await trio.sleep(TICK)
    finally:
        trio.lowlevel.remove_instrument(witness)


class _Witness(trio.abc.Instrument):
    """Looks at the clock whenever Trio has waited, which it does at least once in `TICK`."""

    def __init__(self, notify: Callable[[timedelta], None]) -> None:
        self._notify = notify
        self._last = trio.current_time()

    def after_io_wait(self, timeout: float) -> None:
        now = trio.current_time()
        late, self._last = now - self._last - TICK, now
        if late > STALLED:
            self._notify(timedelta(seconds=late + TICK))
