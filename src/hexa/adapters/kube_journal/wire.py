"""A decision as an Event of core/v1. No await, no clock."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from hexa.domain.resources.core import ObjectReference
from hexa.ports.journal import Severity

REPEAT: Final = timedelta(minutes=10)
"""The same reason and message on the same object is recorded once in this time."""

COMPONENT: Final = "hexa"

_HOME: Final = "default"
"""Namespace of Events about objects that are in none."""

_LONGEST_NAME: Final = 230
_LONGEST_MESSAGE: Final = 1024


def event(about: ObjectReference, *, reason: str, message: str, severity: Severity, now: datetime) -> dict[str, Any]:
    """The Event's manifest. Its name is the same for the same news in the same ten minutes, after a restart too."""
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {
            "name": f"{about.name[:_LONGEST_NAME].rstrip('-.')}.{_hash(about, reason, message, now)}",
            "namespace": about.namespace or _HOME,
        },
        "involvedObject": msgspec.to_builtins(about),
        "reason": reason,
        "message": message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 3]}...",
        "type": severity.value,
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
    }


def _hash(about: ObjectReference, reason: str, message: str, now: datetime) -> str:
    window = int(now.timestamp() // REPEAT.total_seconds())
    return sha256(f"{about!r} {reason} {message} {window}".encode()).hexdigest()[:16]
