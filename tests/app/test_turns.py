"""Cluster Autoscaler's questions pass before hexa's own work: little of it is done at a time while they come."""

import pytest
import trio
from trio.testing import MockClock

from hexa.app.queue import KeyedQueue
from hexa.app.turns import FEW, HOLD, Turns


async def test_little_is_done_at_a_time_while_questions_come(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Two queues that share their turns work on few keys together while something is asked, and on all of them after, where nobody
    waits for the API server."""
    turns, most = Turns(), 0

    async def work(_: int) -> None:
        nonlocal most
        most = max(most, int(turns.limit.borrowed_tokens))
        await trio.sleep(0.005)

    queues = [KeyedQueue[int](work, failed=lambda *_: None) for _ in range(2)]
    for queue in queues:
        queue.share(turns)
        nursery.start_soon(queue.run)
    nursery.start_soon(turns.run)
    for asked in (True, False):
        most = 0
        if asked:
            turns.asked()
        for queue in queues:
            for key in range(10):
                queue.add(key)
        for _ in range(20):
            if asked:
                turns.asked()
            await trio.sleep(HOLD / 2)
        await trio.sleep(1)
        assert most == (FEW if asked else 20)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_question_waits_for_one_piece_of_work(nursery: trio.Nursery, asked: bool) -> None:
    """While questions come, one piece of work begins in every other round of the event loop; else all that there are."""
    turns, begun = Turns(), 0
    found: list[int] = []

    async def work() -> None:
        nonlocal begun
        for _ in range(20):
            await turns.step()
            begun += 1

    if asked:
        turns.asked()
    for _ in range(5):
        nursery.start_soon(work)
    while sum(found) < 100:
        begun = 0
        await trio.lowlevel.checkpoint()
        found.append(begun)
    assert (max(found) == 1 and found.count(0) >= 99) if asked else max(found) > 1


async def test_all_that_waits_for_a_turn_is_done(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Nothing is lost while turns are few: what came in meanwhile is done in order, and news of a key that waits are one piece of
    work."""
    turns, done = Turns(), list[int]()

    async def work(key: int) -> None:
        done.append(key)
        await trio.sleep(0.01)

    queue: KeyedQueue[int] = KeyedQueue(work, failed=lambda *_: None)
    queue.share(turns)
    nursery.start_soon(queue.run)
    nursery.start_soon(turns.run)
    turns.asked()
    for _ in range(3):
        for key in range(30):
            queue.add(key)
    await trio.sleep(10)
    assert sorted(done) == list(range(30))


async def test_a_slow_api_server_holds_nobody_up_while_questions_come(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Work that waits for the API server is joined by more, though questions come without end: a hundred machines are woken in
    seconds, and one write that hangs keeps no other machine from its own."""
    turns, done = Turns(), list[int]()

    async def work(key: int) -> None:
        await trio.sleep(0.5 if key else 1e6)
        done.append(key)

    queue: KeyedQueue[int] = KeyedQueue(work, failed=lambda *_: None)
    queue.share(turns)
    nursery.start_soon(queue.run)
    nursery.start_soon(turns.run)
    for key in range(100):
        queue.add(key)
    for _ in range(50):
        turns.asked()
        await trio.sleep(0.1)
    assert sorted(done) == list(range(1, 100))
    assert turns.limit.borrowed_tokens == 1
