"""One way into each phase, played on a whole site in memory; there hexa is killed, and what it stored is there to be looked at."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.testing.world import World, open_world
from tests.scenarios.stage import QUICK, JobWatch, at, boxes, loaded, rack, reach, switch, up

P = Phase
Way = Callable[[World], Awaitable[None]]
NAMES: Final = ("box-1", "box-2")
"""The first is in the phase; the second is off."""


async def _unknown(world: World) -> None:
    await trio.sleep(2)  # a machine that runs is Unknown, without a status, until its lease is seen to change
    assert at(world, P.UNKNOWN)()


async def _off(world: World) -> None:
    await reach(world, P.OFF)


async def _powering_on(world: World) -> None:
    await reach(world, P.OFF)
    await switch(world, "on")
    await reach(world, P.POWERING_ON)


async def _booting(world: World) -> None:
    await _powering_on(world)
    await reach(world, P.BOOTING)


async def _ready(world: World) -> None:
    await reach(world, P.OFF)
    await up(world)


async def _draining(world: World) -> None:
    await reach(world, P.OFF)
    await loaded(world, budget={"minAvailable": 1})
    await switch(world, "off")
    await reach(world, P.DRAINING)


async def _powering_off(world: World) -> None:
    await _ready(world)
    await switch(world, "off")
    await reach(world, P.POWERING_OFF)


async def _start_failed(world: World) -> None:
    world.inject({"kind": "noJoin", "machine": "box-1"})
    await _powering_on(world)
    await reach(world, P.START_FAILED, within=600)


async def _stop_failed(world: World) -> None:
    await _ready(world)
    world.inject({"kind": "hungShutdown", "machine": "box-1"})
    await switch(world, "off")
    await reach(world, P.STOP_FAILED, within=900)


async def _lost(world: World) -> None:
    await _ready(world)
    world.hardware("box-1").hang()
    await reach(world, P.LOST, within=300)


WAYS: Final[dict[Phase, Way]] = {
    P.UNKNOWN: _unknown,
    P.OFF: _off,
    P.POWERING_ON: _powering_on,
    P.BOOTING: _booting,
    P.READY: _ready,
    P.DRAINING: _draining,
    P.POWERING_OFF: _powering_off,
    P.START_FAILED: _start_failed,
    P.STOP_FAILED: _stop_failed,
    P.LOST: _lost,
}


@asynccontextmanager
async def killed_in(phase: Phase) -> AsyncIterator[tuple[World, JobWatch]]:
    """A site on which hexa was just killed while the first machine was in this phase, and all its Jobs from the beginning."""
    machines = boxes(1, on=phase is P.UNKNOWN) + boxes(2)[1:]  # what is off is known at once
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await WAYS[phase](world)
        world.kill_agent()
        await world.agent.ended()
        yield world, jobs


def stored(world: World) -> list[dict[str, Any]]:
    """The Groups and Nodes, as the API server has them."""
    return [each.raw for kind in (GROUPS, MACHINES) for each in world.site.api.find(kind)]
