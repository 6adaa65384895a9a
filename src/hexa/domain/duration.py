"""Durations as Go writes them ("10m", "1h30m", "1.5h", "0"). It knows no field and no default.

Unlike Go it refuses negative durations: nothing in hexa can last less than nothing.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds in a unit."""

LONGEST: Final = 2**63 - 1
"""Nanoseconds that Go can hold: 292 years."""

DURATION_PATTERN: Final = r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
"""What `parse_duration` takes, as a pattern for the schema. No text takes it more than one look at each character."""

_WHOLE: Final = re.compile(DURATION_PATTERN, re.ASCII)
_PART: Final = re.compile(r"([0-9.]+)(\D+)", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read a Go-style duration, cut to microseconds. Raises `ValueError` with a sentence for people."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration{_hint(text)}")
    nanoseconds = sum(Decimal(number) * UNITS[unit] for number, unit in _PART.findall(text.removeprefix("+")))
    if nanoseconds > LONGEST:
        raise ValueError(f"{text!r} is longer than 292 years")
    return timedelta(microseconds=int(nanoseconds) // 1_000)


def format_duration(duration: timedelta) -> str:
    """Write a duration of zero or more as `parse_duration` reads it: "1h30m", "90ms", "0s"."""
    left = duration // timedelta(microseconds=1)
    parts = []
    for unit, size in (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)):
        count, left = divmod(left, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def _hint(text: str) -> str:
    if text.startswith("-"):
        return ": it is negative"
    if re.fullmatch(r"[0-9.]+", text):
        return f': it has no unit (write "{text}s" for seconds, "{text}m" for minutes)'
    return ' (examples: "90s", "10m", "1h30m")'
