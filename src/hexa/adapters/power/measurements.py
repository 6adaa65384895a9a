"""What devices answer -> figures, or why they are doubted. It asks nobody.

A figure that can't be trusted is no figure: a running machine must not be taken for one that is off because of it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from hexa.ports.power import Measurement

MOST_WATTS: Final = 25_000.0
"""More than any outlet gives: 32 A on three phases are 22 kW."""

FED: Final = 5.0
"""Volts below which no mains are: a meter whose chip does not answer reads 0."""

SHOWN: Final = 40
"""Characters of an odd answer that are told."""

MILLISECONDS: Final = 1e11
"""A time of the epoch above this is in milliseconds."""


class Figure(NamedTuple):
    """Active power in watts, or why there is none."""

    watts: float | None = None
    doubt: str = ""
    size: float = 0.0
    """Of the figure, whatever its sign."""


def figure(value: Any) -> Figure:
    """What a device gives as watts. Negative, not finite, no number, or more than an outlet gives: it is doubted."""
    if value is None:
        return Figure(doubt="it tells no watts")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Figure(doubt=f"its watts are {shown(value)}, and a number is needed")
    if not finite(value):
        return Figure(doubt=f"its watts are {shown(value)}, which is not a number")
    if value < 0:
        doubt = f"its watts are negative ({value:g}): its meter is wired or calibrated the other way round"
        return Figure(doubt=doubt, size=-value)
    if value > MOST_WATTS:
        return Figure(doubt=f"its watts are {value:g}, more than any outlet gives: look at its unit")
    return Figure(float(value), size=float(value))


def finite(value: float) -> bool:
    """Whether it can be calculated with: JSON has whole numbers of any length."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def measured(watts: Any, energy: Any = None, *, per_kwh: float = 1.0) -> Measurement:
    """What a device gives as watts and as energy, of which `per_kwh` are a kilowatt-hour. What can't be trusted is left out."""
    known = isinstance(energy, int | float) and not isinstance(energy, bool) and finite(energy) and energy >= 0
    return Measurement(watts=figure(watts).watts, kwh=energy / per_kwh if known else None)


def summed(parts: Sequence[Measurement]) -> Measurement:
    """Of several outlets: what each of them tells."""
    watts, kwh = [each.watts for each in parts], [each.kwh for each in parts]
    return Measurement(watts=_sum(watts), kwh=_sum(kwh))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def product(volts: Any, amperes: Any) -> float | None:
    """Apparent power in volt-amperes; None where one of the two is no figure."""
    pair = [each for each in (volts, amperes) if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(pair) != 2 or not all(finite(each) for each in pair):
        return None
    return abs(pair[0] * pair[1])


def unfed(found: Figure, volts: Any) -> Figure:
    """The figure, doubted where the meter beside it reads no voltage: the device itself is fed, so its meter does not work."""
    reads = isinstance(volts, int | float) and not isinstance(volts, bool) and finite(volts)
    if found.watts is None or not reads or abs(volts) >= FED:
        return found
    return Figure(
        doubt=f"its meter reads {volts:g} V, and the device has power: its figures are wrong", size=found.size
    )


def dig(body: Any, *keys: str | int) -> Any:
    """What stands below keys and indices of decoded JSON; None where it has another shape."""
    for key in keys:
        if isinstance(key, int) and isinstance(body, list):
            body = body[key] if 0 <= key < len(body) else None
        elif isinstance(key, str) and isinstance(body, dict):
            body = body.get(key)
        else:
            return None
    return body


def moment(value: Any) -> float | None:
    """Seconds since 1970 of a time that a device tells: seconds, milliseconds, or ISO 8601 with a zone; None if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and finite(value) and value > 0:
        return value / 1000 if value > MILLISECONDS else float(value)
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return told.timestamp() if told is not None and told.tzinfo is not None else None


def answered_at(headers: Mapping[str, str], otherwise: float | None) -> float | None:
    """When the device answered by its own clock, in seconds since 1970; `otherwise` where it does not tell."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return otherwise
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()


def shown(value: Any) -> str:
    """An odd answer, short enough for a sentence."""
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    kind = "the text " if isinstance(value, str | bytes) else ""
    return f"{kind}{text if len(text) <= SHOWN else text[:SHOWN] + '...'}"
