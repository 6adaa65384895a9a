"""Server-sent events: who looks on is told of changes, and of nothing that only time changes."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import trio
from tests.adapters.http.desk import RACK, Desk, Guest, open_desk
from trio.testing import MockClock

from hexa.adapters.http.editions import BURST, REFRESH, SENDING, SHARE, Edition, Editions
from hexa.adapters.http.errors import forbidden
from hexa.adapters.http.stream import LONGEST, events
from hexa.domain.words.overview import Overview


def told_by(desk: Desk) -> AsyncIterator[bytes]:
    """The events of everything."""

    meter = Meter(desk, cost=0.0)
    return events(meter.version, meter.latest)


class Meter:
    """Editions of a site, whose making takes so many seconds of CPU."""

    def __init__(self, desk: Desk, *, cost: float) -> None:
        self._desk, self._cost = desk, cost
        self.spent, self.made = 0.0, 0
        self._editions = Editions(self.version, spent=lambda: self.spent)

    def version(self) -> int:
        """Of the site."""
        return self._desk.live.version

    async def latest(self, sent: Edition | None, *, spaces: frozenset[str] | None = None) -> Edition:
        """The one of these namespaces."""

        async def look() -> tuple[int, Overview]:
            self.spent += self._cost
            self.made += 1
            return self._desk.live.stamped(spaces)

        return await self._editions.latest(spaces, look, sent=sent)


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
        looks, meter = 0, Meter(desk, cost=0.0)

        async def latest(sent: Edition | None) -> Edition:
            nonlocal looks
            looks += 1
            if looks > 1:
                raise forbidden("no longer")
            return await meter.latest(sent)

        found = [event async for event in events(meter.version, latest)]
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


async def test_what_viewers_see_is_made_once_by_its_share_of_a_core(autojump_clock: MockClock) -> None:
    """A machine changes each second for two minutes, an event takes 30 ms of CPU: viewers of all and of a namespace are sent the
    same bytes as their like, once in some seconds; the first state comes at once, the last change soon after it."""
    async with open_desk(RACK) as desk:
        meter, found = Meter(desk, cost=0.03), [list[tuple[float, bytes]]() for _ in range(6)]

        async def follow(number: int) -> None:
            spaces = None if number % 2 else frozenset({"a"})
            async for event in events(meter.version, partial(meter.latest, spaces=spaces)):
                if event.startswith(b"event: state"):
                    found[number].append((trio.current_time(), event))

        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(follow, number)
            await trio.sleep(0.5)
            for count in range(120):
                await trio.sleep(1)
                desk.change("box-2", phase=("PoweringOn", "Booting", "Ready", "Draining", "Off")[count % 5])
            changed, busy = trio.current_time(), meter.spent * (1 + 3 * SENDING)
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert 0.5 * SHARE * 120 < busy < SHARE * 120 + 2 * (BURST + 0.03 * (1 + 3 * SENDING))
        assert found[0] == found[2] == found[4] != found[1] == found[3] == found[5]
        for told in found[:2]:
            moments = [at for at, _ in told]
            assert (moments[0], moments[-1] - changed < 9) == (begun, True)
            assert max(later - at for at, later in itertools.pairwise(moments) if later < changed) <= 9
            assert json.loads(told[-1][1].partition(b"data: ")[2])["machines"][1]["phase"] == "Off"


async def test_a_change_after_a_quiet_time_is_told_within_seconds(autojump_clock: MockClock) -> None:
    """Even where an event takes 200 ms of CPU."""
    async with open_desk(RACK) as desk:
        meter = Meter(desk, cost=0.2)

        async def change() -> None:
            await trio.sleep(45.5)
            desk.change("box-2", phase="Booting")

        async with trio.open_nursery() as nursery, aclosing(events(meter.version, meter.latest)) as stream:  # type: ignore[type-var]
            nursery.start_soon(change)
            assert len(await heard(stream, 46.5)) == 2
