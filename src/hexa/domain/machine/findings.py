"""Findings: what holds of an object now, and how they become conditions whose transition times are kept."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from hexa.domain.resources.core import Condition


class Finding(Struct, frozen=True):
    """A condition that holds now."""

    type: str
    reason: str
    message: str
    status: Literal["True", "False", "Unknown"] = "True"


def once_each(found: Iterable[Finding]) -> list[Finding]:
    """One condition a type: the first stands, the others' texts follow in its message."""
    merged: dict[str, Finding] = {}
    for finding in found:
        first = merged.get(finding.type)
        if first is None:
            merged[finding.type] = finding
        elif finding.message not in first.message:
            merged[finding.type] = structs.replace(first, message=f"{first.message}; {finding.message}")
    return list(merged.values())


def newly_found(type_: str, before: Sequence[Condition], after: Sequence[Condition]) -> Condition | None:
    """The condition of the type, where it did not stand before."""
    if any(condition.type == type_ for condition in before):
        return None
    return next((condition for condition in after if condition.type == type_), None)


def conditions(
    old: Sequence[Condition], found: Iterable[Finding], *, now: datetime, generation: int
) -> tuple[Condition, ...]:
    """Conditions by type; the transition time changes only where the status does."""
    before = {condition.type: condition for condition in old}
    return tuple(
        Condition(
            type=finding.type,
            status=finding.status,
            reason=finding.reason,
            message=finding.message,
            last_transition_time=_transition(before.get(finding.type), finding, now),
            observed_generation=generation,
        )
        for finding in sorted(found, key=lambda finding: finding.type)
    )


def _transition(before: Condition | None, finding: Finding, now: datetime) -> datetime:
    if before is not None and before.status == finding.status and before.last_transition_time is not None:
        return before.last_transition_time
    return now.replace(microsecond=0)
