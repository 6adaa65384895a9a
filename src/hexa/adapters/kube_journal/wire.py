"""A decision as an Event of core/v1. No await, no clock."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct

from hexa.domain.moment import moment_text
from hexa.domain.resources.core import ObjectReference
from hexa.ports.journal import Severity

REPEAT: Final = timedelta(minutes=10)
"""The same reason and message on the same object is recorded once in this time."""

COMPONENT: Final = "hexa"

_HOME: Final = "default"
"""Namespace of Events about objects that are in none."""

_LONGEST_NAME: Final = 230
_LONGEST_MESSAGE: Final = 1024
_LONGEST_WORD: Final = 128
"""Characters of reason, action and instance that events.k8s.io/v1 takes."""


class Told(Struct, frozen=True):
    """What an Event says."""

    reason: str
    message: str
    severity: Severity
    action: str = ""
    """What was done or failed."""
    instance: str = ""
    """Which hexa tells it."""


def event(about: ObjectReference, told: Told, *, now: datetime) -> dict[str, Any]:
    """The Event's manifest. Its name is the same for the same news in the same ten minutes, after a restart too. Readers of
    events.k8s.io/v1 see `reportingComponent` as reportingController."""
    time, reason, message = moment_text(now), told.reason, told.message
    return {
        "metadata": {
            "name": f"{about.name[:_LONGEST_NAME].rstrip('-.')}.{_hash(about, reason, message, now)}",
            "namespace": about.namespace or _HOME,
        },
        "involvedObject": msgspec.to_builtins(about),
        "reason": reason,
        "message": message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 3]}...",
        "type": told.severity.value,
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": COMPONENT},
        "action": (told.action or reason)[:_LONGEST_WORD],
        "reportingComponent": COMPONENT,
        "reportingInstance": (told.instance or COMPONENT)[:_LONGEST_WORD],
    }


def _hash(about: ObjectReference, reason: str, message: str, now: datetime) -> str:
    window = int(now.timestamp() // REPEAT.total_seconds())
    return sha256(f"{about!r} {reason} {message} {window}".encode()).hexdigest()[:16]
