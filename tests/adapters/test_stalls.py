"""A process that its host stopped notices it before it goes on."""

from datetime import timedelta

import trio
import trio.testing
from trio.testing import MockClock

from hexa.adapters.system.stalls import STALLED, TICK, watch_stalls


async def test_time_that_passed_unseen_is_told_before_anything_else_runs(mock_clock: MockClock) -> None:
    """Whoever waits for that moment finds it told already; waiting for long by itself is no stall."""
    told, late = list[timedelta](), list[tuple[timedelta, ...]]()

    async def waits() -> None:
        await trio.sleep(30)
        late.append(tuple(told))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_stalls, told.append)
        for _ in range(5):
            nursery.start_soon(waits)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(TICK + STALLED + 20)
        await trio.testing.wait_all_tasks_blocked()
        assert late == [(timedelta(seconds=TICK + STALLED + 20),)] * 5
        for _ in range(20):
            mock_clock.jump(TICK)
            await trio.testing.wait_all_tasks_blocked()
        assert len(told) == 1
        nursery.cancel_scope.cancel()
