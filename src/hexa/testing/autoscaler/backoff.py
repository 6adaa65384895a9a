"""Groups that failed to grow are left alone for a while, longer each time. It knows no reason."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.testing.autoscaler.settings import Settings


class _Failure(Struct):
    duration: float
    until: datetime
    at: datetime


class Backoff:
    """5 minutes, doubling to 30, forgotten after 3 hours without a failure (by default)."""

    def __init__(self, settings: Settings) -> None:
        self._settings: Final = settings
        self._failures: Final[dict[str, _Failure]] = {}

    def __repr__(self) -> str:
        return f"<Backoff {sorted(self._failures)}>"

    def fail(self, group: str, *, now: datetime) -> datetime:
        """The group failed now: until when it is left alone. Failures while it is left alone do not double the time."""
        duration = self._settings.initial_backoff
        if (last := self._failures.get(group)) is not None:
            duration = last.duration
            if last.until < now:
                duration = min(2 * duration, self._settings.max_backoff)
        until = now + timedelta(seconds=duration)
        self._failures[group] = _Failure(duration, until, now)
        return until

    def until(self, group: str, *, now: datetime) -> datetime | None:
        """End of the time in which the group is left alone; None if it is not."""
        failure = self._failures.get(group)
        return failure.until if failure is not None and failure.until >= now else None

    def forget_old(self, *, now: datetime) -> None:
        reset = timedelta(seconds=self._settings.backoff_reset)
        for group in [group for group, failure in self._failures.items() if failure.at + reset < now]:
            del self._failures[group]

    def shift(self, by: timedelta) -> None:
        """The clock was set by so much."""
        for failure in self._failures.values():
            failure.until += by
            failure.at += by

    def dues(self) -> list[datetime]:
        """When groups may grow again."""
        return [failure.until for failure in self._failures.values()]
