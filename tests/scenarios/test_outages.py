"""The API server away, half away, or without its history, in each phase: hexa never powers off while blind, and goes on after."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, arrows, boxes, kube_of, rack, reach, switch, up
from tests.scenarios.ways import WAYS
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import BUDGETS, JOBS
from hexa.domain.resources.v1alpha1 import GROUPS
from hexa.testing.world import World, open_world

P = Phase


def three() -> list[Any]:
    """Two machines, and a third one on which the load does not fit: it only has to stay as it is."""
    return [*boxes(2), *boxes(3, cpu="500m")[2:]]


ENDS: dict[Phase, Phase] = {
    P.POWERING_ON: P.READY,
    P.BOOTING: P.READY,
    P.READY: P.READY,
    P.DRAINING: P.OFF,
    P.POWERING_OFF: P.OFF,
    P.START_FAILED: P.READY,
    P.STOP_FAILED: P.OFF,
    P.LOST: P.READY,
    P.OFF: P.OFF,
}


async def settled(world: World, ends: Phase) -> None:
    """The machine gets where it is wanted, and stays there."""
    if ends is P.OFF:
        await up(world, "box-2")
        world.site.api.delete(*budget())
    await world.until(lambda: world.phase("box-1") is ends, within=3600, every=2)
    await trio.sleep(300)
    assert world.phase("box-1") is ends
    assert world.hardware("box-1").power is (ends is P.READY)
    assert world.phase("box-3") is P.READY
    assert world.site.report().pods_killed == 0


def budget() -> tuple[Any, tuple[str, str]]:
    """Where the load's disruption budget is."""
    return BUDGETS, ("default", "load")


@pytest.mark.parametrize("seconds", [5.0, 90.0, 1800.0])
@pytest.mark.parametrize("phase", WAYS)
async def test_failure_39_the_api_server_is_away(autojump_clock: MockClock, phase: Phase, seconds: float) -> None:
    """An outage of any length in any phase: no machine is powered off by it or lost by it, deadlines stand still, and afterwards
    each machine gets where it is wanted without an agent's restart."""
    way, ends = WAYS[phase], ENDS[phase]
    async with open_world(groups=[rack()], machines=three(), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world, "box-3")
        await way(world)
        world.site.api.outage(seconds)
        offs = world.site.report().offs
        await trio.sleep(seconds - 0.1)
        assert phase is P.POWERING_OFF or world.site.report().offs == offs  # there its Job is on its way already
        await trio.sleep(60)
        await settled(world, ends)
        assert jobs.most == 1
        assert world.agent.lives == 1
        assert "Lost" not in {now for was, now in moves(world, "box-3")}
        if ends is P.READY and phase not in (P.START_FAILED, P.LOST):
            assert len(jobs.of("box-1")) <= 2


def moves(world: World, name: str) -> list[tuple[str, str]]:
    """From where to where the machine went."""
    lines = [line.fields for line in world.journal.lines if line.message == "phase"]
    return [(line["was"], line["phase"]) for line in lines if line["machine"] == f"machines/{name}"]


@pytest.mark.parametrize("phase", [P.READY, P.DRAINING, P.POWERING_OFF, P.LOST])
async def test_failure_39_half_blind_nothing_is_powered_off(autojump_clock: MockClock, phase: Phase) -> None:
    """While one watch cannot be held, though writes would work, no shutdown Job is made, no silence is believed and no node
    deleted; when all is seen again the wish is followed."""
    way = WAYS[phase]
    async with open_world(groups=[rack()], machines=three(), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world, "box-3")
        if phase is P.POWERING_OFF:
            await up(world)
            kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=3)
            await switch(world, "off")
            await reach(world, P.POWERING_OFF)
        else:
            await way(world)
        kube_of(world).fail_next(Unavailable("half-open"), verb="list", kind=GROUPS, times=40)
        kube_of(world).fail_next(Unavailable("half-open"), verb="watch", kind=GROUPS, times=1)
        world.site.api.break_watches()
        await trio.sleep(1)
        await switch(world, "off")
        if phase is not P.POWERING_OFF:
            world.scale(0)
        await trio.sleep(600)
        assert jobs.of("box-1").count("shutdown") == 0
        assert world.hardware("box-1").power
        assert world.kube_node("box-1") is not None
        await world.until(lambda: world.phase("box-1") is P.OFF, within=1800, every=2)
        assert world.site.report().pods_killed == 0


async def test_failure_39_silence_of_an_outage_is_no_silence(autojump_clock: MockClock) -> None:
    """A machine that runs through an outage of an hour is neither Lost nor woken nor replaced when the server is back."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.site.api.outage(3600)
        await trio.sleep(4000)
        assert world.phases() == {"box-1": P.READY, "box-2": P.OFF}
        assert arrows(world)[-1] == (P.BOOTING, "NodeReady")
        assert world.site.report().wakes == 1


@pytest.mark.parametrize("phase", WAYS)
async def test_the_watch_history_is_compacted(autojump_clock: MockClock, phase: Phase) -> None:
    """410 Gone in any phase: hexa lists afresh and nothing else happens."""
    way, ends = WAYS[phase], ENDS[phase]
    async with open_world(groups=[rack()], machines=three(), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world, "box-3")
        await way(world)
        for _ in range(5):
            world.inject({"kind": "compaction"})
            await trio.sleep(2)
        await settled(world, ends)
        assert jobs.most == 1
        assert world.agent.lives == 1
