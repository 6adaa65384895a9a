"""How machines of a group compare by its `spec.order`: one row a key. It knows no phase and no veto.

Less is better in every key, and what is not known of a machine puts it last in that key. Machines that are equal in all keys go by
`spec.index`, then by name.
"""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

from msgspec import Struct

from hexa.domain.money.rates import Rates, hourly_price
from hexa.domain.quantity import amounts
from hexa.domain.resources.v1alpha1 import INT32_MAX, Node, OrderBy, Shape


class Traits(Struct, frozen=True, kw_only=True):
    """What the keys look at of one machine."""

    failures: int = 0
    boot_seconds: tuple[float, ...] = ()
    boots: int = 0
    watts: float = 0.0
    """At full load; 0: not declared."""
    cores: float = 0.0
    """That pods can have; 0: not known."""
    hourly: float | None = None
    """Price of an hour on at full load, now; None: no price is declared."""
    index: int | None = None


class Key(Struct, frozen=True, kw_only=True):
    """A row. Less is better; None: not known."""

    value: Callable[[Traits], float | None]
    says: Callable[[float], str]
    remedy: str = ""
    """What makes it known."""


def _watts_per_core(traits: Traits) -> float | None:
    return traits.watts / traits.cores if traits.watts > 0 and traits.cores > 0 else None


def _failures(number: float) -> str:
    return "1 failure in a row" if number == 1 else f"{number:.0f} failures in a row" if number else "no failure"


KEYS: Final[dict[OrderBy, Key]] = {
    OrderBy.RELIABILITY: Key(value=lambda traits: float(min(traits.failures, INT32_MAX)), says=_failures),
    OrderBy.ENERGY: Key(
        value=_watts_per_core,
        says=lambda watts: f"{watts:.4g} W a core",
        remedy="declare spec.energy.maxWatts; its cores are known once it was up, or by spec.template.capacity",
    ),
    OrderBy.BOOT: Key(
        value=lambda traits: median(traits.boot_seconds) if traits.boot_seconds else None,
        says=lambda seconds: f"boots in {seconds:.0f} s" if seconds else "never booted yet",
        remedy="its first boot shows it",
    ),
    OrderBy.WEAR: Key(
        value=lambda traits: float(min(traits.boots, INT32_MAX)),
        says=lambda boots: "1 boot so far" if boots == 1 else f"{boots:.0f} boots so far",
    ),
    OrderBy.COST: Key(
        value=lambda traits: traits.hourly,
        says=lambda price: f"{price:.4g} an hour",
        remedy="declare spec.pricing.hourlyRate, or spec.energy with a price in spec.cost of the group",
    ),
    OrderBy.INDEX: Key(
        value=lambda traits: None if traits.index is None else float(traits.index),
        says=lambda index: f"index {index:.0f}",
        remedy="set spec.index",
    ),
}

Standing = tuple[tuple[OrderBy, float | None], ...]
"""Where a machine stands: each key with its value, the first that differs decides."""


def traits_of(node: Node, rates: Rates, shape: Shape | None, *, tariff: bool = False) -> Traits:
    """What the keys look at of the machine. `rates`: as they are now, by a tariff or not."""
    priced = bool(rates.hourly) or bool(rates.max_watts and (rates.per_kwh or tariff))
    return Traits(
        failures=node.status.failures,
        boot_seconds=node.status.boot_seconds,
        boots=node.status.energy.boots,
        watts=rates.max_watts,
        cores=float(amounts(shape.allocatable or shape.capacity).get("cpu", 0)) if shape is not None else 0.0,
        hourly=hourly_price(rates) if priced else None,
        index=node.spec.index,
    )


def standing_of(order: tuple[OrderBy, ...], traits: Traits) -> Standing:
    """Where the machine stands by this order, and last by its index."""
    keys = order if OrderBy.INDEX in order else (*order, OrderBy.INDEX)
    return tuple((key, KEYS[key].value(traits)) for key in keys)


def rank(standing: Standing) -> tuple[tuple[bool, float], ...]:
    """Sorts the first of the order first."""
    return tuple((value is None, value or 0.0) for _, value in standing)


def back(standing: Standing) -> tuple[tuple[bool, float], ...]:
    """Sorts the last of the order first."""
    return tuple((value is not None, -(value or 0.0)) for _, value in standing)


def name_back(name: str) -> tuple[int, ...]:
    """Sorts the last name first."""
    return (*(-ord(letter) for letter in name), 1)


def difference(one: Standing, other: Standing) -> str:
    """By what they differ, the first key that does; empty: by their names alone."""
    for (key, mine), (_, its) in zip(one, other, strict=False):
        if mine != its:
            return f"{key}: {_said(key, mine)} against {_said(key, its)}"
    return ""


def _said(key: OrderBy, value: float | None) -> str:
    return "not known" if value is None else KEYS[key].says(value)


def not_known(standing: Standing) -> Iterator[tuple[OrderBy, str]]:
    """Keys in which the machine comes last because nothing is known of it, and what to do about it."""
    for key, value in standing:
        if value is None and key is not OrderBy.INDEX:
            yield key, KEYS[key].remedy
