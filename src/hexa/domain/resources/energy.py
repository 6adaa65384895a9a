"""`status.energy` of a Node and of a Group: hours, energy and money.

How it is counted is decided in `hexa.domain.money.account`; this module only knows shapes.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, field

from hexa.domain.resources.core import Slice


class Sums(Slice, frozen=True, kw_only=True):
    """What was counted over a time."""

    on_seconds: Annotated[float, Meta(description="Time on, on the way up included, in seconds.")] = 0.0
    boot_seconds: Annotated[float, Meta(description="Of that the time on the way up.")] = 0.0
    off_seconds: Annotated[float, Meta(description="Time off, in seconds.")] = 0.0
    boots: Annotated[int, Meta(description="Boots.")] = 0
    kwh: Annotated[float, Meta(description="Energy, in kilowatt-hours.")] = field(name="kWh", default=0.0)
    measured: Annotated[
        float,
        Meta(description="Of that what a meter measured; the rest is computed from spec.energy, and so an estimate."),
    ] = field(name="measuredKWh", default=0.0)
    saved_kwh: Annotated[
        float, Meta(description="Kilowatt-hours saved against being on all the time; below 0: lost by boots.")
    ] = field(name="savedKWh", default=0.0)
    money: Annotated[float, Meta(description="What energy, hours and months cost.")] = 0.0
    saved: Annotated[float, Meta(description="Money saved against being on all the time.")] = 0.0


class Counter(Slice, frozen=True, kw_only=True):
    """A meter's count of energy, which only grows while its source stays the same."""

    kwh: Annotated[float, Meta(description="Kilowatt-hours since the meter began to count.")] = field(
        name="kWh", default=0.0
    )
    at: Annotated[datetime | None, Meta(description="When it was read.")] = None
    source: Annotated[str, Meta(description="The driver that read it, and which count of it.")] = ""


class EnergyAccount(Sums, frozen=True, kw_only=True):
    """Hours, energy and money since the machine was enrolled; of a group: of all its machines."""

    counted_to: Annotated[
        datetime | None, Meta(description="Time is counted up to here; of a group: when it was summed up.")
    ] = None
    since: Annotated[
        datetime | None, Meta(description="Energy and money are counted since; hours since the machine was enrolled.")
    ] = None
    energy_to: Annotated[datetime | None, Meta(description="Energy and its price are counted up to here.")] = None
    currency: Annotated[str, Meta(description="Of the money; a change of it begins the money from 0.")] = ""
    meter: Annotated[Counter | None, Meta(description="The meter, as it was last counted.")] = None
    days: Annotated[
        dict[str, Sums],
        Meta(description="The last 35 days, YYYY-MM-DD by the clock of the tariff's zone (UTC without one)."),
    ] = field(default_factory=dict)
    summary: Annotated[str, Meta(description="Energy, money and what was saved, in words.")] = ""
