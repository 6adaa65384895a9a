"""Whether a group's tariff is there, and how long its prices last."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.policy.problem import Problem

SOON: Final = timedelta(hours=6)
"""So long before the last price of a tariff it is said that it ends."""


def ends_at(end: datetime) -> str:
    """What is said of prices that end, and what stands in for them."""
    stands_in = "the shape of its last day stands in for a day, and then its mean"
    return f"its last price is for {end.isoformat()}: bring newer ones; {stands_in}"


def unknown_tariff(name: str, known: Sequence[str] | None) -> tuple[Problem, ...]:
    """What is wrong with the name of a tariff that is not among the `known` of the configuration; None: nobody knows them."""
    if not name or known is None or name in known:
        return ()
    there = f"it has {', '.join(sorted(known))}" if known else "it has none"
    text = f"hexa's configuration has no tariff {name}; {there}"
    remedy = "write one of them, or add it to tariffs in the configuration: spec.cost.pricePerKWh counts until then"
    return (Problem("spec.cost.tariff", text, remedy, severity="warning", reason="UnknownTariff"),)
