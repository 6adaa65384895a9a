"""An account of energy and money as page and API show it, and the watts that a machine declares for what it is doing."""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from statistics import median
from typing import Final

from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.money.rates import Rates
from hexa.domain.resources.energy import EnergyAccount, Sums
from hexa.domain.resources.v1alpha1 import Node, Pricing
from hexa.domain.weekly import YEARS
from hexa.domain.words.overview import EnergyState

JOULES: Final = 3_600_000.0
"""In a kilowatt-hour."""
UNPRICED: Final = Pricing()
NOT_TOLD: Final = frozenset({Phase.UNKNOWN, Phase.START_FAILED, Phase.LOST})
"""Phases in which nobody knows what a machine draws."""


def priced(node: Node, *, per_kwh: float, tariff: str) -> bool:
    """Whether anything that the machine uses has a price."""
    return bool(per_kwh or tariff) or node.spec.pricing != UNPRICED


def day_of(now: datetime, zone: tzinfo | None = None) -> str:
    """The day of an account on which the moment is, YYYY-MM-DD; empty: no calendar has it."""
    return now.astimezone(zone or UTC).date().isoformat() if now.year in YEARS else ""


def energy_state(account: EnergyAccount, *, counted: bool, money: bool, today: str) -> EnergyState:
    """The account as it is shown. `counted`: energy is counted; `money`: it has a price; `today`: see `day_of`."""
    if not counted:
        return EnergyState(
            on_seconds=account.on_seconds, boot_seconds=account.boot_seconds, off_seconds=account.off_seconds
        )
    day = account.days.get(today, Sums())
    return EnergyState(
        on_seconds=account.on_seconds,
        boot_seconds=account.boot_seconds,
        off_seconds=account.off_seconds,
        joules=_joules(account.kwh),
        saved_joules=_joules(account.saved_kwh),
        money=account.money if money else None,
        saved_money=account.saved if money else None,
        currency=account.currency or None if money else None,
        estimated=account.measured < 0.99 * account.kwh,
        today_joules=_joules(day.kwh) if today else None,
        today_money=day.money if money and today else None,
        month_saved=_saved_since(account, f"{today[:8]}01") if money and today else None,
    )


def _saved_since(account: EnergyAccount, day: str) -> float:
    return round(sum(sums.saved for of, sums in account.days.items() if of >= day), 9)


def _joules(kwh: float) -> float:
    return round(kwh * JOULES, 3)


def declared_watts(rates: Rates, phase: Phase, boots: Iterable[float], *, known: bool) -> float | None:
    """What the machine declares for what it is doing; None: it declares nothing (not `known`), or nobody knows what it is doing."""
    if not known or phase in NOT_TOLD:
        return None
    if phase is Phase.OFF:
        return rates.off_watts
    lengths = tuple(each for each in boots if each > 0)
    if phase in COMING and rates.boot_watt_hours and lengths:
        return round(rates.boot_watt_hours * 3600 / median(lengths), 1)
    return rates.idle_watts
