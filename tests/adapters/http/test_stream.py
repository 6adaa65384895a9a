"""Server-sent events: who looks on is told of changes, and of nothing that only time changes."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import trio
from tests.adapters.http.desk import RACK, Desk, Guest, open_desk
from trio.testing import MockClock

from hexa.adapters.http.errors import forbidden
from hexa.adapters.http.stream import LONGEST, REFRESH, events
from hexa.domain.words.overview import Overview


def told_by(desk: Desk) -> AsyncIterator[bytes]:
    """The events of everything."""

    async def look() -> tuple[int, Overview]:
        return desk.live.stamped(None)

    return events(lambda: desk.live.version, look)


async def heard(stream: AsyncIterator[bytes], seconds: float) -> list[Any]:
    """States that come within that time."""
    found: list[bytes] = []
    with trio.move_on_after(seconds):
        while event := await anext(stream, b""):
            found.append(event)
    return [json.loads(each.partition(b"data: ")[2]) for each in found if each.startswith(b"event: state\n")]


async def test_changes_are_told_once_a_second_at_most(autojump_clock: MockClock) -> None:
    """The state comes at once, and again where a machine is in another phase: ten changes in a moment are one event."""
    async with open_desk(RACK) as desk, aclosing(told_by(desk)) as stream:  # type: ignore[type-var]

        async def change() -> None:
            await trio.sleep(5.5)
            for phase in ("PoweringOn", "Booting") * 5:
                desk.change("box-2", phase=phase)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            states = await heard(stream, 20)
        assert [[each["phase"] for each in state["machines"]] for state in states] == [
            ["Ready", "Off", "Off"],
            ["Ready", "Booting", "Off"],
        ]


async def test_what_only_time_changes_is_told_once_a_minute(autojump_clock: MockClock) -> None:
    """Energy, money and seconds left are refreshed; in between a comment keeps the connection open; it ends after ten minutes."""
    async with open_desk(RACK) as desk:
        begun, all_events = trio.current_time(), [event async for event in told_by(desk)]
        assert LONGEST <= trio.current_time() - begun <= LONGEST + 2
        states = sum(event.startswith(b"event: state") for event in all_events)
        assert states == LONGEST // REFRESH + 1
        assert sum(event.startswith(b":") for event in all_events) >= 2 * states


async def test_a_write_that_changes_nothing_that_is_shown_is_no_event(autojump_clock: MockClock) -> None:
    """A count of Jobs in the status, for example."""
    async with open_desk(RACK) as desk, aclosing(told_by(desk)) as stream:  # type: ignore[type-var]

        async def change() -> None:
            await trio.sleep(5)
            desk.change("box-2", attempt=7)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            assert len(await heard(stream, 20)) == 1


async def test_the_stream_ends_where_the_caller_may_see_nothing_any_more(autojump_clock: MockClock) -> None:
    """What they may see is asked again with each look."""
    async with open_desk(RACK) as desk:
        looks = 0

        async def look() -> tuple[int, Overview]:
            nonlocal looks
            looks += 1
            if looks > 1:
                raise forbidden("no longer")
            return desk.live.stamped(None)

        found = [event async for event in events(lambda: desk.live.version, look)]
        assert sum(event.startswith(b"event") for event in found) == 1


async def test_a_stream_ends_with_its_token(autojump_clock: MockClock) -> None:
    """Whoever looks on with a token that was deleted is told nothing more after half a minute, as much as may change."""
    async with open_desk(RACK, Guest("alice", spaces=frozenset({"a"}))) as desk, trio.open_nursery() as nursery:

        async def leave() -> None:
            await trio.sleep(65)
            del desk.door.guests["alice"]
            for _ in range(40):
                await trio.sleep(2)
                desk.change("box-2", phase="Booting")
                desk.change("box-2", phase="Off")

        begun = trio.current_time()
        nursery.start_soon(leave)
        found = await desk.get("stream", token="alice")
        assert found.body.count(b"event: state") >= 2
        assert 65 < trio.current_time() - begun < 100
