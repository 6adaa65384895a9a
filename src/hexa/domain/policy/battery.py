"""What a UPS means for a group, as plain numbers, and when its machines are to go."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct


class Threshold(Struct, frozen=True):
    """When machines are switched off on battery: whichever comes first."""

    charge: float | None = None
    """Percent of the battery; None: as the configuration says. 0: never by charge."""
    runtime: timedelta | None = None
    """What is left at this load; None: as the configuration says. 0: never by runtime."""


DEFAULT: Final = Threshold(40.0, timedelta(minutes=10))
"""A drain takes 10 minutes at most, unless told otherwise; a battery that is used up may take the switch with it."""


class OnBattery(Struct, frozen=True, kw_only=True):
    """What a UPS means for a group now; there is none while all is well."""

    reason: str
    text: str
    since: datetime
    bars: bool = True
    """No program wakes its machines."""
    ordered: bool = False
    """Its machines are to be off."""
    goes: bool = False
    """That is acted on: the UPS is heard, and on battery. Else who is off stays off, and nobody goes."""
