"""A day of a tariff, drawn with characters."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hexa.domain.money.tariff import Tariff
from hexa.domain.weekly import DAY, moment

WIDTH: Final = 40
"""Characters of the longest bar."""
HOUR: Final = timedelta(hours=1)
BAR: Final = "█"


def day_of(tariff: Tariff, day: date, zone: ZoneInfo) -> str:
    """Each hour of the day by the zone's clock with its price, and what is lowest, highest and in the mean."""
    start, end = moment(day, 0, zone), moment(day, DAY, zone)
    hours = [(at, tariff.mean(at, min(at + HOUR, end))) for at in _hours(start, end)]
    steps = tariff.steps(start, end)
    top = max(max((abs(price) for _, price in hours), default=0.0), 1e-9)
    lines = [f"{day.isoformat()} {zone.key}, {tariff.currency} for a kilowatt-hour, with charges and tax"]
    guessed = [step for step in steps if not step.known]
    for at, price in hours:
        mark = " ?" if any(step.start < at + HOUR and step.end > at for step in guessed) else ""
        lines.append(f"{at.astimezone(zone):%H:%M} {price:9.4f} {_bar(price, top)}{mark}".rstrip())
    low, high = min(steps, key=lambda step: step.per_kwh), max(steps, key=lambda step: step.per_kwh)
    lines.append(
        f"lowest {low.per_kwh:.4f} from {low.start.astimezone(zone):%H:%M}, "
        f"highest {high.per_kwh:.4f} from {high.start.astimezone(zone):%H:%M}, mean {tariff.mean(start, end):.4f}"
    )
    if guessed:
        lines.append("? no price is known for these hours: those of a day that is known stand in")
    return "\n".join(lines)


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    at = start.astimezone(UTC)
    while at < end:
        yield at
        at += HOUR


def _bar(price: float, top: float) -> str:
    """Negative prices have a minus in front of their bar."""
    length = round(abs(price) / top * WIDTH)
    return ("-" if price < 0 else "") + BAR * length
