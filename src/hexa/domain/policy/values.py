"""Values as people write them (durations, shares, on and off), as numbers; what does not parse is a `Problem`."""

import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.remediation import PERCENT_PATTERN
from hexa.domain.resources.v1alpha1 import (
    NUMBER_PATTERN,
    Hold,
    OnOff,
    Power,
)

T = TypeVar("T")
SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=3650)
"""Limits beyond these are slips of the pen."""


def is_on(value: OnOff) -> bool:
    """on/off in any of the ways YAML writes it."""
    return value is True or value == "on"


def power_of(value: OnOff) -> Power:
    """on/off in any spelling as a Power."""
    return Power.ON if is_on(value) else Power.OFF


def active_hold(hold: Hold | None, *, now: datetime) -> Hold | None:
    """The hold while it stands."""
    if hold is None or (hold.until is not None and hold.until <= now):
        return None
    return hold


class Reader:
    """Parses values and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def duration(self, field: str, text: str | None) -> timedelta | None:
        return self._parse(field, text, parse_duration, 'write a duration such as "10m" or "1h30m"')

    def limit(self, field: str, text: str | None, *, least: timedelta) -> timedelta | None:
        """A duration that a phase or a wait may last."""
        span = self.duration(field, text)
        if span is not None and span < least:
            self.problems.append(
                Problem(field, f"{text!r} leaves no time", f'write "{format_duration(least)}" or more')
            )
            return None
        if span is not None and span > LONGEST:
            remedy = f'write "{LONGEST // timedelta(hours=1)}h" (ten years) at most'
            self.problems.append(Problem(field, f"{text!r} is longer than anybody waits", remedy))
            return None
        return span

    def number(self, field: str, value: float | str | None) -> float | None:
        return self._parse(field, value, parse_number, "write a number of zero or more")

    def share(self, field: str, value: float | str | None) -> float | None:
        return self._parse(field, value, _share, 'write a share such as "0.5" or a percentage of 100 at most')

    def percent(self, field: str, value: str) -> float | None:
        return self._parse(field, value, _percent, 'write a number of machines, or a percentage such as "40%"')

    def _parse(self, field: str, value: Any, parse: Callable[[Any], T], remedy: str) -> T | None:
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(Problem(field, str(error), remedy))
            return None


def parse_number(value: float | str) -> float:
    """A number of zero or more, written as one or as a text. Raises `ValueError` with a sentence for people."""
    written = not isinstance(value, str) or re.fullmatch(NUMBER_PATTERN, value, re.ASCII)
    number = float(value) if written and isinstance(value, str) else value
    if isinstance(number, str) or not 0 <= number <= sys.float_info.max:
        raise ValueError(f"{value!r} is not a number of zero or more")
    return float(number)


def _share(value: float | str) -> float:
    number = parse_number(value)
    if number > 100:
        raise ValueError(f"{value!r} is more than 100 percent")
    return number / 100 if number > 1 else number


def _percent(value: str) -> float:
    if not re.fullmatch(PERCENT_PATTERN, value, re.ASCII):
        raise ValueError(f"{value!r} is no percentage")
    return int(value[:-1]) / 100
