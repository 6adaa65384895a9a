"""What a machine's status says of its health: the last runs of its check, and how often it was there. Shapes only."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from hexa.domain.resources.core import Slice


class NodeHealth(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class GroupHealth(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class CheckOutcome(StrEnum):
    """How the last runs of a health check ended."""

    NONE = ""
    """None has ended since the machine came up, or none shall run."""
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It never ran, or nobody knows how it ended: that says nothing of the machine."""


class CheckRecord(Slice, frozen=True, kw_only=True):
    """The health check of a machine."""

    name: Annotated[str, Meta(description="Name of the CronJob.")] = ""
    outcome: Annotated[
        CheckOutcome,
        Meta(
            description="How the last run ended: passed, failed, or unknown (it never ran). Empty: none has ended since the "
            "machine came up."
        ),
    ] = CheckOutcome.NONE
    since: Annotated[
        datetime | None, Meta(description="When the first run ended so; every run since then has ended the same way.")
    ] = None
    message: Annotated[str, Meta(description="What the pod of that run said, or what it waited for.")] = ""


class Span(Slice, frozen=True, kw_only=True):
    """A stretch of time."""

    since: Annotated[datetime | None, Meta(description="When it began.")] = None
    up_seconds: Annotated[float, Meta(description="Seconds in which the machine was Ready or drained.")] = 0.0
    down_seconds: Annotated[
        float, Meta(description="Seconds in which it was lost, or had failed to start, until it was back.")
    ] = 0.0


class Availability(Slice, frozen=True, kw_only=True):
    """How often a machine was there when it should have been, as of the last change of its phase."""

    uptime: Annotated[
        str, Meta(description="Time up of the time up or down in the last 30 to 60 days, such as 99.2%.")
    ] = ""
    wakes: Annotated[str, Meta(description="How many of the last wakes, 20 at most, worked, such as 19/20.")] = ""
    recent: Annotated[Span, Meta(description="The days that are being counted, 30 at most.")] = Span()
    before: Annotated[Span, Meta(description="The 30 days before them.")] = Span()
    recent_wakes: Annotated[
        tuple[bool, ...], Meta(description="Whether each of the last 20 wakes from Off worked, newest last.")
    ] = ()
    counted_to: Annotated[datetime | None, Meta(description="The count is complete up to here.")] = None
