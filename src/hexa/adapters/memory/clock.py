"""Virtual time: the clock port on Trio's clock, and one heap of timers for everything that happens later in the site.

Nothing here ticks. One task sleeps until the earliest timer is due, so that an idle site costs nothing.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final

import trio

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Where virtual time starts unless told otherwise: a Monday, midnight."""

FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""An aware time after everything that a simulation can reach."""


class MemoryClock:
    """`ports.clock` on Trio's own clock: under a `MockClock` time jumps, under the real one it runs."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._origin = trio.current_time()
        self._last = self._origin, start
        self.on_set: Final[list[Callable[[], object]]] = []
        """Called after the clock was set: nothing here ticks, so that nobody else would look at it."""

    def __repr__(self) -> str:
        return f"<MemoryClock {self.now().isoformat()}>"

    def now(self) -> datetime:
        moment = trio.current_time()
        if moment != self._last[0]:  # virtual time stands still while things happen
            self._last = moment, self.at(moment)
        return self._last[1]

    def set_by(self, seconds: float) -> None:
        """Somebody sets the clock forward, or back by a negative number. Trio's clock goes on as it was."""
        self._start += timedelta(seconds=seconds)
        self._last = -math.inf, self._start
        for notify in tuple(self.on_set):
            notify()

    def at(self, moment: float) -> datetime:
        """A moment of Trio's clock as this one shows it."""
        return self._start + timedelta(seconds=moment - self._origin)

    def trio_time(self, when: datetime) -> float:
        """The same moment on Trio's clock."""
        return self._origin + (when - self._start).total_seconds()

    async def sleep_until(self, when: datetime) -> None:
        await trio.sleep_until(self.trio_time(when))
        if self.now() < when:  # the two clocks round differently in the last microsecond
            await trio.sleep(2e-6)


class Timer:
    """Something that will happen; `cancel` unmakes it, also when it already happened."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Callable[[], object]) -> None:
        self.due = due
        self.action: Callable[[], object] | None = action

    def __repr__(self) -> str:
        return f"<Timer due={self.due} {'done' if self.action is None else 'waiting'}>"

    def cancel(self) -> None:
        self.action = None


class Timers:
    """Plain calls at their time, in order of time and then of making. They must not wait for anything."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._made = 0
        self._sleep: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<Timers {sum(entry[2].action is not None for entry in self._heap)} waiting>"

    def after(self, seconds: float, action: Callable[[], object]) -> Timer:
        return self.at(trio.current_time() + seconds, action)

    def soon(self, action: Callable[[], object]) -> Timer:
        """At this same moment of virtual time, once the present call and those before it are over."""
        return self.at(trio.current_time(), action)

    def at(self, due: float, action: Callable[[], object]) -> Timer:
        """At `due` on Trio's clock; what is past happens soon."""
        timer = Timer(due, action)
        self._made += 1
        heappush(self._heap, (due, self._made, timer))
        if self._sleep is not None and due < self._sleep.deadline:
            self._sleep.deadline = due
        return timer

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let things happen until cancelled."""
        task_status.started()
        while True:
            self._run_due()
            deadline = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=deadline) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None

    def _run_due(self) -> None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            timer = heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                action()
