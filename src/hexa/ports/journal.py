"""What hexa tells people: Events on objects and structured logs."""

from enum import StrEnum
from typing import Any, Protocol

from hexa.domain.resources.core import ObjectReference


class Severity(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


class Journal(Protocol):
    def event(self, about: ObjectReference, *, reason: str, message: str, severity: Severity = Severity.NORMAL) -> None:
        """Record a decision or a failure on an object. Returns at once; losing one never stops the caller. The same reason
        and message on the same object within ten minutes is recorded once."""
        ...

    def log(self, message: str, **fields: Any) -> None:
        """A structured log line."""
        ...
