"""How the first machine of a rack gets into each phase."""

from collections.abc import Awaitable, Callable

from tests.scenarios.stage import loaded, reach, switch, up

from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import World

P = Phase
Way = Callable[[World], Awaitable[None]]


async def to_powering_on(world: World) -> None:
    """Its startup Job runs."""
    await switch(world, "on")
    await reach(world, P.POWERING_ON)


async def to_booting(world: World) -> None:
    """It boots."""
    await switch(world, "on")
    await reach(world, P.BOOTING)


async def to_ready(world: World) -> None:
    """It runs a pod."""
    await loaded(world)


async def to_draining(world: World) -> None:
    """A budget holds its drain."""
    await loaded(world, budget={"minAvailable": 1})
    await switch(world, "off")
    await reach(world, P.DRAINING)


async def to_powering_off(world: World) -> None:
    """Its shutdown Job runs."""
    await up(world)
    await switch(world, "off")
    await reach(world, P.POWERING_OFF)


async def to_start_failed(world: World) -> None:
    """It is dead, for five minutes in all."""
    world.inject({"kind": "dead", "machine": "box-1", "duration": 300})
    await switch(world, "on")
    await reach(world, P.START_FAILED)


async def to_stop_failed(world: World) -> None:
    """It ignored its shutdown."""
    world.inject({"kind": "hungShutdown", "machine": "box-1"})
    await up(world)
    await switch(world, "off")
    await reach(world, P.STOP_FAILED, within=400)


async def to_lost(world: World) -> None:
    """Its network is away for three minutes."""
    await loaded(world)
    world.inject({"kind": "partition", "machine": "box-1", "duration": 180})
    await reach(world, P.LOST)


async def to_off(world: World) -> None:
    """It went off a moment ago."""
    await to_powering_off(world)
    await reach(world, P.OFF)


WAYS: dict[Phase, Way] = {
    P.POWERING_ON: to_powering_on,
    P.BOOTING: to_booting,
    P.READY: to_ready,
    P.DRAINING: to_draining,
    P.POWERING_OFF: to_powering_off,
    P.START_FAILED: to_start_failed,
    P.STOP_FAILED: to_stop_failed,
    P.LOST: to_lost,
    P.OFF: to_off,
}
