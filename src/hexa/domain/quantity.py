"""Kubernetes quantities ("500m", "8", "64Gi") as exact numbers. It knows no resource."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation, Overflow
from functools import lru_cache
from typing import Final

_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


_FORM: Final = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|([eE][+-]?[0-9]+))?", re.ASCII
)
LARGEST: Final = Decimal(2**63 - 1)
"""Kubernetes cuts larger amounts down to this."""


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """Read a quantity in base units (cores, bytes, pieces). Raises `ValueError` with a sentence for people."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} is no quantity (examples: 500m, 8, 64Gi)")
    number, suffix, exponent = form.groups("")
    try:
        value = Decimal(number + exponent) * _SUFFIXES.get(suffix, 1)
    except (InvalidOperation, Overflow):  # an exponent beyond all reason
        value = Decimal(0) if "-" in exponent else LARGEST
    return max(min(value, LARGEST), -LARGEST)


Resources = Mapping[str, Decimal]


def amounts(quantities: Mapping[str, str]) -> dict[str, Decimal]:
    """Quantities as numbers; what does not parse is left out."""
    found = {}
    for name, text in quantities.items():
        try:
            found[name] = parse_quantity(str(text))
        except ValueError:
            continue
    return found


def total(parts: Iterable[Resources]) -> dict[str, Decimal]:
    """Sum by resource."""
    result: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, Decimal(0)) + amount
    return result


def least(quantities: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The field-wise minimum, in the texts given: only resources that all have."""
    rows = list(quantities)
    if not rows:
        return {}
    names = set(rows[0]).intersection(*rows[1:])
    return {name: min((row[name] for row in rows), key=size_of) for name in sorted(names)}


def size_of(text: str) -> Decimal:
    """A quantity for comparing; what does not parse counts as nothing."""
    try:
        return parse_quantity(text)
    except ValueError:
        return Decimal(0)
