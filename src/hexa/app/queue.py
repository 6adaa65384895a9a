"""A keyed work queue: a key is worked on by one task at a time, may be put off, and backs off alone when it fails.

It knows nothing of what the keys mean.
"""

import heapq
import math
from collections.abc import Awaitable, Callable, Hashable
from random import Random
from typing import Final, Generic, Protocol, TypeVar

import trio

from hexa.app.fence import known_error
from hexa.domain.errors import Conflict, HexaError

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", contravariant=True)

FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 60.0
AFTER_CONFLICT: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Somebody else wrote: tried again so many seconds later, while the watch brings the newer state. Then it is a failure."""
SPARE_ENTRIES: Final = 4
"""Entries of the heap beside two for each key that waits: from there on, those that no longer count are cleared out."""


class Owner(Protocol[K_contra]):
    """Who answers for the keys: see `fence.Post`."""

    def broke(self, key: K_contra, error: Exception, /) -> None: ...

    def works(self, key: K_contra, /) -> None: ...


class Limit(Protocol):
    """How much may be worked on at a time."""

    async def acquire_on_behalf_of(self, borrower: object, /) -> None: ...

    def release_on_behalf_of(self, borrower: object, /) -> None: ...


class Turn:
    """One of those that a limit allows; it is given back to the limit that it was taken from."""

    __slots__ = ("_limit",)

    def __init__(self, limit: Limit) -> None:
        self._limit = limit

    async def take(self) -> None:
        await self._limit.acquire_on_behalf_of(self)

    def over(self) -> None:
        self._limit.release_on_behalf_of(self)


class KeyedQueue(Generic[K]):
    """`add` what needs work now or later; `run` works until cancelled."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[None]],
        *,
        failed: Callable[[K, HexaError], None],
        owner: Owner[K] | None = None,
        tasks: int = 32,
        seed: int = 0,
    ) -> None:
        """`owner`: is told of an exception that nobody foresaw, and the key backs off; None: it ends the queue."""
        self._work, self._failed, self._owner = work, failed, owner
        self._limit: Limit = trio.CapacityLimiter(tasks)
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._running: set[K] = set()
        self._failures: dict[K, int] = {}
        self._conflicts: dict[K, int] = {}
        self._not_before: dict[K, float] = {}
        """Until when no news brings a key back whose work broke."""
        self._count = 0
        self._news = trio.Event()
        self._random = Random(seed)

    def __len__(self) -> int:
        """Entries that are kept, those that no longer count included."""
        return len(self._heap)

    def __bool__(self) -> bool:
        return True

    def add(self, key: K, *, delay: float = 0.0) -> None:
        """Work on `key` after `delay` seconds, or earlier if it was to be worked on earlier."""
        when = trio.current_time() + max(delay, 0.0)
        if self._not_before:
            when = max(when, self._not_before.get(key, when))
        if when >= self._due.get(key, math.inf):
            return
        self._due[key] = when
        if key not in self._running:  # else it is pushed when the present work ends
            self._push(key, when)

    def looked(self, key: K) -> None:
        """Its work has just taken in all that is known: what came in before brings it back no more. No `await` may lie between."""
        if self._due.get(key, math.inf) <= trio.current_time():
            del self._due[key]

    def share(self, limit: Limit) -> None:
        """Take turns with others: `limit` counts for all of them together."""
        self._limit = limit

    def forgive(self, key: K) -> None:
        """What broke the work was changed: the next news brings the key back at once."""
        self._not_before.pop(key, None)

    def _push(self, key: K, when: float) -> None:
        self._count += 1
        if len(self._heap) > 2 * len(self._due) + SPARE_ENTRIES:
            self._clear_out()
        heapq.heappush(self._heap, (when, self._count, key))
        self._news.set()

    def _clear_out(self) -> None:
        """Keep one entry for each key: the one that counts."""
        kept = {entry[2]: entry for entry in self._heap if self._due.get(entry[2]) == entry[0]}
        self._heap = list(kept.values())
        heapq.heapify(self._heap)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled. Without an owner, an error that is not a `HexaError` ends it."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                key, turn = await self._next()
                self._running.add(key)
                nursery.start_soon(self._once, key, turn)

    async def _next(self) -> tuple[K, Turn]:
        """The next key that is due, and its turn. That comes first: news of a key that waits are one piece of work."""
        while True:
            while self._heap and self._heap[0][0] <= trio.current_time():
                turn = Turn(self._limit)
                await turn.take()
                if (key := self._pop()) is not None:
                    return key, turn
                turn.over()
            self._news = trio.Event()
            with trio.move_on_at(self._heap[0][0] if self._heap else math.inf):
                await self._news.wait()

    def _pop(self) -> K | None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when and key not in self._running:
                del self._due[key]
                return key
        return None

    async def _once(self, key: K, turn: Turn) -> None:
        try:
            try:
                await self._work(key)
            finally:
                turn.over()
            self._done(key)
        except Exception as error:
            known = known_error(error)
            if known is not None:
                self._back_off(key, known)
            elif self._owner is None:
                raise
            else:
                self._contain(key, error, self._owner)
        finally:
            self._running.discard(key)
            if key in self._due:
                self._push(key, self._due[key])

    def _done(self, key: K) -> None:
        for known in (self._failures, self._conflicts, self._not_before):
            known.pop(key, None)
        if self._owner is not None:
            self._owner.works(key)

    def _contain(self, key: K, error: Exception, owner: Owner[K]) -> None:
        owner.broke(key, error)
        self._due.pop(key, None)
        delay = self._pause(key)
        self._not_before[key] = trio.current_time() + delay
        self.add(key, delay=delay)

    def _back_off(self, key: K, error: HexaError) -> None:
        conflicts = self._conflicts.get(key, 0)
        if isinstance(error, Conflict) and conflicts < len(AFTER_CONFLICT):
            self._conflicts[key] = conflicts + 1
            self.add(key, delay=AFTER_CONFLICT[conflicts])
            return
        delay = self._pause(key)
        self._failed(key, error)
        self.add(key, delay=delay)

    def _pause(self, key: K) -> float:
        """One more failure: how long the key is left alone, in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF * 2.0 ** min(failures, 10), LONGEST_BACKOFF)
        return delay * self._random.uniform(0.5, 1.0)
