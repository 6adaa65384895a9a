"""Answers that are kept for some seconds, and how often something may be asked. It knows nothing of what is asked."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import trio

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Answers by their question. Whoever asks while the same question is under way waits for that answer."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._answers: dict[K, tuple[V, float]] = {}
        self._asking: dict[K, trio.Lock] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """What was answered within the last seconds, else what `ask` answers. What it raises is not kept."""
        if (answer := self._fresh(key)) is not None:
            return answer[0]
        lock = self._asking.setdefault(key, trio.Lock())
        try:
            async with lock:
                if (answer := self._fresh(key)) is not None:
                    return answer[0]
                return self._keep(key, await ask())
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._asking.pop(key, None)

    def _fresh(self, key: K) -> tuple[V, float] | None:
        answer = self._answers.get(key)
        return answer if answer is not None and answer[1] > trio.current_time() else None

    def _keep(self, key: K, value: V) -> V:
        self._answers.pop(key, None)
        while len(self._answers) >= self._most:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = value, trio.current_time() + self._seconds
        return value


class Bucket:
    """So many at once, and so many a second after that."""

    def __init__(self, *, burst: int, a_second: float) -> None:
        self._burst = burst
        self._a_second = a_second
        self._left = float(burst)
        self._at = trio.current_time()

    def take(self) -> float:
        """0: it was granted; else after how many seconds it is worth to ask again."""
        now = trio.current_time()
        self._left = min(self._burst, self._left + (now - self._at) * self._a_second)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._a_second
        self._left -= 1
        return 0.0


class Pace(Generic[K]):
    """For each key so many turns at once, and so many a second after that: whoever wants more waits."""

    def __init__(self, *, burst: int, a_second: float, most: int) -> None:
        self._ahead = burst / a_second
        self._step = 1 / a_second
        self._most = most
        self._taken: dict[K, float] = {}
        """Until when the turns are taken that were given."""

    async def turn(self, key: K) -> None:
        """Return when it is this key's turn."""
        now = trio.current_time()
        taken = max(self._taken.pop(key, 0.0), now - self._ahead) + self._step
        while len(self._taken) >= self._most:
            del self._taken[next(iter(self._taken))]
        self._taken[key] = taken
        if taken > now:
            await trio.sleep(taken - now)
