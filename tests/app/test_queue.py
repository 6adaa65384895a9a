"""The work queue: order, delays, back-off."""

from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hexa.app.queue import KeyedQueue
from hexa.domain.errors import Conflict, HexaError, Unavailable


class Work:
    """Remembers when each key was worked on; `seconds` is how long it takes, `errors` what it raises first."""

    def __init__(self, *, seconds: float = 0.0, errors: dict[str, list[Exception]] | None = None) -> None:
        self.seconds, self.errors = seconds, errors or {}
        self.done: list[tuple[str, float]] = []
        self.failed: list[tuple[str, HexaError]] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        self.queue: KeyedQueue[str] = KeyedQueue(self.work, failed=lambda key, error: self.failed.append((key, error)))

    async def work(self, key: str) -> None:
        self.running[key] += 1
        self.most = max(self.most, self.running[key])
        self.done.append((key, trio.current_time()))
        try:
            await trio.sleep(self.seconds)
            if errors := self.errors.get(key):
                raise errors.pop(0)
        finally:
            self.running[key] -= 1

    def times(self, key: str) -> list[float]:
        return [when for done, when in self.done if done == key]


async def run_for(seconds: float, work: Work, script: Any = None) -> None:
    """Let the queue work so long, with `script` beside it."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            await nursery.start(work.queue.run)
            if script is not None:
                await script()
            await trio.sleep_forever()


async def test_a_key_is_worked_on_by_one_task_at_a_time(autojump_clock: MockClock) -> None:
    """However often a key is added, only one task works on it, and different keys are worked on side by side."""
    work = Work(seconds=10)

    async def script() -> None:
        for _ in range(5):
            work.queue.add("a")
            work.queue.add("b")
            await trio.sleep(1)

    await run_for(100, work, script)
    assert work.most == 1
    assert work.times("a") == work.times("b") == [0, 10]


async def test_adding_while_running_means_once_more(autojump_clock: MockClock) -> None:
    """What is added while its work runs is worked on again right after, once, so that no news is lost."""
    work = Work(seconds=5)

    async def script() -> None:
        work.queue.add("a")
        await trio.sleep(2)
        work.queue.add("a")
        work.queue.add("a", delay=1)

    await run_for(60, work, script)
    assert work.times("a") == [0, 5]


async def test_the_earliest_of_several_delays_counts(autojump_clock: MockClock) -> None:
    """A key that is to be worked on later is worked on earlier when asked so, and not a second time at the later moment."""
    work = Work()

    async def script() -> None:
        work.queue.add("a", delay=50)
        work.queue.add("a", delay=20)
        work.queue.add("a", delay=30)

    await run_for(200, work, script)
    assert work.times("a") == [20]


async def test_a_delay_given_while_running_holds(autojump_clock: MockClock) -> None:
    """Work that asks to come back later comes back then, and not at once."""
    times: list[float] = []

    async def again(key: str) -> None:
        times.append(trio.current_time())
        queue.add(key, delay=7)

    queue: KeyedQueue[str] = KeyedQueue(again, failed=lambda *_: None)
    queue.add("a")
    with trio.move_on_after(20):
        await queue.run()
    assert times == [0, 7, 14]


async def test_a_failing_key_backs_off_alone(autojump_clock: MockClock) -> None:
    """A key that keeps failing is tried more and more seldom, up to once a minute, and holds up no other key."""
    work = Work(errors={"bad": [Unavailable("no answer") for _ in range(1000)]})

    async def script() -> None:
        work.queue.add("bad")
        for _ in range(300):
            work.queue.add("good")
            await trio.sleep(1)

    await run_for(1000, work, script)
    assert len(work.times("good")) == 300
    gaps = [after - before for before, after in zip(work.times("bad"), work.times("bad")[1:], strict=False)]
    assert all(0.2 <= gap <= 60 for gap in gaps)
    assert min(gaps[8:]) >= 30
    assert {key for key, _ in work.failed} == {"bad"}


async def test_success_ends_the_back_off(autojump_clock: MockClock) -> None:
    """After a success the next failure waits as short as the first one did."""
    work = Work(errors={"a": [Unavailable("no answer") for _ in range(6)]})

    async def script() -> None:
        work.queue.add("a")
        await trio.sleep(200)
        work.errors["a"] = [Unavailable("no answer")]
        work.queue.add("a")

    await run_for(300, work, script)
    *_, before, last = work.times("a")
    assert last - before <= 0.5


async def test_a_conflict_is_tried_again_at_once(autojump_clock: MockClock) -> None:
    """When somebody else wrote first, the work is done again within the second and nobody is told of a failure."""
    work = Work(errors={"a": [Conflict("changed") for _ in range(4)]})
    work.queue.add("a")
    await run_for(30, work)
    assert work.times("a")[:2] == [0, 0]
    assert len(work.times("a")) == 5
    assert work.times("a")[-1] < 1
    assert work.failed == []


async def test_endless_conflicts_back_off(autojump_clock: MockClock) -> None:
    """Conflicts that never end are treated as a failure: tried seldom, and told."""
    work = Work(errors={"a": [Conflict("changed") for _ in range(10_000)]})
    work.queue.add("a")
    await run_for(600, work)
    assert len(work.times("a")) < 30
    assert work.failed


async def test_an_error_that_is_not_ours_ends_the_queue(autojump_clock: MockClock) -> None:
    """A defect is not worked around: an unknown exception ends the loop, and the process with it."""
    work = Work(errors={"a": [ZeroDivisionError()]})
    work.queue.add("a")
    with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True, flatten_subgroups=True):
        await run_for(5, work)
