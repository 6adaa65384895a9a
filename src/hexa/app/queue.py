"""A keyed work queue: a key is worked on by one task at a time, may be put off, and backs off alone when it fails.

It knows nothing of what the keys mean.
"""

import heapq
import math
from collections.abc import Awaitable, Callable, Hashable
from random import Random
from typing import Final, Generic, TypeVar

import trio

from hexa.domain.errors import Conflict, HexaError

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 60.0
AFTER_CONFLICT: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Somebody else wrote: tried again so many seconds later, while the watch brings the newer state. Then it is a failure."""


class KeyedQueue(Generic[K]):
    """`add` what needs work now or later; `run` works until cancelled."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[None]],
        *,
        failed: Callable[[K, HexaError], None],
        tasks: int = 32,
        seed: int = 0,
    ) -> None:
        self._work, self._failed = work, failed
        self._limit = trio.CapacityLimiter(tasks)
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._running: set[K] = set()
        self._failures: dict[K, int] = {}
        self._conflicts: dict[K, int] = {}
        self._count = 0
        self._news = trio.Event()
        self._random = Random(seed)

    def add(self, key: K, *, delay: float = 0.0) -> None:
        """Work on `key` after `delay` seconds, or earlier if it was to be worked on earlier."""
        when = trio.current_time() + max(delay, 0.0)
        if when >= self._due.get(key, math.inf):
            return
        self._due[key] = when
        if key not in self._running:  # else it is pushed when the present work ends
            self._push(key, when)

    def _push(self, key: K, when: float) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, key))
        self._news.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled. An error that is not a `HexaError` ends it."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                key = await self._next()
                self._running.add(key)
                nursery.start_soon(self._once, key)

    async def _next(self) -> K:
        while True:
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                when, _, key = heapq.heappop(self._heap)
                if self._due.get(key) == when and key not in self._running:
                    del self._due[key]
                    return key
            self._news = trio.Event()
            with trio.move_on_at(self._heap[0][0] if self._heap else math.inf):
                await self._news.wait()

    async def _once(self, key: K) -> None:
        try:
            async with self._limit:
                await self._work(key)
            self._failures.pop(key, None)
            self._conflicts.pop(key, None)
        except HexaError as error:
            self._back_off(key, error)
        finally:
            self._running.discard(key)
            if key in self._due:
                self._push(key, self._due[key])

    def _back_off(self, key: K, error: HexaError) -> None:
        conflicts = self._conflicts.get(key, 0)
        if isinstance(error, Conflict) and conflicts < len(AFTER_CONFLICT):
            self._conflicts[key] = conflicts + 1
            self.add(key, delay=AFTER_CONFLICT[conflicts])
            return
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._failed(key, error)
        delay = min(FIRST_BACKOFF * 2.0 ** min(failures, 10), LONGEST_BACKOFF)
        self.add(key, delay=delay * self._random.uniform(0.5, 1.0))
