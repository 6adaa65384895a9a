"""What machines and pods cost: hourly and pod rates, watts, a price over a window. Estimates, and labelled so.

It knows rates and hours, not schedules; what a machine used and was billed is in `account`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hexa.domain.policy.values import parse_number
from hexa.domain.resources.v1alpha1 import Energy, Node

HOUR: Final = timedelta(hours=1)


class Rates(Struct, frozen=True, kw_only=True):
    """One machine's rates as numbers. Money in the group's currency."""

    hourly: float = 0.0
    """An hour on, energy left out."""
    pod: float = 0.0
    """A pod and hour."""
    monthly: float = 0.0
    idle_watts: float = 0.0
    max_watts: float = 0.0
    off_watts: float = 0.0
    boot_watt_hours: float = 0.0
    per_kwh: float = 0.0


def rates_of(machine: Node, *, price_per_kwh: float = 0.0) -> Rates:
    """The machine's rates; what is absent or does not parse counts as 0."""
    pricing, energy = machine.spec.pricing, machine.spec.energy
    return Rates(
        hourly=_number(pricing.hourly_rate),
        pod=_number(pricing.pod_rate),
        monthly=_number(pricing.monthly_rate),
        idle_watts=_number(energy.idle_watts),
        max_watts=max(_number(energy.max_watts), _number(energy.idle_watts)),  # whichever is wrong, a breaker bears it
        off_watts=_number(energy.off_watts),
        boot_watt_hours=_number(energy.boot_watt_hours),
        per_kwh=price_per_kwh,
    )


def _number(value: float | str | None) -> float:
    try:
        return 0.0 if value is None else parse_number(value)
    except ValueError:
        return 0.0


def hours(start: datetime, end: datetime) -> float:
    """Length of the window in hours; 0 if it ends before it starts."""
    return max(0.0, (end - start) / HOUR)


def watts(rates: Rates, *, utilisation: float) -> float:
    """Draw at a utilisation from 0 to 1."""
    share = min(max(utilisation, 0.0), 1.0)
    return rates.idle_watts + (rates.max_watts - rates.idle_watts) * share


def hourly_price(rates: Rates, *, utilisation: float = 1.0) -> float:
    """An hour on: the flat rate plus the energy at that utilisation."""
    return rates.hourly + watts(rates, utilisation=utilisation) / 1000 * rates.per_kwh


def node_price(rates: Rates, *, start: datetime, end: datetime) -> float:
    """Price of the machine being on over the window. It is what Cluster Autoscaler's price expander compares."""
    return hourly_price(rates) * hours(start, end)


def pod_price(
    rates: Rates, requests: Mapping[str, Decimal], capacity: Mapping[str, Decimal], *, start: datetime, end: datetime
) -> float:
    """Price of a pod over the window: its share of such a machine by the resource of which it asks most, plus the machine's pod
    rate (dominant share: Ghodsi et al., NSDI 2011)."""
    share = max((_share(resource, requests, capacity) for resource in requests), default=0.0)
    return (hourly_price(rates) * share + rates.pod) * hours(start, end)


def bears(capacity: Mapping[str, Decimal], requests: Mapping[str, Decimal]) -> bool:
    """Whether an empty machine has all that a pod asks for."""
    return all(amount <= capacity.get(resource, Decimal(0)) for resource, amount in requests.items())


def _share(resource: str, requests: Mapping[str, Decimal], capacity: Mapping[str, Decimal]) -> float:
    size = capacity.get(resource, Decimal(0))
    return float(requests.get(resource, Decimal(0)) / size) if size else 0.0


def has_energy(energy: Energy) -> bool:
    """Whether anything is known of the machine's draw."""
    return energy.idle_watts is not None or energy.max_watts is not None
