"""Power switched and verified: what was asked for is done when the reading says so, not when somebody took the request.

It knows no driver. Off goes from soft to hard, and takes the last step only where that is allowed. Off is believed only where it
is proven: by two readings apart after an On or by a meter. A driver that presses a button acts on a reading, and once on each.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio
from msgspec import Struct

from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.power.roles import Roles
from hexa.domain.resources.power_spec import DriverName
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import HardPower, Power

FIRST_LOOK: Final = 0.2
BUSY: Final = "Busy"
"""Reason of the error of a controller that has no session free: it is asked again."""
FAILING: Final = "DeviceError"
"""Reason of the error of one whose answer was not understood, as while it starts: it is asked again likewise."""
BUSY_PAUSE: Final = 1.0
BUSY_FOR: Final = 30.0
"""Seconds for which a busy controller is asked again, ever more seldom; never more than half of what may be waited at all."""
LONGEST_PAUSE: Final = 5.0
"""Seconds between two readings grow from the first to the second: most machines answer at once, and BMCs are easily annoyed."""


CONFIRM: Final = 1.0
"""Seconds until Off is read a second time."""
CONFIRM_METER: Final = 2.0
"""The same by a meter, which renews its figure each second or so."""


class Ways(Struct, frozen=True, kw_only=True):
    """Who does what for one machine; None: nobody can."""

    machine: str = ""
    roles: Roles
    on: Power | None = None
    on_else: Power | None = None
    """Where the first one fails."""
    off: Power | None = None
    cut: HardPower | None = None
    sense: Power | None = None


class Patience(Struct, frozen=True, kw_only=True):
    """Seconds."""

    verify: float = 120.0
    """Until the reading must say what was asked for."""
    soft: float = 120.0
    """Of these, how long an orderly shutdown is waited for before power is cut, where that is allowed."""
    pause: float = 10.0
    """Between off and on of a cycle: capacitors hold a machine up for a while."""


class Switched(Struct, frozen=True, kw_only=True):
    """How an action ended well."""

    power: Reading
    """What was read last; Unknown where nothing reads it."""
    verified: bool
    """A reading says so."""
    steps: tuple[str, ...]
    """What was done, in order; empty: nothing had to be."""


async def status(ways: Ways) -> Switched:
    """The power as it is."""
    reading = await _read(ways)
    if reading is Reading.OFF and ways.roles.metered:
        await trio.sleep(CONFIRM_METER)
        reading = await _read(ways)
    return Switched(power=reading, verified=reading is not Reading.UNKNOWN, steps=())


async def turn_on(ways: Ways, patience: Patience) -> Switched:
    """Turn it on and see that it is, by the second way where the first one fails. Raises `Unavailable` where it is not in time."""
    if ways.on is None:
        raise _lacks(ways, "turn it on", "add a driver that can, such as wakeOnLan")
    before = await _before(ways, patience, ways.roles.on)
    if before is Reading.ON:
        return Switched(power=before, verified=True, steps=())
    steps: tuple[str, ...] = (f"turned on by {ways.roles.on}",)
    left = _countdown(patience.verify)
    try:
        await _asked(ways.on.turn_on, patience, once=ways.roles.on in ways.roles.toggling)
        return await _seen(ways, Reading.ON, before, left(), steps)
    except HexaError as error:
        if ways.on_else is None:
            raise
        steps = (f"{steps[0]}, in vain: {error}", f"turned on by {ways.roles.on_else}")
    left = _countdown(patience.verify)
    try:
        toggles = ways.roles.on_else in ways.roles.toggling
        if toggles and await _before(ways, patience, ways.roles.on_else) is Reading.ON:
            return Switched(power=Reading.ON, verified=True, steps=steps[:1])
        await _asked(ways.on_else.turn_on, patience, once=toggles)
        return await _seen(ways, Reading.ON, before, left(), steps)
    except HexaError as error:
        raise type(error)(f"{error}; before, {steps[0]}", reason=error.reason) from error


async def turn_off(ways: Ways, patience: Patience, *, hard: bool) -> Switched:
    """Turn it off and see that it is: in order first, and by cutting its power where `hard` allows. Raises `Unavailable` where it
    is not off in time, and `Refused` where it can only be cut and may not."""
    before = await _before(ways, patience, ways.roles.off or ways.roles.cut, sure=True)
    if before is Reading.OFF:
        return Switched(power=before, verified=True, steps=())
    if ways.off is None and (ways.cut is None or not hard):
        raise _no_soft_way(ways)
    steps: tuple[str, ...] = ()
    if ways.off is not None:
        done = await _soft(ways, before, patience, last_rung=ways.cut is None or not hard)
        if isinstance(done, Switched):
            return done
        steps = done
    assert ways.cut is not None
    left = _countdown(patience.verify)
    await _or_off_already(ways, ways.cut.cut, patience)
    return await _seen(ways, Reading.OFF, before, left(), (*steps, f"power cut by {ways.roles.cut}"))


async def cycle(ways: Ways, patience: Patience, *, hard: bool) -> Switched:
    """Off, seen to be off, and on again. Raises `Refused` where nothing can see that it is off."""
    if ways.on is None:
        raise _lacks(ways, "turn it on", "add a driver that can, such as wakeOnLan")
    if ways.sense is None:
        raise _lacks(ways, "read its power, without which a cycle can't tell off from on", "add a driver that reads")
    off = await turn_off(ways, patience, hard=hard)
    if not off.verified:
        raise Unavailable(
            _of(ways, "its power can't be read, so it was not turned on again; look at it"), reason="NotVerified"
        )
    await trio.sleep(patience.pause)
    on = await turn_on(ways, patience)
    return Switched(power=on.power, verified=on.verified, steps=(*off.steps, *on.steps))


async def _soft(ways: Ways, before: Reading, patience: Patience, *, last_rung: bool) -> Switched | tuple[str, ...]:
    """An orderly shutdown; where power may be cut after it, the steps so far if it led nowhere. A system that may be shutting down
    has its time before that, whether or not anything reads it."""
    assert ways.off is not None
    steps, seconds = (f"asked to shut down by {ways.roles.off}",), patience.verify if last_rung else patience.soft
    until, left = trio.current_time() + seconds, _countdown(seconds)
    try:
        once = ways.roles.off in ways.roles.toggling
        await _or_off_already(ways, ways.off.turn_off, patience, once=once)
    except HexaError as error:
        if last_rung:
            raise
        steps = (f"{steps[0]}, in vain: {error}",)
        if isinstance(error, Refused):
            return steps
    try:
        done = await _seen(ways, Reading.OFF, before, left(), steps)
    except Unavailable:
        if last_rung:
            raise
        return steps
    if done.verified or last_rung:
        return done
    await trio.sleep_until(until)
    return steps


def _countdown(seconds: float) -> Callable[[], float]:
    """What is left of so many seconds from now on; at least half of them, for asking may have taken the others."""
    until = trio.current_time() + seconds
    return lambda: max(seconds / 2, until - trio.current_time())


async def _asked(request: Callable[[], Awaitable[None]], patience: Patience, *, once: bool = False) -> None:
    """Make the request; a controller that has no session free, or still starts, is asked again. `once`: a second request would undo
    the first."""
    began, pause = trio.current_time(), BUSY_PAUSE
    bounds = {BUSY: min(BUSY_FOR, patience.verify / 2), FAILING: patience.verify / 2}
    while True:
        try:
            return await request()
        except Unavailable as error:
            if once or trio.current_time() + pause > began + bounds.get(error.reason, 0.0):
                raise
        await trio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def _or_off_already(
    ways: Ways, request: Callable[[], Awaitable[None]], patience: Patience, *, once: bool = False
) -> None:
    """Some answer with an error when the machine is off already: what counts are the readings after it."""
    try:
        await _asked(request, patience, once=once)
    except HexaError:
        if await _sure(ways) is not Reading.OFF:
            raise


async def _seen(ways: Ways, wanted: Reading, before: Reading, seconds: float, steps: tuple[str, ...]) -> Switched:
    """Read until it says what was wanted. Where nothing can read, that is said and not held against it."""
    if ways.sense is None:
        return Switched(power=Reading.UNKNOWN, verified=False, steps=steps)
    last, pause, trouble, once = before, FIRST_LOOK, None, False
    with trio.move_on_after(seconds):
        while True:
            try:
                last, trouble = await ways.sense.sense(), None
            except Unavailable as error:  # controllers are busy while they switch
                last, trouble = Reading.UNKNOWN, error
            if last is Reading.OFF is wanted and not once:
                once = True
                await trio.sleep(_confirm(ways))
                continue
            if last is wanted:
                return Switched(power=last, verified=True, steps=steps)
            once = False
            if wanted is Reading.OFF and last is Reading.UNKNOWN and not ways.roles.proves_off:
                return Switched(power=last, verified=False, steps=steps)
            if last is before is Reading.UNKNOWN and trouble is None:
                return Switched(power=last, verified=False, steps=steps)
            await trio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
    if trouble is not None:
        raise trouble
    seen = "has read off only once" if last is Reading.OFF is wanted else f"still reads {last.lower()}"
    what = f"{steps[-1]}, and {round(seconds, 1):g} s later {ways.roles.sense} {seen}"
    raise Unavailable(_of(ways, f"{what}; {_remedy(wanted)}"), reason="NotVerified")


def _remedy(wanted: Reading) -> str:
    if wanted is Reading.ON:
        return "try again, and look at its firmware settings for waking and for power after AC loss"
    return "look what holds its shutdown up, or allow hard"


async def _read(ways: Ways) -> Reading:
    if ways.sense is None:
        raise _lacks(ways, "read its power", "add a driver that reads, such as ipmi, redfish or pdu")
    return await ways.sense.sense()


async def _before(ways: Ways, patience: Patience, by: DriverName | None, *, sure: bool = False) -> Reading:
    """The power before anything is done. Where it is done by a button, and something reads: waits for a reading that tells. Raises
    `Unavailable` where there is none in time, for a button does the opposite of what is."""
    presses = by in ways.roles.toggling
    reading = await (_sure(ways, by) if presses or sure else _read_if_possible(ways, by))
    if not presses or ways.sense is None:
        return reading
    until, pause = trio.current_time() + patience.verify / 2, BUSY_PAUSE
    while reading is Reading.UNKNOWN and trio.current_time() + pause < until:
        await trio.sleep(pause)
        reading, pause = await _sure(ways, by), min(LONGEST_PAUSE, pause * 2)
    if reading is Reading.UNKNOWN:
        await _read(ways)  # its own trouble, if it has one
        what = f"{ways.roles.sense} can't tell whether it is on, and a button does the opposite of what is"
        raise Unavailable(_of(ways, f"{what}; it was not pressed: mend what reads its power"), reason="NotVerified")
    return reading


async def _sure(ways: Ways, *acting: DriverName | None) -> Reading:
    """The power; Off once two readings apart say so."""
    reading = await _read_if_possible(ways, *acting)
    if reading is Reading.OFF:
        await trio.sleep(_confirm(ways))
        reading = await _read_if_possible(ways, *acting)
    return reading


def _confirm(ways: Ways) -> float:
    return CONFIRM_METER if ways.roles.metered else CONFIRM


async def _read_if_possible(ways: Ways, *acting: DriverName | None) -> Reading:
    """A reading that fails does not stand in the way of acting; what is wrong will show there again. A refusal by the driver that
    is to act is that of the act: a wrong password is not tried twice."""
    try:
        return Reading.UNKNOWN if ways.sense is None else await ways.sense.sense()
    except Refused:
        if ways.roles.sense in acting:
            raise
        return Reading.UNKNOWN
    except HexaError:
        return Reading.UNKNOWN


def _no_soft_way(ways: Ways) -> Refused:
    if ways.cut is not None:
        what = f"{ways.roles.cut} can only cut the power, which a running system may not survive unharmed"
        return Refused(
            _of(ways, f"{what}; add a driver that shuts down, such as ssh, or allow hard"), reason="HardNotAllowed"
        )
    return _lacks(ways, "turn it off", "add a driver that can, such as ssh")


def _lacks(ways: Ways, what: str, remedy: str) -> Refused:
    return Refused(
        _of(ways, f"none of its drivers ({', '.join(ways.roles.names)}) can {what}; {remedy}"), reason="NoWay"
    )


def _of(ways: Ways, sentence: str) -> str:
    return f"{ways.machine}: {sentence}" if ways.machine else sentence
