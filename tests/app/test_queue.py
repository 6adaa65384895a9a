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

    def __init__(
        self, *, seconds: float = 0.0, errors: dict[str, list[Exception]] | None = None, owner: Any = None
    ) -> None:
        self.seconds, self.errors = seconds, errors or {}
        self.done: list[tuple[str, float]] = []
        self.failed: list[tuple[str, HexaError]] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        self.queue: KeyedQueue[str] = KeyedQueue(
            self.work, failed=lambda key, error: self.failed.append((key, error)), owner=owner
        )

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


async def test_what_was_looked_at_is_no_news(autojump_clock: MockClock) -> None:
    """What came in while a key was worked on brings it back no more once its work says that it has looked; what is due later
    does, and so does what comes in after."""
    work = Work()

    async def looks(key: str) -> None:
        await Work.work(work, key)
        work.queue.add(key)
        work.queue.looked(key)
        if len(work.done) == 1:
            work.queue.add(key, delay=5)
            work.queue.looked(key)
        elif len(work.done) == 2:
            work.queue.add(key)

    work.queue = KeyedQueue(looks, failed=lambda *_: None)
    work.queue.add("a")
    await run_for(100, work)
    assert work.times("a") == [0, 5, 5]


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


async def test_an_unknown_error_about_no_object_ends_the_queue(autojump_clock: MockClock) -> None:
    """A defect that nobody's data can be blamed for is not worked around: it ends the loop, and the process with it."""
    work = Work(errors={"a": [ZeroDivisionError()]})
    work.queue.add("a")
    with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True, flatten_subgroups=True):
        await run_for(5, work)


class Blamed:
    """An owner of keys who remembers what broke and what worked."""

    def __init__(self) -> None:
        self.broken: list[tuple[str, Exception]] = []
        self.worked: list[str] = []

    def broke(self, key: str, error: Exception) -> None:
        self.broken.append((key, error))

    def works(self, key: str) -> None:
        self.worked.append(key)


async def test_an_unknown_error_is_contained_with_its_key(autojump_clock: MockClock) -> None:
    """Whatever the data of one key raises, its owner is told, the key backs off, also from its own news, and other keys go on."""
    bare, grouped = ZeroDivisionError(), ExceptionGroup("", [KeyError("x"), Unavailable("away")])
    owner = Blamed()
    work = Work(errors={"bad": [bare, grouped, *(ValueError() for _ in range(1000))]}, owner=owner)

    async def script() -> None:
        for _ in range(300):
            work.queue.add("bad")
            work.queue.add("good")
            await trio.sleep(1)

    await run_for(1000, work, script)
    assert len(work.times("good")) == 300
    assert [error for _, error in owner.broken[:2]] == [bare, grouped]
    gaps = [after - before for before, after in zip(work.times("bad"), work.times("bad")[1:], strict=False)]
    assert min(gaps[8:]) >= 30
    assert not work.failed
    assert "bad" not in owner.worked


async def test_errors_that_are_ours_stay_ours_in_a_group(autojump_clock: MockClock) -> None:
    """Several calls that failed side by side for known reasons are a failure as one of them is, and no defect."""
    owner = Blamed()
    work = Work(errors={"a": [ExceptionGroup("", [Unavailable("one"), Unavailable("two")])]}, owner=owner)
    work.queue.add("a")
    await run_for(10, work)
    assert [str(error) for _, error in work.failed] == ["one"]
    assert owner.worked == ["a"]
    assert not owner.broken


async def test_a_key_that_was_mended_comes_back_at_once(autojump_clock: MockClock) -> None:
    """Once a person has corrected what broke the work, its news count again, however long the key was to be left alone."""
    work = Work(errors={"a": [ValueError() for _ in range(8)]}, owner=Blamed())

    async def script() -> None:
        work.queue.add("a")
        await trio.sleep(50)
        work.errors["a"] = []
        work.queue.forgive("a")
        work.queue.add("a")

    await run_for(51, work, script)
    assert work.times("a")[-1] == 50


async def test_what_is_put_off_takes_one_place(autojump_clock: MockClock) -> None:
    """A key whose next look is a month away does not fill the memory, however much news of it comes until then."""
    sizes = list[int]()

    async def later(key: int) -> None:
        queue.add(key, delay=30 * 86400.0)

    queue: KeyedQueue[int] = KeyedQueue(later, failed=lambda *_: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(queue.run)
        for _ in range(500):
            for key in range(4):
                queue.add(key, delay=key / 10)
            await trio.sleep(60)
            sizes.append(len(queue))
        nursery.cancel_scope.cancel()
    assert max(sizes) <= 12
