"""What drivers of outlets share: a machine has one or more, all are switched, and it is on while any of them feeds it."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import trio

from hexa.adapters.power.context import Context
from hexa.adapters.power.measurements import Figure
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import DOUBTFUL

IDLE_WATTS: Final = 8.0
"""More than this through an outlet that says that it is off contradicts it, where no onWatts says better."""

APPARENT: Final = 3.0
"""Volts times amperes of so many times onWatts are a machine that runs, or nearly nothing but a capacitor..."""
LEAST_FACTOR: Final = 0.02
"""... which has a power factor above this. Below it the figure of watts is wrong: kilowatts, for one."""

KILO: Final = 1000.0
UNIT_WITHIN: Final = 0.1
"""A figure within this share of a thousandth of the last one of a running machine may be that load in kilowatts..."""
UNIT_FOR: Final = 600.0
"""... for so many seconds; a machine that draws that little for longer, and the whole of its shutdown, is off."""

REMEDY: Final = "read its page, correct its wiring, calibration or settings, or read the power by another driver"


class Outlet(NamedTuple):
    """One outlet of a device."""

    address: str
    name: str


class Fed(NamedTuple):
    """What was read of an outlet."""

    state: Reading
    watts: float | None = None
    """Drawn from it, where that is measured."""
    doubt: str = ""
    """Why state or watts can't be told."""
    apparent: float | None = None
    """Volts times amperes, or watts whatever their sign, where they are measured."""


def fed(state: Reading, figure: Figure, *, doubt: str = "", apparent: float | None = None) -> Fed:
    """What was read, with the figure and its doubt."""
    return Fed(state, figure.watts, doubt or figure.doubt, max(apparent or 0.0, figure.size))


def parse(outlets: Sequence[str], address: str) -> list[Outlet]:
    """ "7", or "pdu-b.lan/7" for one on another device."""
    parts = (text.rpartition("/") for text in outlets)
    return [Outlet(device or address, name) for device, _, name in parts]


def reading(fed: Iterable[Fed], *, on_watts: float | None) -> Reading:
    """On while any outlet feeds the machine, off once none does. Where watts decide, an outlet without a figure is unknown."""
    states = {_one(each, on_watts)[0] for each in fed}
    if Reading.ON in states:
        return Reading.ON
    return Reading.UNKNOWN if Reading.UNKNOWN in states or not states else Reading.OFF


def told(fed: Sequence[Fed], *, on_watts: float | None, context: Context) -> Reading:
    """The reading. Raises `Unavailable` with the doubt where an answer can't be trusted, and no other outlet says On."""
    fed = [_compared(each, on_watts, context, f"{context.machine} {number}") for number, each in enumerate(fed)]
    result = reading(fed, on_watts=on_watts)
    doubt = next(filter(None, (_one(each, on_watts)[1] for each in fed)), "")
    if result is Reading.UNKNOWN and doubt:
        raise context.unavailable(context.quoted(doubt), REMEDY, reason=DOUBTFUL)
    return result


def _compared(fed: Fed, on_watts: float | None, context: Context, outlet: str) -> Fed:
    """What was read, beside the figure before it: a thousandth of that is the same load in another unit."""
    if on_watts is None or fed.watts is None or fed.state is not Reading.ON:
        return fed
    now, memory = trio.current_time(), context.memory
    if fed.watts > on_watts:
        memory.drew(outlet, fed.watts, now=now)
        return fed
    before, when = memory.drawn.get(outlet, (0.0, now))
    if fed.watts and now - when < UNIT_FOR and abs(before / fed.watts / KILO - 1) < UNIT_WITHIN:
        doubt = f"its watts are {fed.watts:g}, a thousandth of {before:g} before: look at its unit"
        return fed._replace(watts=None, doubt=doubt)
    return fed


def _one(fed: Fed, on_watts: float | None) -> tuple[Reading, str]:
    """The reading of one outlet, and the doubt where it is unknown."""
    if fed.state is Reading.UNKNOWN:
        return fed.state, fed.doubt
    if fed.state is Reading.OFF:
        drawn, most = fed.apparent or fed.watts or 0.0, on_watts or IDLE_WATTS
        if drawn > APPARENT * most or (fed.watts or 0.0) > most:
            return Reading.UNKNOWN, f"it says that the outlet is off, and that {drawn:g} W are drawn from it"
        return fed.state, ""
    if on_watts is None:
        return fed.state, ""
    if fed.watts is None:
        return Reading.UNKNOWN, fed.doubt
    if fed.watts > on_watts:
        return Reading.ON, ""
    if fed.apparent is not None and fed.apparent > APPARENT * on_watts and fed.watts < LEAST_FACTOR * fed.apparent:
        return Reading.UNKNOWN, (
            f"its watts are {fed.watts:g}, and its volts and amperes make {fed.apparent:.0f}: look at its unit"
        )
    return Reading.OFF, ""
