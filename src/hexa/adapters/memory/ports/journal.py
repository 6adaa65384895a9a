"""A journal that remembers: what hexa told people, for tests and reports. It judges nothing."""

from collections import deque
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from hexa.domain.resources.core import ObjectReference
from hexa.ports.clock import Clock
from hexa.ports.journal import Severity

REPEAT: Final = timedelta(minutes=10)


class Told(Struct, frozen=True):
    """An Event as it was recorded."""

    at: datetime
    about: ObjectReference
    reason: str
    message: str
    severity: Severity
    action: str = ""


class Line(Struct, frozen=True):
    """A log line as it was written."""

    at: datetime
    message: str
    fields: dict[str, Any]


class MemoryJournal:
    """`ports.journal` that keeps the newest `limit` Events and as many log lines."""

    def __init__(self, clock: Clock, *, limit: int = 10_000) -> None:
        self._clock = clock
        self._last: dict[tuple[ObjectReference, str, str], datetime] = {}
        self._limit = limit
        self.events: deque[Told] = deque(maxlen=limit)
        self.lines: deque[Line] = deque(maxlen=limit)

    def __repr__(self) -> str:
        return f"<MemoryJournal {len(self.events)} events, {len(self.lines)} lines>"

    def event(
        self,
        about: ObjectReference,
        *,
        reason: str,
        message: str,
        severity: Severity = Severity.NORMAL,
        action: str = "",
    ) -> None:
        now, key = self._clock.now(), (about, reason, message)
        if (last := self._last.get(key)) is not None and now - last < REPEAT:
            return
        if len(self._last) >= self._limit:
            self._last = {key: at for key, at in self._last.items() if now - at < REPEAT}
        self._last[key] = now
        self.events.append(Told(now, about, reason, message, severity, action))

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(Line(self._clock.now(), message, fields))

    def reasons(self, name: str = "") -> list[str]:
        """Reasons of the recorded Events in order, of all objects or of those called `name`."""
        return [told.reason for told in self.events if name in ("", told.about.name)]
