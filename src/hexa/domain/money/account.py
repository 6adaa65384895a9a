"""What one machine used over a window, and what that cost beside the same machine left on all the time.

It measures nothing: kilowatt-hours come from a meter, or are computed from the declared watts. Agent, simulator and embedders
settle their accounts here.
"""

from datetime import timedelta
from typing import Final

from msgspec import Struct, structs

from hexa.domain.money.rates import HOUR, Rates, watts
from hexa.domain.resources.v1alpha1 import EnergyAccount

MONTH: Final = timedelta(days=365.25 / 12)
_HOUR: Final = HOUR.total_seconds()


class Usage(Struct, frozen=True, kw_only=True):
    """A machine's time and energy over a window, which is as long as its time on and off together."""

    on_seconds: float = 0.0
    off_seconds: float = 0.0
    boots: int = 0
    kwh: float = 0.0
    """All that was drawn: on, off, and by boots."""

    @property
    def hours(self) -> float:
        """Length of the window."""
        return (self.on_seconds + self.off_seconds) / _HOUR


class Bill(Struct, frozen=True):
    """What a window cost, and what it would have cost always on. Money in the currency of the rates."""

    kwh: float
    money: float
    kwh_always_on: float
    money_always_on: float

    @property
    def saved(self) -> float:
        return self.money_always_on - self.money


def computed(rates: Rates, account: EnergyAccount, *, utilisation: float = 0.0) -> Usage:
    """The usage by declared watts, for a machine that nobody measures. `utilisation`: from 0 to 1, while it was on."""
    usage = Usage(on_seconds=account.on_seconds, off_seconds=account.off_seconds, boots=account.boots)
    work = usage.on_seconds / _HOUR * (watts(rates, utilisation=utilisation) - rates.idle_watts) / 1000
    return structs.replace(usage, kwh=_at_rest(rates, usage) + work)


def always_on(rates: Rates, usage: Usage) -> Usage:
    """The usage of the same window had the machine been on all the time and done the same work."""
    work = usage.kwh - _at_rest(rates, usage)
    left_on = Usage(on_seconds=usage.on_seconds + usage.off_seconds)
    return structs.replace(left_on, kwh=_at_rest(rates, left_on) + work)


def price(rates: Rates, usage: Usage) -> float:
    """Energy, hours on, and the share of the month's fixed cost, which is due on or off."""
    flat = rates.hourly * usage.on_seconds / _HOUR + rates.monthly * usage.hours / (MONTH / HOUR)
    return usage.kwh * rates.per_kwh + flat


def settle(rates: Rates, usage: Usage) -> Bill:
    """The bill of a usage that was measured or computed."""
    other = always_on(rates, usage)
    return Bill(kwh=usage.kwh, money=price(rates, usage), kwh_always_on=other.kwh, money_always_on=price(rates, other))


def bill(rates: Rates, account: EnergyAccount, *, utilisation: float = 0.0) -> Bill:
    """The bill of an account in a Node's status, by declared watts."""
    return settle(rates, computed(rates, account, utilisation=utilisation))


def _at_rest(rates: Rates, usage: Usage) -> float:
    """Kilowatt-hours without any work: idle, off, and boots."""
    watt_seconds = usage.on_seconds * rates.idle_watts + usage.off_seconds * rates.off_watts
    return (watt_seconds / _HOUR + usage.boots * rates.boot_watt_hours) / 1000
