"""What a way to a machine's power must keep, whatever it is made of."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal

import trio
from msgspec import Struct

from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import HardPower, Power
from hexa.testing.contracts.bench import expect

Ability = Literal["on", "off", "cut", "sense"]

_PAUSE: Final = 0.05

Opener = Callable[[], AbstractAsyncContextManager[Power]]


class PowerBench(Struct, kw_only=True):
    """A machine that may be switched, a driver of it, and the same driver where something is wrong."""

    open: Opener
    can: frozenset[Ability] = frozenset(("on", "off", "cut", "sense"))
    is_on: Callable[[], Awaitable[bool]] | None = None
    """How the machine really is, not by the driver. None: the driver's own reading is believed."""
    put: Callable[[bool], Awaitable[None]] | None = None
    """Bring the machine on or off, not by the driver. None: by the driver."""
    unreachable: Opener | None = None
    """The same driver, and nobody at its address."""
    denied: Opener | None = None
    """The same driver with credentials that are not taken."""
    address: str = ""
    """What errors must name."""
    secrets: Sequence[str] = ()
    """What no error and no repr may contain."""
    patience: float = 10.0
    """Seconds that the machine may take."""

    async def becomes(self, on: bool) -> None:
        """Wait until the machine is on, or off."""
        with trio.move_on_after(self.patience):
            while True:
                if await self._on() is on:
                    return
                await trio.sleep(_PAUSE)
        raise AssertionError(f"within {self.patience:g} s the machine should be {'on' if on else 'off'}")

    async def start(self, on: bool) -> None:
        """Have the machine on or off before a check."""
        if self.put is not None:
            await self.put(on)
        elif await self._on() is not on:
            async with self.open() as power:
                if on:
                    await power.turn_on()
                elif isinstance(power, HardPower):
                    await power.cut()
                else:
                    await power.turn_off()
        await self.becomes(on)

    async def _on(self) -> bool:
        if self.is_on is not None:
            return await self.is_on()
        async with self.open() as power:
            return await power.sense() is Reading.ON


async def it_turns_on(bench: PowerBench) -> None:
    """A machine that is off comes on, and asking again leaves it on."""
    await bench.start(False)
    async with bench.open() as power:
        if "on" not in bench.can:
            await _refuses(bench, power.turn_on, "turning on by what can't")
            return
        await power.turn_on()
        await bench.becomes(True)
        await power.turn_on()
        await bench.becomes(True)


async def it_turns_off(bench: PowerBench) -> None:
    """A machine that runs shuts down, and asking again is success."""
    await bench.start(True)
    async with bench.open() as power:
        if "off" not in bench.can:
            await _refuses(bench, power.turn_off, "an orderly shutdown by what can't")
            await bench.becomes(True)
            return
        await power.turn_off()
        await bench.becomes(False)
        if "sense" in bench.can:
            await power.turn_off()
            await bench.becomes(False)


async def it_cuts(bench: PowerBench) -> None:
    """Power is taken away without asking, and again is success; who can't has no such method or refuses."""
    await bench.start(True)
    async with bench.open() as power:
        if "cut" not in bench.can:
            if isinstance(power, HardPower):
                await _refuses(bench, power.cut, "cutting by what can't")
            return
        expect(isinstance(power, HardPower), "what cuts should have the method cut")
        assert isinstance(power, HardPower)
        await power.cut()
        await bench.becomes(False)
        await power.cut()
        await bench.becomes(False)


async def its_reading_is_true(bench: PowerBench) -> None:
    """On reads On or Unknown and off reads Off or Unknown; who can sense knows both."""
    for on, wrong, right in ((True, Reading.OFF, Reading.ON), (False, Reading.ON, Reading.OFF)):
        await bench.start(on)
        async with bench.open() as power:
            reading = await power.sense()
        expect(isinstance(reading, Reading), f"a reading is a Reading, not {reading!r}")
        expect(reading is not wrong, f"a machine that is {'on' if on else 'off'} should not read {reading}")
        if "sense" in bench.can:
            expect(reading is right, f"a machine that is {'on' if on else 'off'} should read {right}, not {reading}")


async def silence_is_unavailable(bench: PowerBench) -> None:
    """With nobody at the address every question ends as Unavailable, in a sentence with address and remedy; never as a guess."""
    if bench.unreachable is None:
        return
    async with bench.unreachable() as power:
        if "sense" in bench.can:
            await _raises(bench, Unavailable, power.sense, "reading a machine that does not answer")
        else:
            expect(await power.sense() is Reading.UNKNOWN, "what can't read should say Unknown")
        for ability, call in (("on", power.turn_on), ("off", power.turn_off)):
            if ability in bench.can:
                await _raises(bench, Unavailable, call, f"turning {ability} a machine that does not answer")


async def wrong_credentials_are_refused(bench: PowerBench) -> None:
    """Wrong credentials ask for a person, and change nothing."""
    if bench.denied is None:
        return
    await bench.start(True)
    async with bench.denied() as power:
        calls = {"on": power.turn_on, "off": power.turn_off, "sense": power.sense}
        for ability in bench.can - {"cut"}:
            await _raises(bench, Refused, calls[ability], f"{ability} with wrong credentials")
    await bench.becomes(True)


async def its_repr_is_tame(bench: PowerBench) -> None:
    """A repr in a log names the machine and no secret."""
    async with bench.open() as power:
        _silent(bench, repr(power), "the repr")


async def _refuses(bench: PowerBench, call: Callable[[], Awaitable[object]], doing: str) -> None:
    await _raises(bench, Refused, call, doing)


async def _raises(bench: PowerBench, error: type[HexaError], call: Callable[[], Awaitable[object]], doing: str) -> None:
    try:
        await call()
    except HexaError as raised:
        said = str(raised)
        expect(type(raised) is error, f"{doing} should raise {error.__name__}, not {raised!r}")
        expect(bench.address in said, f"{doing}: the error should name {bench.address}: {said}")
        expect("; " in said, f"{doing}: the error should say what to do: {said}")
        cause = "".join(map(str, (raised.__cause__, raised.__context__)))
        _silent(bench, said + repr(raised) + cause, "the error")
        return
    raise AssertionError(f"{doing} should raise {error.__name__}, and nothing was raised")


def _silent(bench: PowerBench, text: str, what: str) -> None:
    for number, secret in enumerate(bench.secrets):
        expect(secret not in text, f"{what} contains secret number {number}")
