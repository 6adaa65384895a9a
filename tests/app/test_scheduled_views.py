"""What a schedule changes is passed on to all that depend on it when it changes, and costs nothing before."""

import trio
from tests.app.rig import Rig, at, key, open_rig
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.ports.cloud import NodeGroup

WINDOW = {"from": "00:30", "to": "01:00", "minSize": 2, "maxSize": 2}
"""By the clock of UTC, whose midnight is the begin of the tests' time."""


def shown(rig: Rig) -> tuple[int, int]:
    """What Cluster Autoscaler is told of the group."""
    (group,) = rig.cloud.groups()
    assert isinstance(group, NodeGroup)
    return group.min_size, group.max_size


async def test_between_two_changes_views_stay_the_same_objects(autojump_clock: MockClock) -> None:
    """At 1,000 machines nothing is put together anew while nothing changes; at the change everything is, and Cluster Autoscaler's
    answers are out of date."""
    async with open_rig() as rig:
        rig.group(schedules=[WINDOW])
        for name in ("a", "b", "c"):
            rig.machine(name, bootSeconds=[60.0])
        await rig.seen()
        await trio.sleep(10)  # until what boots have taught counts
        told: list[str] = []
        rig.views.on_turn(lambda group: told.append(str(group)))
        views, members, version = rig.views.members(key("g")), rig.views.judged(key("g"), at(10)), rig.cloud.version()
        assert shown(rig) == (0, 3)
        assert rig.views.changes_at(key("g")) == at(1800 - 102)
        await trio.sleep(1680)
        assert all(a is b for a, b in zip(views, rig.views.members(key("g")), strict=True))
        assert rig.views.judged(key("g"), rig.clock.now()) is members
        assert (rig.cloud.version(), told) == (version, [])
        await trio.sleep(10)
        assert rig.cloud.version() > version
        assert (shown(rig), told) == ((2, 3), ["d/g"])
        assert all(view.policy.min_size == 2 for view in rig.views.members(key("g")))
        await trio.sleep(102)
        assert shown(rig) == (2, 2)
        await trio.sleep(1800)
        assert shown(rig) == (0, 3)
        assert len(told) == 3


async def test_what_boots_teach_moves_the_wake(autojump_clock: MockClock) -> None:
    """A machine that took longer is woken sooner, without anybody touching the group."""
    async with open_rig() as rig:
        rig.group(schedules=[WINDOW])
        rig.machine("a")
        await rig.seen()
        assert rig.views.group(key("g")) is not None
        assert rig.views.changes_at(key("g")) == at(1500)
        rig.machine("b", Phase.OFF, bootSeconds=[600.0])
        await rig.seen()
        await trio.sleep(6)
        assert rig.views.group(key("g")) is not None
        assert rig.views.changes_at(key("g")) == at(1800 - 750)


async def test_a_clock_that_is_set_is_heard_at_once(autojump_clock: MockClock) -> None:
    """Back before the window the spec's sizes count again."""
    async with open_rig() as rig:
        rig.group(schedules=[WINDOW])
        for name in ("a", "b", "c"):
            rig.machine(name, bootSeconds=[60.0])
        await rig.seen()
        await trio.sleep(1900)
        assert shown(rig) == (2, 2)
        rig.clock.set_by(-1000)
        rig.views.clock_set(at(900) - at(1900))
        assert shown(rig) == (0, 3)
