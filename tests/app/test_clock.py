"""The clock of one life: small turns pass unseen, and who keeps moments is told when it is set."""

from datetime import datetime, timedelta

import pytest
import trio
from tests.app.rig import START, at, open_rig
from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.app.clock import WatchedClock
from hexa.app.node.heartbeats import LeaseHeartbeats
from hexa.domain.resources.core import Lease, LeaseSpec, Metadata

HOUR = timedelta(hours=1)


def lease(renewed: datetime, node: str = "n") -> Lease:
    """A Lease as its kubelet renewed it."""
    return Lease(metadata=Metadata(name=node), spec=LeaseSpec(renew_time=renewed, lease_duration_seconds=40))


async def test_a_clock_that_is_turned_a_little_never_goes_backwards(autojump_clock: MockClock) -> None:
    """Up to a few seconds at a time, back and forth and again and again: time stands still or goes on, and nobody is told."""
    wall = MemoryClock()
    clock, told = WatchedClock(wall), []
    clock.on_set(told.append)
    seen = [clock.now()]
    for turn in (-4.0, 3.0, -4.9, -1.0, 4.9, -4.0):
        wall.set_by(turn)
        seen.append(clock.now())
        await trio.sleep(2)
        seen.append(clock.now())
    assert seen == sorted(seen)
    assert told == []
    await trio.sleep(60)
    assert clock.now() == wall.now()


@pytest.mark.parametrize("by", [-3600.0, -5.0, 5.0, 3600.0, 1e9])
async def test_a_clock_that_is_set_tells_by_how_much(autojump_clock: MockClock, by: float) -> None:
    """Once, by what it was set and not by the time that passed meanwhile; from then on it shows the new time."""
    wall = MemoryClock()
    clock, told = WatchedClock(wall), list[timedelta]()
    clock.on_set(told.append)
    await trio.sleep(5000)
    wall.set_by(by)
    await trio.sleep(7)
    assert clock.now() == wall.now() == at(5007 + by)
    await trio.sleep(7)
    clock.now()
    assert told == [timedelta(seconds=by)]


@pytest.mark.parametrize("by", [-3600.0, 3600.0])
async def test_signs_of_life_are_as_old_as_before(autojump_clock: MockClock, by: float) -> None:
    """A kubelet that was heard ten seconds ago was, wherever the clock stands now."""
    wall = MemoryClock()
    clock = WatchedClock(wall)
    beats = LeaseHeartbeats(clock=clock)
    clock.on_set(beats.clock_set)
    beats.replace((lease(START),), scope=None)
    beats.put(lease(at(10)))
    await trio.sleep(10)
    wall.set_by(by)
    now, life = clock.now(), beats.life("n")
    assert life is not None
    assert (now - life.heard, life.until - now) == (timedelta(seconds=10), timedelta(seconds=30))
    assert beats.watching_since() == now - timedelta(seconds=10)


async def test_a_renew_time_that_goes_back_is_a_sign_of_life(autojump_clock: MockClock) -> None:
    """What counts is that we saw it change: a machine whose own clock was set back lives."""
    clock = MemoryClock()
    beats = LeaseHeartbeats(clock=clock)
    beats.replace((lease(at(7200)),), scope=None)
    await trio.sleep(5)
    beats.put(lease(at(3600)))
    life = beats.life("n")
    assert life is not None
    assert life.heard == at(5)


async def test_sight_and_spells_move_with_the_clock(autojump_clock: MockClock) -> None:
    """Set back, we have seen for as long as before; set forward, only from now on, and the leap is no time that passed."""
    async with open_rig() as rig:
        await trio.sleep(100)
        rig.clock.set_by(-3600)
        rig.store.clock_set(-HOUR)
        assert rig.store.watching_since == at(-3600)
        assert rig.store.blind_seconds(at(-3600)) == 0
        rig.clock.set_by(7200)
        rig.store.clock_set(2 * HOUR)
        assert rig.store.watching_since == rig.clock.now() == at(3700)
        assert rig.store.blind_seconds(at(-3600)) == 7200
