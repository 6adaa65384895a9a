"""What hexa tells people: Events on objects and structured logs."""

from typing import Any, Protocol

from hexa.domain.news import Severity
from hexa.domain.resources.core import ObjectReference

__all__ = ["Journal", "Severity"]


class Journal(Protocol):
    def event(
        self,
        about: ObjectReference,
        *,
        reason: str,
        message: str,
        severity: Severity = Severity.NORMAL,
        action: str = "",
    ) -> None:
        """Record a decision or a failure on an object. `action`: what was done or failed, in CamelCase. Returns at once; losing one
        never stops the caller. The same reason and message on the same object within ten minutes is recorded once."""
        ...

    def log(self, message: str, **fields: Any) -> None:
        """A structured log line."""
        ...
