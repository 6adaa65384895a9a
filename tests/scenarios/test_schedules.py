"""Schedules: machines are Ready when a window begins and not long before, and off after one; the day on which clocks are changed,
and a clock that is set, do nothing twice.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.resources.v1alpha1 import Asker
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import World, group, open_world

ID = "machines/rack"
BERLIN = "Europe/Berlin"
"""The world's clock begins at midnight of UTC, which is 01:00 there."""


def all_at(world: World, phase: Phase) -> bool:
    """Whether every machine is there."""
    return set(world.phases().values()) == {phase}


async def rested(world: World) -> None:
    """Cluster Autoscaler gives all of them up."""
    nodes = [ExternalNode(name) for name in world.phases()]
    assert await world.cloud.delete_nodes(ID, nodes=nodes) == Done()
    await world.until(lambda: all_at(world, Phase.OFF), within=300)


async def test_up_before_work_and_no_earlier(autojump_clock: MockClock) -> None:
    """Once boots of 75 s are known, three machines are Ready when the window begins and none is on five minutes before. While it
    holds none may go; then Cluster Autoscaler gives them up as ever."""
    windows = [
        {"from": "01:10", "to": "01:12", "zone": BERLIN, "minSize": 3},
        {"from": "02:00", "to": "02:10", "zone": BERLIN, "minSize": 3, "reason": "work"},
    ]
    machines = boxes(3, boot_seconds=75.0)
    async with open_world(
        groups=[group("rack", schedules=windows)], machines=machines, autoscaler=None, site=QUICK
    ) as world:
        await world.until(lambda: all_at(world, Phase.OFF), within=60)
        change = world.group("rack").status.next_schedule_change
        assert change is not None
        assert (change.at, change.what) == (
            datetime(2026, 1, 5, 0, 10, tzinfo=UTC),
            "minSize from 0 to 3 (spec.schedules[0] begins)",
        )
        await world.until(lambda: all_at(world, Phase.READY), within=600, every=5)
        assert world.now.minute < 10
        await world.until(lambda: world.now.minute == 13, within=600, every=10)
        await rested(world)
        await world.until(lambda: not all_at(world, Phase.OFF), within=3000, every=1)
        assert (world.now.hour, world.now.minute) in ((0, 57), (0, 58))
        await world.until(lambda: all_at(world, Phase.READY), within=100, every=1)
        assert (world.now.hour, world.now.minute) == (0, 59)
        await world.until(lambda: world.now.hour == 1, within=60, every=1)
        assert {world.node(name).status.wish.by for name in world.phases()} == {Asker.SCHEDULE}  # type: ignore[union-attr]
        assert {(each.min_size, each.max_size) for each in world.cloud.groups()} == {(3, 3)}
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert 'minSize is 3 by schedule "work" until Mon 02:10 (Europe/Berlin)' in refused.message
        await world.until(lambda: world.now.minute == 11, within=700, every=10)
        assert {each.min_size for each in world.cloud.groups()} == {0}
        assert {world.node(name).status.wish.by for name in world.phases()} == {Asker.RECOVERY}  # type: ignore[union-attr]
        await rested(world)


@pytest.mark.parametrize("off", [{"maxSize": 0}, {"mode": "AlwaysOff"}], ids=["maxSize", "mode"])
async def test_on_the_first_morning_machines_are_woken_once(autojump_clock: MockClock, off: dict[str, Any]) -> None:
    """Nobody knows yet how long they boot, so they are woken five minutes before; up after a minute, they stay until the window
    begins, though the night still wants them off."""
    night, work = {"from": "20:00", "to": "00:10", **off}, {"from": "00:10", "to": "02:00", "minSize": 2}
    machines = boxes(3, boot_seconds=60.0)
    async with open_world(
        groups=[group("rack", schedules=[night, work])], machines=machines, autoscaler=None, site=QUICK
    ) as world:
        jobs = JobWatch(world)
        await world.until(lambda: world.now.minute == 11, within=700, every=5)
        assert [world.phase(name) for name in ("box-1", "box-2", "box-3")] == [Phase.READY, Phase.READY, Phase.OFF]
        assert {action for _, action, _ in jobs.made} == {"startup"}


async def test_down_overnight(autojump_clock: MockClock) -> None:
    """When maxSize falls to 0 machines are drained and off; one whose pod a disruption budget guards stays, and so does one that a
    person holds. When the window ends the group is as before."""
    night = {"from": "01:10", "to": "01:30", "zone": BERLIN, "minSize": 0, "maxSize": 0, "reason": "night"}
    spec = {"schedules": [night], "minSize": 3, "timeouts": {"drain": "30s"}}
    async with open_world(groups=[rack(**spec)], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: all_at(world, Phase.READY), within=200)
        world.add_pods(1, cpu="1")
        world.add_budget(minAvailable=1)
        await world.until(lambda: world.waiting == 0, within=30)
        (busy,) = {pod.spec.node_name for pod in world.pods() if pod.metadata.namespace == "default"}
        held, idle = sorted(set(world.phases()) - {busy})
        world.edit(held, {"hold": {"power": "on"}})
        await world.until(lambda: world.now.minute == 10, within=600, every=5)
        await reach(world, Phase.OFF, idle, within=60)
        wish = recorded_wish(world.node(idle))
        assert wish is not None
        assert (wish.by, wish.reason) == (Asker.SCHEDULE, "MaxSize")
        await world.until(lambda: world.now.minute == 20, within=600, every=5)
        assert (world.phase(held), world.phase(idle)) == (Phase.READY, Phase.OFF)
        assert world.phase(busy) in (Phase.READY, Phase.DRAINING)
        assert world.hardware(busy).power
        await world.until(lambda: all_at(world, Phase.READY), within=660, every=1)
        assert world.now.minute in (28, 29)
        assert world.site.report().pods_killed == 0


async def test_failure_40_the_hour_that_clocks_skip_wakes_once(autojump_clock: MockClock) -> None:
    """A window that begins in the skipped hour begins at the jump, one that begins in the repeated hour begins once; each machine
    is woken once, and what is told of the next change is right."""
    window = {"from": "02:30", "to": "12:00", "zone": BERLIN, "minSize": 2}
    for start, begins in (
        (datetime(2026, 3, 29, 0, 50, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),
        (datetime(2026, 10, 25, 0, 15, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ):
        async with open_world(
            groups=[rack(schedules=[window])], machines=boxes(2), autoscaler=None, site=QUICK, start=start
        ) as world:
            jobs = JobWatch(world)
            await world.until(lambda world=world: world.group("rack").status.next_schedule_change, within=60)  # type: ignore[misc]
            change = world.group("rack").status.next_schedule_change
            assert change is not None
            assert change.at == begins
            await world.until(lambda world=world: all_at(world, Phase.READY), within=900, every=5)  # type: ignore[misc]
            assert world.now <= begins
            await trio.sleep(90 * 60)
            assert all_at(world, Phase.READY)
            assert {name: jobs.of(name) for name in world.phases()} == {"box-1": ["startup"], "box-2": ["startup"]}


async def test_failure_40_a_clock_that_is_set_in_a_window_does_nothing_twice(autojump_clock: MockClock) -> None:
    """Set back to before the window, and forward again into it, machines that are on stay on; set forward into the night they go
    off, once."""
    windows = [
        {"from": "01:10", "to": "02:00", "zone": BERLIN, "minSize": 2},
        {"from": "04:00", "to": "05:00", "zone": BERLIN, "maxSize": 0},
    ]
    async with open_world(groups=[rack(schedules=windows)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await world.until(lambda: all_at(world, Phase.READY), within=700, every=5)
        await world.until(lambda: world.now.minute == 15, within=700, every=5)
        for by in (-3600, 3600, -600, 600):
            world.set_clock(by)
            await trio.sleep(60)
            assert all_at(world, Phase.READY)
        assert {name: jobs.of(name) for name in world.phases()} == {"box-1": ["startup"], "box-2": ["startup"]}
        world.set_clock(3 * 3600)
        await world.until(lambda: all_at(world, Phase.OFF), within=400)
        world.set_clock(-60)
        await trio.sleep(120)
        assert {name: jobs.of(name)[1:] for name in world.phases()} == {"box-1": ["shutdown"], "box-2": ["shutdown"]}


async def test_a_persons_word_counts_until_the_window_begins(autojump_clock: MockClock) -> None:
    """A machine that a person put off is woken where the window needs it, after all others."""
    window = {"from": "01:10", "to": "02:00", "zone": BERLIN, "minSize": 1}
    async with open_world(groups=[rack(schedules=[window])], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: all_at(world, Phase.OFF), within=60)
        await switch(world, "on", "box-1")
        await reach(world, Phase.READY, "box-1")
        await switch(world, "off", "box-1")
        await reach(world, Phase.OFF, "box-1")
        await world.until(lambda: world.phase("box-2") is Phase.READY, within=700, every=5)
        assert world.phase("box-1") is Phase.OFF


async def test_a_mode_by_schedule_and_up_again_before_it_ends(autojump_clock: MockClock) -> None:
    """AlwaysOff in a window drains all machines and keeps them off, by the word of the schedule; what minSize wants is Ready when
    it ends."""
    night = {"from": "01:10", "to": "01:20", "zone": BERLIN, "mode": "AlwaysOff", "reason": "night"}
    async with open_world(
        groups=[rack(schedules=[night], minSize=2)], machines=boxes(2), autoscaler=None, site=QUICK
    ) as world:
        await world.until(lambda: all_at(world, Phase.READY), within=200)
        await world.until(lambda: all_at(world, Phase.OFF), within=700, every=5)
        assert world.now.minute == 10
        wish = world.node("box-1").status.wish
        assert wish is not None
        assert (wish.by, wish.reason) == (Asker.SCHEDULE, "Mode")
        await world.until(lambda: all_at(world, Phase.READY), within=700, every=1)
        assert world.now.minute in (18, 19)


async def test_an_idle_site_with_schedules_writes_a_status_for_each_change(autojump_clock: MockClock) -> None:
    """Between two changes nothing is written; a change that asks nothing of any machine costs one write."""
    window = {"from": "01:30", "to": "02:00", "zone": BERLIN, "maxSize": 1}
    async with open_world(groups=[rack(schedules=[window])], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: all_at(world, Phase.OFF), within=60)
        await world.until(lambda: world.now.minute == 10, within=700, every=10)
        version = int(world.site.api.version)
        written = [version]
        for minute in (29, 31, 59):
            await world.until(lambda minute=minute: world.now.minute == minute, within=2000, every=10)  # type: ignore[misc]
            written.append(int(world.site.api.version))
        assert written == [version, version, version + 1, version + 1]


async def test_spares_by_schedule_are_up_when_it_begins(autojump_clock: MockClock) -> None:
    """An idle machine is kept on in a window, by the schedule's word, and given up after it like any other."""
    window = {"from": "01:10", "to": "01:20", "zone": BERLIN, "spares": 1, "reason": "rush hour"}
    async with open_world(groups=[rack(schedules=[window])], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: all_at(world, Phase.OFF), within=60)
        await world.until(lambda: Phase.READY in world.phases().values(), within=700, every=5)
        assert world.now.minute < 10
        (spare,) = {name for name, phase in world.phases().items() if phase is Phase.READY}
        wish = world.node(spare).status.wish
        assert wish is not None
        assert (wish.by, wish.reason) == (Asker.SCHEDULE, "Spare")
        await world.until(lambda: world.now.minute == 12, within=700, every=5)
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode(spare)])
        assert isinstance(refused, Denied)
        assert 'by schedule "rush hour" until Mon 01:20 (Europe/Berlin)' in refused.message
        await world.until(lambda: world.now.minute == 21, within=700, every=5)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode(spare)]) == Done()
        await world.until(lambda: all_at(world, Phase.OFF), within=60)


async def test_an_off_that_a_rule_put_off_ends_with_its_window(autojump_clock: MockClock) -> None:
    """rateLimit lets one machine go within the window; the others, which were to follow, stay once it is over, and with them the
    group is as large as the spec wants it: none is switched off then to be woken again."""
    nap = {"from": "00:06", "to": "00:15", "minSize": 0, "maxSize": 0}
    spec = {"schedules": [nap], "minSize": 3, "rateLimit": {"rests": 1, "per": "8m"}, "wakeProof": "Ignore"}
    async with open_world(groups=[rack(**spec)], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await world.until(lambda: world.now.minute == 25, within=1600, every=10)
        assert all_at(world, Phase.READY)
        assert sum(action == "shutdown" for _, action, _ in jobs.made) == 1
