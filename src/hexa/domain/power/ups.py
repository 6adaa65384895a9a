"""A UPS as it says of itself: by its variables, named as Network UPS Tools does. What is not said clearly is unknown."""

import math
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Supply(StrEnum):
    """Where the power of a UPS comes from."""

    MAINS = "Mains"
    BATTERY = "Battery"
    UNKNOWN = "Unknown"


class UpsReading(Struct, frozen=True, kw_only=True):
    """A UPS at one moment."""

    supply: Supply
    charge: float | None = None
    """Of its battery, in percent; None: not known."""
    runtime: timedelta | None = None
    """How long the battery lasts at this load; None: not known."""
    low: bool = False
    """It says itself that its battery is low."""
    trouble: str = ""
    """Why the supply is unknown, in one sentence."""


def unknown(trouble: str) -> UpsReading:
    """Nothing is known of the UPS."""
    return UpsReading(supply=Supply.UNKNOWN, trouble=trouble)


LONGEST: Final = timedelta(days=30)
"""No battery lasts longer; a greater figure is none."""
SHOWN: Final = 60


FED: Final = frozenset({"CHRG", "BYPASS"})
"""Mains are there: what says so beside `OB` contradicts itself."""

ON_PURPOSE: Final = frozenset({"CAL", "TEST"})
"""It runs on battery to measure or to test it, with mains there."""


def reading_of(variables: Mapping[str, str]) -> UpsReading:
    """What the variables say. Only `OL` alone is mains, and only `OB` alone is battery, unless it tests its battery."""
    text = variables.get("ups.status", "")
    flags = set(text.upper().split())
    mains, battery = "OL" in flags, "OB" in flags
    if mains is battery:
        said = f"says {text[:SHOWN]!r}" if text else "does not say"
        return unknown(f"its ups.status {said}, which is neither mains (OL) nor battery (OB)")
    if battery and (why := flags & ON_PURPOSE):
        return unknown(f"it is on battery to test it (ups.status {text[:SHOWN]!r}, {min(why)})")
    if battery and (why := flags & FED):
        return unknown(
            f"it says that it is on battery, and that mains are there (ups.status {text[:SHOWN]!r}, {min(why)})"
        )
    low = battery and "LB" in flags
    charge, runtime = _left(variables, low=low)
    return UpsReading(supply=Supply.BATTERY if battery else Supply.MAINS, charge=charge, runtime=runtime, low=low)


def _left(variables: Mapping[str, str], *, low: bool) -> tuple[float | None, timedelta | None]:
    """Charge and runtime. A 0 of one that the other contradicts is how a UPS tells a figure that it does not have, unless it says
    itself that its battery is low."""
    charge = _number(variables.get("battery.charge"), most=100.0)
    runtime = _runtime(variables.get("battery.runtime"))
    if low or not (charge or runtime):
        return charge, runtime
    return charge or None, runtime or None


def _runtime(text: str | None) -> timedelta | None:
    seconds = _number(text, most=LONGEST.total_seconds())
    return None if seconds is None else timedelta(seconds=seconds)


def _number(text: str | None, *, most: float) -> float | None:
    """A figure between 0 and `most`; None: none that can be."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if 0.0 <= value <= most else None


def endpoint(address: str, *, port: int) -> tuple[str, int]:
    """HOST, HOST:PORT, [IPv6] or [IPv6]:PORT. Raises `ValueError` with what to write."""
    host, _, given = address.rpartition(":") if _names_port(address) else (address, "", str(port))
    host = host.removeprefix("[").removesuffix("]")
    if not host or any(c.isspace() or c in "/@" for c in host) or not given.isascii() or not given.isdigit():
        raise ValueError(f"{address[:SHOWN]!r} is no address: write HOST, HOST:PORT or [IPv6]:PORT")
    if not 0 < int(given[:6]) < 65536:
        raise ValueError(f"{address[:SHOWN]!r}: a port is 1 to 65535")
    return host, int(given)


def _names_port(address: str) -> bool:
    bare_v6 = address.count(":") > 1 and not address.startswith("[")
    return ":" in address.rpartition("]")[2] and not bare_v6
