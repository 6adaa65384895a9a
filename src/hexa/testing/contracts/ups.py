"""What a UPS says: on mains, on battery, low; what is stale, unknown or silent is told as that, and never as mains or battery."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import trio
from msgspec import Struct

from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.power.ups import Supply, UpsReading
from hexa.ports.ups import Ups
from hexa.testing.contracts.bench import expect


class UpsBench(Struct, kw_only=True):
    """A UPS to check, and a hand on it."""

    ups: Ups
    say: Callable[[str, float, float], Awaitable[None]]
    """ups.status, battery.charge in percent and battery.runtime in seconds from now on."""
    stale: Callable[[], Awaitable[None]]
    """Its driver dies: what is known of it is old."""
    stranger: Ups
    """A UPS of a name that is not known there."""
    nobody: Ups
    """One that nobody serves."""
    patience: float = 30.0
    """Seconds until what was said is known."""


async def mains_and_battery_are_told(bench: UpsBench) -> None:
    """With charge and runtime, as the UPS has them."""
    for status, supply in (("OL CHRG", Supply.MAINS), ("OB DISCHRG", Supply.BATTERY)):
        await bench.say(status, 75, 1200)
        found = await _until(bench, supply)
        expect(found.charge == 75, f"the charge should be 75, not {found.charge}")
        expect(found.runtime == timedelta(minutes=20), f"the runtime should be 20 minutes, not {found.runtime}")
        expect(not found.low, "its battery is not low")


async def a_low_battery_is_told(bench: UpsBench) -> None:
    """The UPS says so itself, whatever the figures are."""
    await bench.say("OB LB", 75, 1200)
    expect((await _until(bench, Supply.BATTERY, low=True)).low, "its battery is low")


async def a_contradiction_is_unknown(bench: UpsBench) -> None:
    """Both mains and battery is neither."""
    await bench.say("OL OB", 75, 1200)
    expect((await _until(bench, Supply.UNKNOWN)).trouble, "it should say why the supply is unknown")


async def a_ups_that_is_not_known_is_refused(bench: UpsBench) -> None:
    """A person must correct the name."""
    await _raises(bench.stranger, Refused)


async def silence_is_unavailable(bench: UpsBench) -> None:
    """Nobody answers: it may be tried again."""
    await _raises(bench.nobody, Unavailable)


async def stale_data_are_unavailable(bench: UpsBench) -> None:
    """What was known last is not told again as if it were true."""
    await bench.say("OL", 75, 1200)
    await _until(bench, Supply.MAINS)
    await bench.stale()
    with trio.fail_after(bench.patience):
        while True:
            try:
                await bench.ups.read()
            except Unavailable:
                return
            await trio.sleep(0.2)


async def _until(bench: UpsBench, supply: Supply, *, low: bool = False) -> UpsReading:
    """The first reading of that supply."""
    with trio.move_on_after(bench.patience):
        while True:
            found = await bench.ups.read()
            if found.supply is supply and found.low is low:
                return found
            await trio.sleep(0.1)
    raise AssertionError(f"within {bench.patience:g} s it should have told {supply}")


async def _raises(ups: Ups, error: type[HexaError]) -> None:
    try:
        found = await ups.read()
    except HexaError as raised:
        expect(type(raised) is error, f"it should be {error.__name__}, not {raised!r}")
        expect(str(raised), "it should say why")
    else:
        raise AssertionError(f"it should not be told as {found}")
