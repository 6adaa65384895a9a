"""What drivers of outlets share: a machine has one or more, all are switched, and it is on while any of them feeds it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hexa.domain.resources.v1alpha1 import Reading


class Outlet(NamedTuple):
    """One outlet of a device."""

    address: str
    name: str


class Fed(NamedTuple):
    """What was read of an outlet."""

    state: Reading
    watts: float | None = None
    """Drawn from it, where that is measured."""


def parse(outlets: Sequence[str], address: str) -> list[Outlet]:
    """ "7", or "pdu-b.lan/7" for one on another device."""
    parts = (text.rpartition("/") for text in outlets)
    return [Outlet(device or address, name) for device, _, name in parts]


def reading(fed: Iterable[Fed], *, on_watts: float | None) -> Reading:
    """On while any outlet feeds the machine, off once none does. Where watts decide, an outlet without a figure is unknown."""
    states = {_one(each, on_watts) for each in fed}
    if Reading.ON in states:
        return Reading.ON
    return Reading.UNKNOWN if Reading.UNKNOWN in states or not states else Reading.OFF


def _one(fed: Fed, on_watts: float | None) -> Reading:
    if on_watts is None or fed.state is not Reading.ON:
        return fed.state
    if fed.watts is None:
        return Reading.UNKNOWN
    return Reading.ON if fed.watts > on_watts else Reading.OFF
